// Changes in place: on the tape, behind its back, and over one's own memory.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/messages.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

}  // namespace

// Versions ---------------------------------------------------------------------------------------

TEST_CASE("a version counts changes, for all who share the storage") {
  Tensor x = doubles({{1.0, 2.0}, {3.0, 4.0}});
  Tensor row = x[0], alias = x.detach();
  const Tensor other = doubles({{1.0, 2.0}, {3.0, 4.0}});
  CHECK(x.version() == 0);
  x.add_(1.0);
  CHECK(x.version() == 1);
  CHECK(row.version() == 1);
  CHECK(alias.version() == 1);
  row.mul_(2.0);
  alias.zero_();
  x[1] = 7.0;
  x.copy_(other);
  CHECK(x.version() == 5);
  CHECK(other.version() == 0);
}

TEST_CASE("a saved tensor changed before backward is an error that names op and tensor") {
  const Tensor x = leaf({1.0, 2.0});
  const auto refused = [&](auto change) {
    const Tensor w = doubles({3.0, 4.0}), y = (x * w).sum();
    change(w);
    const std::string message = message_of<AutogradError>([&] { y.backward(); });
    CHECK(says(message, "mul"));
    CHECK(says(message, "input 1"));
    CHECK(says(message, "[2]"));
    CHECK(!x.grad().defined());
  };
  refused([](Tensor w) { w.add_(1.0); });
  refused([](const Tensor& w) { w[0] = 1.0; });                    // by a view
  refused([](const Tensor& w) { w.detach().zero_(); });            // by a detached alias
  refused([](const Tensor& w) { w.view({2, 1})[1].fill_(0.0); });  // by a view of a view
  refused([](const Tensor& w) { w.slice(0, 1).copy_(doubles({9.0})); });
}

TEST_CASE("a saved output changed before backward is an error; an unsaved one is not") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  const Tensor quotient = x / w;
  {
    const NoGradGuard no_grad;
    Tensor(quotient).add_(1.0);
  }
  const std::string message = message_of<AutogradError>([&] { quotient.sum().backward(); });
  CHECK(says(message, "div"));
  CHECK(says(message, "its output"));
  Tensor sum = x + w;
  {
    const NoGradGuard no_grad;
    sum.mul_(5.0);
  }
  sum.sum().backward();
  CHECK(x.grad().equal(doubles({1.0, 1.0})));
}

TEST_CASE("a parameter updated between forward and backward is told, after it is fine") {
  Tensor w = leaf({1.0, 2.0});
  const Tensor loss = (w * w).sum();
  {
    const NoGradGuard no_grad;
    w.mul_(2.0);
  }
  CHECK_THROWS_AS(loss.backward(), AutogradError);
  CHECK(!w.grad().defined());
  (w * w).sum().backward();
  CHECK(w.grad().equal(doubles({4.0, 8.0})));
}

TEST_CASE("versions are looked at again in the pass, not only when it begins") {
  const Tensor x = leaf({1.0, 2.0});
  Tensor w = doubles({3.0, 4.0});
  const Tensor loss = (x * w).sum();
  Backprop pass(loss);
  pass.step();
  w.zero_();
  CHECK_THROWS_AS(pass.step(), AutogradError);
  CHECK(!x.grad().defined());
}

// Recorded changes
// -----------------------------------------------------------------------------------

TEST_CASE("a change on the tape is part of the history") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  Tensor y = x * 2.0;
  const Tensor same = y;  // a handle to the same tensor
  y.mul_(w);
  y.add_(x, 3.0);
  y.sub_(1.0);
  y.div_(doubles({2.0, 4.0}));
  CHECK(same.is_same(y));
  CHECK(y.equal(doubles({4.0, 5.25})));  // (2xw + 3x - 1) / d
  y.sum().backward();
  CHECK(x.grad().equal(doubles({4.5, 2.75})));
  CHECK(w.grad().equal(doubles({1.0, 1.0})));
}

TEST_CASE("a constant becomes part of the tape by a change that is") {
  const Tensor w = leaf({3.0, 4.0});
  Tensor total = zeros({2}, kFloat64);
  for (int i = 0; i < 3; ++i) total.add_(w, i);
  CHECK(!total.is_leaf());
  total.sum().backward();
  CHECK(w.grad().equal(doubles({3.0, 3.0})));
}

TEST_CASE("fill_ and copy_ cut what was before") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({5.0});
  Tensor y = x * 2.0;
  y.copy_(w);
  y.sum().backward();
  CHECK(!x.grad().defined());
  CHECK(w.grad().equal(doubles({2.0})));
  Tensor z = x * 2.0;
  z.fill_(7.0);
  CHECK(!z.requires_grad());
  CHECK((z + x).sum().requires_grad());
  (z + x).sum().backward();
  CHECK(x.grad().equal(doubles({1.0, 1.0})));
}

TEST_CASE("in place with itself") {
  const Tensor x = leaf({2.0, 3.0});
  Tensor y = x * 1.0;
  y.mul_(y);
  CHECK(y.equal(doubles({4.0, 9.0})));
  y.sum().backward();
  CHECK(x.grad().equal(doubles({4.0, 6.0})));
  Tensor z = x * 1.0;
  z.add_(z).sub_(z, 0.5).div_(z);
  CHECK(z.equal(doubles({1.0, 1.0})));
  z.sum().backward();
  CHECK(std::abs(x.grad()[0].item<double>() - 4.0) < 1e-12);  // z is a constant, up to rounding
  Tensor c = doubles({2.0, 3.0});
  c.mul_(c).add_(c).copy_(c);
  CHECK(c.equal(doubles({8.0, 18.0})));
}

TEST_CASE("gradients of in-place code agree with differences, twice") {
  const auto f = [](const std::vector<Tensor>& in) {
    Tensor y = in[0] * 1.0;
    y.mul_(in[1]).mul_(y).div_(in[1] + 5.0).add_(in[0], -0.5);
    return y;
  };
  const Tensor a = leaf({{1.0, 2.0}, {-0.5, 0.7}}), b = leaf({0.3, -1.2});
  CHECK(gradcheck(f, {a, b}));
  CHECK(gradgradcheck(f, {a, b}));
}

TEST_CASE("an output that an op saved, then changed on the tape, is told at backward") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  Tensor y = x / w;
  y.add_(1.0);
  const std::string message = message_of<AutogradError>([&] { y.sum().backward(); });
  CHECK(says(message, "div"));
  CHECK(says(message, "its output"));
}

TEST_CASE("a retained gradient ends when its tensor is changed in place") {
  const Tensor x = leaf({1.0, 2.0});
  Tensor y = x * 1.0;
  y.retain_grad();
  y.mul_(3.0);
  y.retain_grad();
  y.sum().backward();
  CHECK(y.grad().equal(doubles({1.0, 1.0})));
  CHECK(x.grad().equal(doubles({3.0, 3.0})));
}

// Refusals: nothing changes
// --------------------------------------------------------------------------

TEST_CASE("a leaf that wants a gradient is changed only without recording") {
  Tensor w = leaf({1.0, 2.0});
  const Tensor before = w.detach().clone();
  const auto refused = [&](auto change) {
    const std::string message = message_of<AutogradError>(change);
    CHECK(says(message, "NoGradGuard"));
    CHECK(says(message, "[2]"));
    CHECK(w.equal(before));
    CHECK(w.version() == 0);
    CHECK(w.is_leaf());
  };
  refused([&] { w.add_(1.0); });
  refused([&] { w.mul_(w); });
  refused([&] { w.zero_(); });
  refused([&] { w.copy_(before); });
  refused([&] { w += before; });
  const NoGradGuard no_grad;
  w.add_(1.0);
  CHECK(w.version() == 1);
  CHECK(w.requires_grad());
}

TEST_CASE("a view on the tape is not changed on the tape, nor what it shows") {
  Tensor w = leaf({{1.0, 2.0}, {3.0, 4.0}});
  const std::string message = message_of<AutogradError>([&] { w[0] = 0.0; });
  CHECK(says(message, "view"));
  CHECK(says(message, "clone()"));
  Tensor y = w * 2.0;
  const Tensor row = y[0];
  CHECK_THROWS_AS(y.add_(1.0), AutogradError);
  CHECK_THROWS_AS(Tensor(row).add_(1.0), AutogradError);
  Tensor buffer = zeros({2, 2}, kFloat64);
  CHECK_THROWS_AS(buffer[0] = row, AutogradError);  // would have to be recorded
  CHECK(buffer.equal(zeros({2, 2}, kFloat64)));
  CHECK(w.equal(doubles({{1.0, 2.0}, {3.0, 4.0}})));
  CHECK(y.version() == 0);
  row.sum().backward();
  CHECK(w.grad().equal(doubles({{2.0, 2.0}, {0.0, 0.0}})));
}

TEST_CASE("once the recorded view is gone, the tensor may change again") {
  const Tensor w = leaf({1.0, 2.0});
  Tensor y = w * 2.0;
  {
    const Tensor half = y.slice(0, 0, 1);
    CHECK_THROWS_AS(y.add_(1.0), AutogradError);
  }
  y.add_(1.0);
  y.sum().backward();
  CHECK(w.grad().equal(doubles({2.0, 2.0})));
}

TEST_CASE("what cannot be written in place is refused with shapes and dtypes") {
  Tensor x = doubles({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}});
  const Tensor before = x.clone();
  using Change = void (*)(Tensor & changed, const Tensor& other);
  const std::pair<const char*, Change> changes[] = {
      {"add_", [](Tensor& changed, const Tensor& other) { changed.add_(other); }},
      {"sub_", [](Tensor& changed, const Tensor& other) { changed.sub_(other); }},
      {"mul_", [](Tensor& changed, const Tensor& other) { changed.mul_(other); }},
      {"div_", [](Tensor& changed, const Tensor& other) { changed.div_(other); }}};
  for (const auto& named : changes) {
    const char* const op = named.first;
    CAPTURE(op);
    const auto refused = [&]<class E>(const Tensor& other) {
      return message_of<E>([&] { named.second(x, other); });
    };
    std::string message = refused.operator()<ShapeError>(zeros({4, 2, 3}, kFloat64));
    CHECK(says(message, "[4, 2, 3]"));
    CHECK(says(message, "[2, 3]"));
    CHECK(says(message, op));
    refused.operator()<ShapeError>(zeros({2}, kFloat64));
    message = refused.operator()<DTypeError>(zeros({3}, kFloat32));
    CHECK(says(message, "float32"));
    CHECK(says(message, "float64"));
    CHECK(says(message, op));
    CHECK(says(refused.operator()<ValueError>(Tensor()), op));
  }
  CHECK_THROWS_AS(x.copy_(zeros({2, 2, 3}, kFloat64)), ShapeError);
  Tensor narrow = ones({2});
  const Tensor mask = narrow > 0;
  CHECK(says(message_of<ValueError>([&] { narrow.fill_(1e39); }), "fill_: 1e+39 is too large for"));
  CHECK(says(message_of<ValueError>([&] { narrow.masked_fill_(mask, -1e39); }),
             "masked_fill_: -1e+39 is too large for float32"));
  CHECK(says(message_of<ValueError>([&] { narrow.masked_fill(mask, 1e300); }),
             "masked_fill: 1e+300 is too large for float32"));
  for (const auto& [name, call] : std::vector<std::pair<std::string, std::function<void()>>>{
           {"where", [&] { where(mask, narrow, 1e39); }},
           {"where", [&] { where(mask, -1e39, narrow); }},
           {"where", [&] { where(mask, 1e39, 0.0); }},
           {"where", [&] { where(mask, 0.0, 1e39); }},
           {"pad",
            [&] {
              pad(narrow, {1, 1}, 1e39);
            }},
           {"scatter",
            [&] {
              scatter(narrow, 0, tensor({1, 0}), 1e39);
            }},
           {"index_put_", [&] { narrow.index_put_({mask}, 1e39); }}})
    CHECK(says(message_of<ValueError>(call), name + ": "));
  CHECK(narrow.equal(ones({2})));
  CHECK(narrow.version() == 0);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(narrow.masked_fill(mask, -infinity).equal(full({2}, -infinity)));
  CHECK(x.masked_fill(x > 0, 1e300).equal(full({2, 3}, 1e300, kFloat64)));
  Tensor whole = tensor({1, 2});
  CHECK_THROWS_AS(whole.add_(0.5), DTypeError);
  CHECK_THROWS_AS(whole.fill_(0.5), DTypeError);
  CHECK_THROWS_AS(whole.add_(tensor({0.5, 0.5})), DTypeError);
  CHECK_THROWS_AS(whole.div_(2), DTypeError);
  CHECK_THROWS_AS(whole.add_(tensor({1, 2}), 0.5), DTypeError);
  CHECK_THROWS_AS(whole.mul_(std::numeric_limits<double>::infinity()), DTypeError);
  CHECK(whole.equal(tensor({1, 2})));
  CHECK(whole.version() == 0);
  Tensor undefined;
  CHECK_THROWS_AS(undefined.add_(1.0), ValueError);
  CHECK_THROWS_AS(x.copy_(undefined), ValueError);
  CHECK_THROWS_AS(undefined.fill_(0.0), ValueError);
  CHECK(x.equal(before));
  CHECK(x.version() == 0);
}

TEST_CASE("elements that are one place in memory are not written") {
  Tensor x = doubles({1.0, 2.0, 3.0, 4.0});
  const std::string message = message_of<ValueError>([&] {
    x.view({4, 1}).expand({4, 3}).add_(1.0);
  });
  CHECK(says(message, "clone()"));
  CHECK(says(message, "[4, 3]"));
  CHECK_THROWS_AS(x.unfold(0, 2, 1).mul_(2.0), ValueError);
  CHECK_THROWS_AS(x.unfold(0, 3, 1).transpose(0, 1).fill_(0.0), ValueError);
  x.unfold(0, 2, 2).mul_(2.0);  // windows that do not overlap
  CHECK(x.equal(doubles({2.0, 4.0, 6.0, 8.0})));
  x.view({2, 2}).transpose(0, 1).slice(0, 0, {}, 2).add_(1.0);
  x.view({2, 2}).diagonal().add_(10.0);
  CHECK(x.equal(doubles({13.0, 4.0, 7.0, 18.0})));
}

TEST_CASE("strides that interleave are refused just where two elements are one place") {
  const Tensor x = arange(14).to(kFloat64);  // each number is its place
  int refused = 0, taken = 0;
  for (int size = 1; size <= 6; ++size)
    for (int step = 1; step <= 4; ++step)
      for (int by = 1; by <= 3; ++by)
        for (int window = 1; window <= 2; ++window) {
          Tensor y = x.unfold(0, size, step).slice(1, {}, {}, by).unfold(0, window, 2);
          std::vector<double> places = y.to_vector<double>();
          std::sort(places.begin(), places.end());
          const bool meets = std::adjacent_find(places.begin(), places.end()) != places.end();
          CAPTURE(y.sizes());
          CAPTURE(y.strides());
          if (meets) {
            CHECK_THROWS_AS(y.add_(0.0), ValueError);
          } else {
            CHECK_NOTHROW(y.add_(0.0));
          }
          refused += meets;
          taken += !meets;
        }
  CHECK(refused > 20);
  CHECK(taken > 20);
  Tensor y = x.unfold(0, 5, 3).slice(1, {}, {}, 2);  // [4, 3], strides [3, 2]
  y.fill_(-1.0);
  CHECK(x.equal(doubles(
      {-1.0, 1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, 12.0, -1.0})));
}

// Over one's own memory
// ---------------------------------------------------------------------------------

TEST_CASE("a change by an overlapping view is as if the source had been copied first") {
  const auto fresh = [] { return doubles({1.0, 2.0, 3.0, 4.0, 5.0}); };
  Tensor a = fresh();
  a.slice(0, 1) += a.slice(0, 0, -1);
  CHECK(a.equal(doubles({1.0, 3.0, 5.0, 7.0, 9.0})));
  a = fresh();
  a.slice(0, 0, -1).add_(a.slice(0, 1), 10.0);
  CHECK(a.equal(doubles({21.0, 32.0, 43.0, 54.0, 5.0})));
  a = fresh();
  a.slice(0, 1).copy_(a.slice(0, 0, -1));
  CHECK(a.equal(doubles({1.0, 1.0, 2.0, 3.0, 4.0})));
  a = fresh();
  a.mul_(a[4]);
  CHECK(a.equal(doubles({5.0, 10.0, 15.0, 20.0, 25.0})));
  a = fresh();
  a.div_(a.slice(0, 1, 2));
  CHECK(a.equal(doubles({0.5, 1.0, 1.5, 2.0, 2.5})));
  Tensor m = doubles({{1.0, 2.0}, {3.0, 4.0}});
  m.add_(m.t());
  CHECK(m.equal(doubles({{2.0, 5.0}, {5.0, 8.0}})));
  m.copy_(m.t());
  m.sub_(m);
  CHECK(m.equal(zeros({2, 2}, kFloat64)));
  Tensor whole = tensor({1, 2, 3});
  whole.slice(0, 1).copy_(whole.slice(0, 0, -1));
  CHECK(whole.equal(tensor({1, 1, 2})));
}

TEST_CASE("copy_ broadcasts and converts") {
  Tensor x = zeros({2, 3}, kFloat64);
  x.copy_(tensor({1, 2, 3}));
  CHECK(x.equal(doubles({{1.0, 2.0, 3.0}, {1.0, 2.0, 3.0}})));
  x.t()[0].copy_(tensor({7.0, 8.0}));
  CHECK(x.equal(doubles({{7.0, 2.0, 3.0}, {8.0, 2.0, 3.0}})));
  Tensor b = zeros({2}, kBool);
  b.copy_(doubles({0.0, 0.5}));
  CHECK(b.equal(tensor({false, true})));
}

TEST_CASE("random numbers in place, as a constant") {
  const Tensor x = leaf({1.0, 2.0});
  Tensor y = x * 2.0;
  y.uniform_(3, 4);
  CHECK((y >= 3.0).all().item<bool>());
  CHECK((y < 4.0).all().item<bool>());
  CHECK(!y.requires_grad());
  CHECK(y.version() > 0);
  Tensor z = zeros({1000});
  z.normal_(5, 2);
  CHECK(z.mean().item<double>() == doctest::Approx(5).epsilon(0.1));
  CHECK(z.std().item<double>() == doctest::Approx(2).epsilon(0.1));
  CHECK_THROWS_AS(leaf({1.0}).normal_(), AutogradError);
  CHECK_THROWS_AS(zeros({1}).expand({3}).uniform_(), ValueError);
  CHECK_THROWS_AS(z.normal_(0, -1), ValueError);
}

TEST_CASE("what was a leaf does not become the result of a graph that ends in it") {
  const Tensor w = ones({2}).requires_grad_();
  Tensor x = ones({2}).requires_grad_();
  const Tensor y = x - w;
  x.requires_grad_(false);
  CHECK_THROWS_WITH_AS(x.copy_(y),
                       "copy_: the tensor of shape [2] wanted a gradient before, and a graph may "
                       "lead to it; compute a new tensor instead, or clone() first",
                       AutogradError);
  CHECK(x.equal(ones({2})));
  x.copy_(y.detach());  // unrecorded, it is a tensor like any other
  CHECK(x.equal(zeros({2})));
}
