#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/messages.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

namespace {

using namespace retrace;
using testing::message_of;

// The element of x at `index` of a shape that x broadcasts to, its last two dims aside.
double at(const Tensor& x, Shape index) {
  while (index.size() > x.dim()) index.erase(0);
  std::int64_t offset = 0;
  for (int d = 0; d < x.dim(); ++d)
    offset += (d < x.dim() - 2 && x.sizes()[d] == 1 ? 0 : index[d]) * x.strides()[d];
  return x.dtype() == kFloat64 ? x.data_ptr<double>()[offset]
                               : static_cast<double>(x.data_ptr<float>()[offset]);
}

// a b for operands of at least two dims, by the definition; `batch` is what they broadcast to.
std::vector<double> naive_product(const Tensor& a, const Tensor& b, const Shape& batch) {
  std::vector<double> result;
  const std::int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1), count = batch.numel();
  for (std::int64_t item = 0; item < count; ++item) {
    Shape index = batch;
    for (std::int64_t d = batch.size() - 1, rest = item; d >= 0; --d) {
      index[static_cast<int>(d)] = rest % batch[static_cast<int>(d)];
      rest /= batch[static_cast<int>(d)];
    }
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::int64_t p = 0; p < k; ++p) {
          Shape left = index, right = index;
          left.push_back(i), left.push_back(p);
          right.push_back(p), right.push_back(j);
          sum += at(a, left) * at(b, right);
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

void check_close(const Tensor& x, const std::vector<double>& expected, double tolerance) {
  const std::vector<double> values = x.to_vector<double>();
  REQUIRE(values.size() == expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(values[i] - expected[i]) <= tolerance * (1 + std::abs(expected[i])));
  }
}

TEST_CASE("matmul of matrices and stacks is the sum of products") {
  struct Case {
    Shape a, b, batch;
  };
  const std::vector<Case> cases = {
      {{3, 4}, {4, 2}, {}},           {{1, 4}, {4, 1}, {}},
      {{70, 33}, {33, 65}, {}},       {{2, 3, 4}, {4, 2}, {2}},
      {{5, 2, 3, 4}, {4, 2}, {5, 2}}, {{3, 4}, {2, 4, 2}, {2}},
      {{2, 3, 4}, {2, 4, 5}, {2}},    {{2, 1, 3, 4}, {3, 4, 2}, {2, 3}},
      {{1, 3, 4}, {6, 4, 2}, {6}},    {{4, 1, 2, 3}, {1, 5, 3, 2}, {4, 5}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.a.str());
    CAPTURE(c.b.str());
    for (const DType dtype : {kFloat32, kFloat64}) {
      const Tensor a = random(c.a, dtype), b = random(c.b, dtype);
      const Tensor y = matmul(a, b);
      Shape sizes = c.batch;
      sizes.push_back(c.a[c.a.size() - 2]), sizes.push_back(c.b.back());
      CHECK(y.sizes() == sizes);
      CHECK(y.is_contiguous());
      CHECK(y.dtype() == dtype);
      check_close(y, naive_product(a, b, c.batch), dtype == kFloat32 ? 1e-5 : 1e-13);
    }
  }
}

TEST_CASE("matmul reads operands of any strides") {
  const Tensor plain_a = random({6, 5, 4}), plain_b = random({6, 4, 3});
  const std::vector<Tensor> lefts = {
      plain_a,
      random({6, 4, 5}).transpose(1, 2),
      random({5, 6, 4}).transpose(0, 1),
      random({4, 5, 6}).permute({2, 1, 0}),
      random({12, 10, 8}).slice(0, 0, 12, 2).slice(1, 0, 10, 2).slice(2, 1, 8, 2),
      random({1, 5, 4}).expand({6, 5, 4}),
      random({6, 1, 4}).expand({6, 5, 4}),
      random({6, 5, 1}).expand({6, 5, 4})};
  const std::vector<Tensor> rights = {plain_b,
                                      random({6, 3, 4}).transpose(1, 2),
                                      random({4, 3}),
                                      random({3, 4}).t(),
                                      random({8, 3}).slice(0, 0, 8, 2),
                                      random({4, 6}).slice(1, 0, 6, 2),
                                      random({4, 1}).expand({4, 3}),
                                      random({1, 3}).expand({4, 3})};
  for (std::size_t i = 0; i < lefts.size(); ++i) {
    for (std::size_t j = 0; j < rights.size(); ++j) {
      CAPTURE(i);
      CAPTURE(j);
      check_close(matmul(lefts[i], rights[j]), naive_product(lefts[i], rights[j], {6}), 1e-13);
    }
  }
}

TEST_CASE("vectors are rows on the left, columns on the right, and leave no dim") {
  const Tensor a = tensor({1.0, 2.0, 3.0}), b = tensor({4.0, 5.0, 6.0});
  CHECK(matmul(a, b).equal(tensor(32.0)));
  CHECK(a.matmul(b).dim() == 0);
  const Tensor m = tensor({{1.0, 0.0, 2.0}, {0.0, 3.0, 0.0}});
  CHECK(matmul(m, a).equal(tensor({7.0, 6.0})));
  CHECK(mv(m, a).equal(tensor({7.0, 6.0})));
  CHECK(matmul(a, m.t()).equal(tensor({7.0, 6.0})));
  CHECK(dot(a, b).equal(tensor(32.0)));
  CHECK(outer(tensor({1.0, 2.0}), a).equal(tensor({{1.0, 2.0, 3.0}, {2.0, 4.0, 6.0}})));
  const Tensor stack = random({2, 5, 3}), v = random({3}), w = random({5});
  check_close(matmul(stack, v), naive_product(stack, v.unsqueeze(1), {2}), 1e-14);
  CHECK(matmul(stack, v).sizes() == Shape({2, 5}));
  check_close(matmul(w, stack), naive_product(w.unsqueeze(0), stack, {2}), 1e-14);
  CHECK(matmul(w, stack).sizes() == Shape({2, 3}));
}

TEST_CASE("products of whole numbers are exact and unrecorded") {
  const Tensor a = tensor({{1, 2}, {3, 4}}), b = tensor({{1000000007, 0}, {5, 1}});
  CHECK(matmul(a, b).equal(tensor({{1000000017, 2}, {3000000041, 4}})));
  CHECK(matmul(a, tensor({1, 1})).equal(tensor({3, 7})));
  CHECK(!matmul(a, b).requires_grad());
}

TEST_CASE("empty operands") {
  const auto shape_of = [](const Shape& a, const Shape& b) {
    return matmul(zeros(a), zeros(b)).sizes();
  };
  CHECK(shape_of({0, 4}, {4, 2}) == Shape({0, 2}));
  CHECK(shape_of({2, 4}, {4, 0}) == Shape({2, 0}));
  CHECK(shape_of({0, 2, 3}, {0, 3, 4}) == Shape({0, 2, 4}));
  CHECK(shape_of({0, 2, 3}, {3, 4}) == Shape({0, 2, 4}));
  // Nothing is summed: zeros, whatever the memory held.
  for (int i = 0; i < 3; ++i) {
    full({2, 3}, std::numeric_limits<double>::quiet_NaN());
    CHECK(matmul(zeros({2, 0}), zeros({0, 3})).equal(zeros({2, 3})));
    CHECK(matmul(zeros({4, 2, 0}), zeros({4, 0, 3})).equal(zeros({4, 2, 3})));
  }
  CHECK(matmul(zeros({0}), zeros({0})).equal(tensor(0.0)));
  CHECK(matmul(zeros({3, 0}), zeros({0})).equal(zeros({3})));

  Tensor a = zeros({2, 0}).requires_grad_(), b = zeros({0, 3}).requires_grad_();
  sum(matmul(a, b)).backward();
  CHECK(a.grad().sizes() == Shape({2, 0}));
  CHECK(b.grad().sizes() == Shape({0, 3}));
  Tensor c = zeros({0, 4}).requires_grad_(), d = ones({4, 2}).requires_grad_();
  sum(matmul(c, d)).backward();
  CHECK(c.grad().sizes() == Shape({0, 4}));
  CHECK(d.grad().equal(zeros({4, 2})));
}

TEST_CASE("gradients of products, first and second") {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{3, 4}, {4, 2}},       {{4}, {4}},          {{3, 4}, {4}},       {{4}, {4, 2}},
      {{2, 3, 4}, {2, 4, 2}}, {{2, 3, 4}, {4, 2}}, {{3, 4}, {2, 4, 2}}, {{2, 1, 3, 4}, {3, 4, 2}},
      {{2, 3, 4}, {4}},       {{4}, {2, 4, 2}},    {{1, 4}, {4, 1}},    {{2, 2, 3, 4}, {4, 2}},
      {{0, 4}, {4, 2}},       {{3, 1, 2}, {2, 3}},
  };
  const auto f = [](const std::vector<Tensor>& in) { return matmul(in[0], in[1]); };
  for (const auto& pair : shapes) {
    const Shape &a = pair.first, &b = pair.second;
    CAPTURE(a.str());
    CAPTURE(b.str());
    const std::vector<Tensor> inputs = {random(a).requires_grad_(), random(b).requires_grad_()};
    CHECK(gradcheck(f, inputs));
    CHECK(gradgradcheck(f, inputs));
  }
  const Tensor a = random({4, 3}).requires_grad_(), b = random({2, 4}).requires_grad_();
  CHECK(gradcheck([](const std::vector<Tensor>& in) { return matmul(in[0].t(), in[1].t()); },
                  {a, b}));
  const Tensor square = random({3, 3}).requires_grad_();
  CHECK(gradcheck([](const std::vector<Tensor>& in) { return matmul(in[0], in[0]); }, {square}));
  CHECK(gradgradcheck([](const std::vector<Tensor>& in) { return matmul(in[0], in[0].t()); },
                      {square}));
  // Only one of the operands wants a gradient.
  CHECK(gradcheck([b = random({4, 2})](const std::vector<Tensor>& in) { return matmul(in[0], b); },
                  {random({2, 3, 4}).requires_grad_()}));
  CHECK(
      gradcheck([a = random({2, 3, 4})](const std::vector<Tensor>& in) { return matmul(a, in[0]); },
                {random({4, 2}).requires_grad_()}));
}

TEST_CASE("the product adds to a gradient that is there already") {
  Tensor w = random({4, 3}).requires_grad_();
  const Tensor x = random({2, 5, 4}), u = random({2, 5, 3});
  matmul(x, w).backward(u);
  const Tensor once = w.grad().clone();
  matmul(x, w).backward(u);
  check_close(w.grad(), (once + once).to_vector<double>(), 1e-14);
  const Tensor seen = w.grad();  // somebody looks at it: it may not change under them
  const Tensor before = seen.clone();
  matmul(x, w).backward(u);
  CHECK(seen.equal(before));
  check_close(w.grad(), (once * 3.0).to_vector<double>(), 1e-14);
}

TEST_CASE("addmm") {
  const Tensor c = random({2}), a = random({3, 4}), b = random({4, 2});
  check_close(addmm(c, a, b), (matmul(a, b) + c).to_vector<double>(), 1e-14);
  check_close(addmm(c, a, b, 0.5, 2), (matmul(a, b) * 2.0 + c * 0.5).to_vector<double>(), 1e-14);
  const Tensor nan = full({2}, std::numeric_limits<double>::quiet_NaN(), kFloat64);
  check_close(addmm(nan, a, b, 0), matmul(a, b).to_vector<double>(), 1e-14);
  const auto f = [](const std::vector<Tensor>& in) {
    return addmm(in[0], in[1], in[2], 0.5, -2.0);
  };
  for (const Shape& sizes : {Shape{2}, Shape{3, 2}, Shape{}, Shape{3, 1}}) {
    const std::vector<Tensor> inputs = {random(sizes).requires_grad_(),
                                        random({3, 4}).requires_grad_(),
                                        random({4, 2}).requires_grad_()};
    CHECK(gradcheck(f, inputs));
    CHECK(gradgradcheck(f, inputs));
  }
  CHECK(message_of([&] { addmm(random({3}), a, b); }).find("[3]") != std::string::npos);
  CHECK(message_of([&] { addmm(random({2, 3, 2}), a, b); }).find("[2, 3, 2]") != std::string::npos);
}

TEST_CASE("what does not fit is refused by name, shape and remedy") {
  const Tensor a = zeros({2, 3});
  CHECK(message_of([&] { matmul(a, a); }) ==
        "matmul: inner sizes differ, [2, 3] @ [2, 3] (3 vs 2); transpose the right operand or "
        "check the layer sizes");
  CHECK_THROWS_AS(matmul(a, a), ShapeError);
  CHECK(message_of([] {
          matmul(zeros({3}), zeros({4}));
        }).starts_with("matmul: inner sizes differ, [3] @ [4] (3 vs 4)"));
  CHECK(message_of([] { matmul(tensor(1.0), tensor(2.0)); }).starts_with("matmul: [] @ []"));
  CHECK(message_of([&] {
          mm(zeros({2, 3, 4}), a);
        }).starts_with("mm: operands are [2, 3, 4] and [2, 3]"));
  CHECK(message_of([] {
          bmm(zeros({2, 3, 4}), zeros({3, 4, 2}));
        }).starts_with("bmm: batch sizes differ, [2, 3, 4] @ [3, 4, 2] (2 vs 3)"));
  CHECK(message_of([] { matmul(zeros({2, 3, 4}), zeros({3, 4, 2})); }).starts_with("matmul: "));
  CHECK(message_of([&] {
          matmul(a, zeros({3, 2}, kFloat64));
        }) ==
        "matmul: operands are float32 [2, 3] and float64 [3, 2]; convert one with .to(float32)");
  CHECK_THROWS_AS(matmul(zeros({2, 3}, kInt64), zeros({3, 2})), DTypeError);
  CHECK_THROWS_AS(matmul(zeros({2, 3}, kBool), zeros({3, 2}, kBool)), DTypeError);
  CHECK_THROWS_AS(matmul(Tensor(), a), ValueError);
  CHECK_THROWS_AS(dot(a, a), ShapeError);
  CHECK_THROWS_AS(mv(a, a), ShapeError);
  CHECK_THROWS_AS(outer(a, zeros({2})), ShapeError);
}

TEST_CASE("any number of threads gives the same bits") {
  const Tensor a = random({3, 130, 70}, kFloat32), b = random({70, 500}, kFloat32),
               c = random({3, 70, 500}, kFloat32);
  const int before = num_threads();
  set_num_threads(1);
  const Tensor one = matmul(a, b), one_batched = matmul(a, c);
  set_num_threads(2);
  const Tensor two = matmul(a, b), two_batched = matmul(a, c);
  set_num_threads(before);
  CHECK(one.equal(two));
  CHECK(one_batched.equal(two_batched));
}

TEST_CASE("large and small numbers") {
  const Tensor a = tensor({{1e4, -1e4}, {1e-4, 1e4}});
  CHECK(matmul(a, tensor({{1e4}, {1e4}})).equal(tensor({{0.0}, {1e8 + 1.0}})));
  const double inf = std::numeric_limits<double>::infinity();
  const Tensor y = matmul(tensor({{1.0, inf}}), tensor({{1.0}, {0.0}}));
  CHECK(std::isnan(y.item<double>()));
}

// einsum -----------------------------------------------------------------------------------------

TEST_CASE("einsum agrees with the ops that it stands for") {
  const Tensor a = random({2, 3}), b = random({3, 4}), s = random({3, 3}), v = random({3});
  const Tensor q = random({2, 2, 3, 4}), k = random({2, 2, 5, 4});
  const auto same = [](const Tensor& x, const Tensor& y) {
    CHECK(x.sizes() == y.sizes());
    check_close(x, y.to_vector<double>(), 1e-13);
  };
  same(einsum("ij,jk->ik", {a, b}), matmul(a, b));
  same(einsum("ij,jk", {a, b}), matmul(a, b));
  same(einsum(" i j , j k -> k i ", {a, b}), matmul(a, b).t());
  same(einsum("bhqd,bhkd->bhqk", {q, k}), matmul(q, k.transpose(2, 3)));
  same(einsum("bhqd,bhkd->qhbk", {q, k}), matmul(q, k.transpose(2, 3)).permute({2, 1, 0, 3}));
  same(einsum("...qd,...kd->...qk", {q, k}), matmul(q, k.transpose(2, 3)));

  same(einsum("ii->", {s}), sum(s.diagonal()));
  same(einsum("ii", {s}), sum(s.diagonal()));
  same(einsum("ii->i", {s}), s.diagonal());
  same(einsum("ij->ji", {a}), a.t());
  same(einsum("ij->", {a}), sum(a));
  same(einsum("ij->j", {a}), sum(a, 0));
  same(einsum("ba", {a}), a.t());
  const Tensor cube = random({2, 3, 4});
  same(einsum("ijk->ki", {cube}), sum(cube, 1).t());
  same(einsum("ijk,kl->li", {cube, random({4, 5}) * 0.0 + 1.0}),
       sum(cube, Shape{1, 2}).expand({5, 2}));
  same(einsum("i,i->", {v, v}), dot(v, v));
  same(einsum("i,j->ij", {v, v}), outer(v, v));
  same(einsum("ij,ij->ij", {a, a}), a * a);
  same(einsum("ij,ij->i", {a, a}), sum(a * a, 1));
  same(einsum("ij,j->ij", {a, v}), a * v);
  same(einsum(",ij->ij", {tensor(2.0, kFloat64), a}), a * 2.0);
  same(einsum("ij,kl->", {a, b}), sum(a) * sum(b));
  same(einsum("ij,...j->...i", {a, q.transpose(2, 3)}), matmul(q.transpose(2, 3), a.t()));
  same(einsum("ij,ij->ij", {a, random({1, 3}).expand({1, 3}) * 0.0 + 1.0}), a);
  same(einsum("iij->j", {random({2, 2, 3}) * 0.0 + 1.0}), full({3}, 2.0, kFloat64));
  same(einsum("Ab,bA->A", {a, a.t()}), sum(a * a, 1));
  CHECK(einsum("ij,jk->ik", {tensor({{1, 2}}), tensor({{3}, {4}})}).equal(tensor({{11}})));
}

TEST_CASE("einsum of three operands") {
  const Tensor x = random({2, 3}), w = random({3, 4}), y = random({2, 4});
  const Tensor expected = sum(matmul(x, w) * y, 1);
  check_close(einsum("bi,ij,bj->b", {x, w, y}), expected.to_vector<double>(), 1e-13);
}

TEST_CASE("gradients of einsum") {
  const auto check = [](const char* equation, const std::vector<Shape>& shapes) {
    CAPTURE(equation);
    std::vector<Tensor> inputs;
    for (const Shape& sizes : shapes) inputs.push_back(random(sizes).requires_grad_());
    const auto f = [equation](const std::vector<Tensor>& in) { return einsum(equation, in); };
    CHECK(gradcheck(f, inputs));
    CHECK(gradgradcheck(f, inputs));
  };
  check("ij,jk->ik", {{2, 3}, {3, 4}});
  check("bhqd,bhkd->bhqk", {{2, 2, 3, 4}, {2, 2, 5, 4}});
  check("ij->ji", {{2, 3}});
  check("bi,ij,bj->b", {{2, 3}, {3, 4}, {2, 4}});
  check("...i,ij->...j", {{2, 2, 3}, {3, 2}});
  check("ij,ij->i", {{1, 3}, {2, 3}});
}

TEST_CASE("einsum says what it cannot read") {
  const Tensor a = zeros({2, 3}), b = zeros({3, 4});
  const auto refused = [](const char* equation, const std::vector<Tensor>& in) {
    return message_of([&] { einsum(equation, in); });
  };
  CHECK(refused("ij,jk->ik", {a}).find("names 2 operands, 1 were given") != std::string::npos);
  CHECK(refused("ijk->i", {a}).find("names 3 dims of an operand of 2") != std::string::npos);
  CHECK(refused("ij,jk->im", {a, b}).find("'m' in the result") != std::string::npos);
  CHECK(refused("ij->ii", {a}).find("twice in the result") != std::string::npos);
  CHECK(refused("ij,ji->", {a, b}).find("sizes 2 and 4 for 'i'") != std::string::npos);
  CHECK(refused("i1->i", {a}).find("'1'") != std::string::npos);
  // Digits are what the dims of `...` are called inside.
  CHECK(refused("...1->...", {a}).find("'1' where a letter") != std::string::npos);
  CHECK(refused("ii->i", {a}).find("diagonal") != std::string::npos);
  CHECK_THROWS_AS(einsum("ij,jk->ik", {a, zeros({3, 4}, kFloat64)}), DTypeError);
  CHECK_THROWS_AS(einsum("", {}), ValueError);
}

}  // namespace
