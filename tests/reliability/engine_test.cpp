// Attacks on the tape: what a caller may do between forward and backward must give the right
// gradient or an error, never a wrong number.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

#include <limits>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

}  // namespace

TEST_CASE("a leaf with hooks that becomes part of the tape, twice, and keeps its gradient") {
  const Tensor w = leaf({2.0, 3.0});
  Tensor x = leaf({1.0, 1.0});
  x.register_hook([](const Tensor&) {});
  x.requires_grad_(false);
  x.mul_(w);
  x.retain_grad();
  x.mul_(w);
  x.sum().backward();
  CHECK(w.grad().equal(doubles({4.0, 6.0})));
}

TEST_CASE("a leaf given other data since it was saved is told, not used") {
  Tensor x = leaf({1.0, 2.0});
  const Tensor y = (x * x).sum();
  x.set_data(doubles({10.0, 20.0}));
  CHECK(says(message_of<AutogradError>([&] { grad({y}, {x}, {}, true, /*create_graph=*/true); }),
             "mul: input"));
  CHECK(says(message_of<AutogradError>([&] { y.backward(); }), "mul: input"));
  CHECK(!x.grad().defined());
}

TEST_CASE("a constant that a view shows is not changed on the tape, recorded or not") {
  const Tensor w = leaf({2.0, 3.0});
  Tensor x = doubles({1.0, 1.0});
  Tensor first = x[0];
  CHECK(says(message_of<AutogradError>([&] { x.mul_(w); }), "shares its numbers"));
  CHECK(x.equal(doubles({1.0, 1.0})));
  CHECK(x.version() == 0);
  first = {};
  x.mul_(w);
  x[0].backward();
  CHECK(w.grad().equal(doubles({1.0, 0.0})));
}

TEST_CASE("detached handles and views of views share what a version counts") {
  const Tensor x = leaf({{1.0, 2.0}, {3.0, 4.0}});
  const Tensor y = (x * 1.0).exp();
  const Tensor sum = y.sum();
  {
    const NoGradGuard guard;
    y.detach().transpose(0, 1)[1].narrow(0, 1, 1).fill_(0.0);
  }
  CHECK(y.version() == 1);
  CHECK(says(message_of<AutogradError>([&] { sum.backward(); }), "exp: its output"));
  CHECK(!x.grad().defined());
}
