// Ops made of other ops that are one node of the tape.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

using namespace retrace;

namespace {

struct Product {
  static constexpr std::string_view op = "gated_product", formula = "y = σ(a) · tanh(b)",
                                    gradient = "da = g · σ'(a) tanh(b), db = g · σ(a) tanh'(b)";
};
Tensor gated_product(const Tensor& a, const Tensor& b) {
  return composite<Product>(
      [](const Tensor& u, const Tensor& v) {
        return v.defined() ? u.sigmoid() * v.tanh() : u.sigmoid();
      },
      a, b);
}

struct First {
  static constexpr std::string_view op = "first", formula = "y = a", gradient = "da = g, db = 0";
};

Tensor numbers(const Shape& sizes) { return randn(sizes, kFloat64).requires_grad_(); }

}  // namespace

TEST_CASE("a composite op is one node with its own texts, and its gradients are those of its ops") {
  manual_seed(1);
  const Tensor a = numbers({3, 4}), b = numbers({4});
  const Tensor y = gated_product(a, b);
  const std::vector<Ref<Node>> tape = Backprop(y.sum()).tape();
  REQUIRE(tape.size() == 2);  // sum, gated_product
  CHECK(tape[1]->name() == "gated_product");
  CHECK(tape[1]->formula_text() == "y = σ(a) · tanh(b)");
  CHECK(y.equal(a.sigmoid() * b.tanh()));

  const auto both = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{gated_product(in[0], in[1])};
  };
  CHECK(gradcheck(both, {a, b}));
  CHECK(gradgradcheck(both, {a, b}));
  CHECK(gradcheck(
      [](const std::vector<Tensor>& in) {
        return std::vector<Tensor>{gated_product(in[0], in[0])};
      },
      {numbers({2, 2})}));
}

TEST_CASE("only inputs that want a gradient get one, and an input may be left out") {
  manual_seed(2);
  const Tensor a = numbers({3}), constant = randn({3}, kFloat64);
  gated_product(a, constant).sum().backward();
  CHECK(a.grad().defined());
  CHECK(!constant.grad().defined());
  const Tensor alone = numbers({3});
  gated_product(alone, Tensor()).sum().backward();
  const Tensor s = alone.detach().sigmoid();
  CHECK((alone.grad() - s * (1 - s)).abs().max().item<double>() < 1e-15);
  const NoGradGuard no_grad;
  CHECK(!gated_product(a, constant).requires_grad());
}

TEST_CASE("what a composite op kept goes after backward, stays on request, and is guarded") {
  manual_seed(3);
  Tensor a = numbers({3}), b = numbers({3});
  gated_product(a, b).sum().backward();
  a.zero_grad();
  b.zero_grad();
  const auto blocks = memory_stats().live_blocks;
  {
    const Tensor y = gated_product(a, b).sum();
    y.backward({}, /*retain_graph=*/true);
    const Tensor once = a.grad().clone();
    y.backward();
    CHECK((a.grad() - once - once).abs().max().item<double>() == 0.0);
    CHECK_THROWS_AS(y.backward(), AutogradError);
  }
  a.zero_grad();
  b.zero_grad();
  CHECK(memory_stats().live_blocks == blocks);

  const Tensor changed = gated_product(a, b).sum();
  {
    const NoGradGuard no_grad;
    b.add_(1.0);
  }
  CHECK_THROWS_WITH_AS(changed.backward(), doctest::Contains("gated_product"), AutogradError);
}

TEST_CASE("a composite op whose body is constant in an input gives it zeros") {
  const Tensor a = ones({2}).requires_grad_(), b = ones({2}).requires_grad_();
  composite<First>([](const Tensor& u, const Tensor&) { return u * 1.0; }, a, b).sum().backward();
  CHECK(a.grad().equal(ones({2})));
  CHECK((!b.grad().defined() || b.grad().equal(zeros({2}))));
  // Nothing at all flows back.
  composite<First>([](const Tensor& u, const Tensor&) { return u.detach() * 1.0; }, a, b)
      .sum()
      .backward();
  CHECK(a.grad().equal(ones({2})));
}

TEST_CASE("after backward nothing of the inner tape is kept, whoever holds the output") {
  const auto kept = [](const auto& op) {
    const Tensor a = numbers({64}), b = numbers({64});
    const std::size_t before = memory_stats().live_blocks;
    const Tensor y = op(a, b);
    y.sum().backward();
    Tensor(a).zero_grad();
    Tensor(b).zero_grad();
    return memory_stats().live_blocks - before;
  };
  const auto product = [](const Tensor& a, const Tensor& b) { return a * b; };
  CHECK(kept(gated_product) == kept(product));
}
