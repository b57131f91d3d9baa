#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

TEST_CASE("Linear") {
  nn::Linear fc(2, 3);
  fc.load_state_dict({{"weight", tensor({{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}})},
                      {"bias", tensor({0.5, 0.0, -0.5})}});
  CHECK(fc(tensor({{1.0, 0.0}, {1.0, 1.0}})).equal(tensor({{1.5, 3.0, 4.5}, {3.5, 7.0, 10.5}})));
  CHECK(fc(ones({2})).sizes() == Shape({3}));
  CHECK(fc(ones({4, 5, 2})).sizes() == Shape({4, 5, 3}));
  CHECK(fc(ones({0, 2})).sizes() == Shape({0, 3}));
  const nn::Linear plain(2, 3, {.bias = false, .dtype = kFloat64});
  CHECK(!plain.bias.defined());
  CHECK(plain.weight.dtype() == kFloat64);
  CHECK(plain.parameters().size() == 1);
}

TEST_CASE("Linear starts uniform within 1 / sqrt(in_features), seeded") {
  manual_seed(3);
  const nn::Linear a(64, 128);
  manual_seed(3);
  const nn::Linear b(64, 128);
  CHECK(a.weight.equal(b.weight));
  CHECK(a.bias.equal(b.bias));
  double largest = 0, squares = 0;
  for (const double w : a.weight.to_vector<double>()) {
    largest = std::max(largest, std::abs(w));
    squares += w * w;
  }
  CHECK(largest <= 0.125);
  CHECK(largest > 0.124);
  // Variance of the uniform distribution: bound² / 3; 8192 draws know it to 1 %.
  CHECK(squares / 8192 == doctest::Approx(0.125 * 0.125 / 3).epsilon(0.04));
  for (const double bias : a.bias.to_vector<double>()) CHECK(std::abs(bias) <= 0.125);
}

TEST_CASE("Linear of nothing") {
  const nn::Linear none(0, 3), to_none(3, 0);
  CHECK(none(ones({2, 0})).equal(zeros({2, 3})));
  CHECK(to_none(ones({2, 3})).sizes() == Shape({2, 0}));
}

TEST_CASE("bad Linears") {
  CHECK(says(message_of<ValueError>([] { nn::Linear(-1, 2); }), "in_features is -1"));
  CHECK(!message_of<DTypeError>([] { nn::Linear(1, 2, {.dtype = kInt64}); }).empty());
  CHECK(says(message_of<ShapeError>([] { nn::Linear(ones({2})); }), "[2]"));
  CHECK(says(message_of<ShapeError>([] { nn::Linear(ones({2, 3}), ones({3})); }), "the bias [3]"));
  nn::Linear fc(2, 3);
  CHECK(!message_of<ShapeError>([&] { fc(ones({2, 3})); }).empty());
  CHECK(!message_of<DTypeError>([&] { fc(ones({2, 2}, kFloat64)); }).empty());
  CHECK(!message_of<ValueError>([&] { fc({}); }).empty());
}

TEST_CASE("Embedding") {
  nn::Embedding table(4, 2, {.padding_idx = -1});
  CHECK(table.weight[3].equal(zeros({2})));
  const Tensor y = table(tensor({{1, 3}, {1, 0}}));
  CHECK(y.sizes() == Shape({2, 2, 2}));
  CHECK(y[0][0].equal(table.weight[1]));
  y.sum().backward();
  CHECK(table.weight.grad().equal(tensor({{1.0, 1.0}, {2.0, 2.0}, {0.0, 0.0}, {0.0, 0.0}})));
  CHECK(says(message_of<IndexError>([&] { table(tensor({0, 4})); }), "4"));
  CHECK(says(message_of<IndexError>([] { nn::Embedding(4, 2, {.padding_idx = 4}); }), "4 rows"));
  CHECK(!message_of<ValueError>([] { nn::Embedding(-1, 2); }).empty());
  CHECK(nn::Embedding(0, 2)(zeros({0}, kInt64)).sizes() == Shape({0, 2}));
  CHECK(says(nn::Embedding(617, 2).summary(), "1,234 parameters"));
  CHECK(says(nn::Embedding(617'284, 2).summary(), "1,234,568 parameters"));
  CHECK(!message_of<ShapeError>([] { nn::Embedding{ones({3})}; }).empty());
}

TEST_CASE("LayerNorm") {
  nn::LayerNorm norm({2, 3});
  CHECK(norm.weight.sizes() == Shape({2, 3}));
  const Tensor y = norm(randn({5, 2, 3}));
  for (std::int64_t i = 0; i < 5; ++i) {
    CHECK(std::abs(y[i].mean().item<double>()) < 1e-6);
    CHECK(std::abs(y[i].square().mean().item<double>() - 1) < 1e-3);
  }
  CHECK(nn::LayerNorm(3, {.bias = false}).parameters().size() == 1);
  CHECK(nn::LayerNorm(3, {.elementwise_affine = false}).parameters().empty());
  CHECK(nn::LayerNorm(3, {.elementwise_affine = false})(ones({2, 3})).equal(zeros({2, 3})));
  CHECK(!message_of<ShapeError>([&] { norm(ones({3, 2})); }).empty());
  CHECK(!message_of<ValueError>([] { nn::LayerNorm(Shape{}); }).empty());
  CHECK(!message_of<ValueError>([] { nn::LayerNorm(3, {.eps = -1}); }).empty());
}

TEST_CASE("Dropout") {
  nn::Dropout dropout(0.25);
  const Tensor x = ones({10000});
  const Tensor y = dropout(x);
  double kept = 0;
  for (const double value : y.to_vector<double>()) {
    CHECK((value == 0 || value == doctest::Approx(4.0 / 3)));
    kept += value != 0;
  }
  CHECK(std::abs(kept - 7500) < 5 * std::sqrt(10000 * 0.25 * 0.75));
  dropout.eval();
  CHECK(dropout(x).equal(x));
  CHECK(nn::Dropout(1.0)(x).equal(zeros({10000})));
  CHECK(nn::Dropout(0.0)(x).equal(x));
  for (const double bad : {-0.1, 1.5, std::nan("")})
    CHECK(says(message_of<ValueError>([=] { nn::Dropout{bad}; }), "give a probability"));
}

TEST_CASE("a multilayer perceptron is its layers with activations between them") {
  manual_seed(3);
  nn::Mlp mlp(6, 2, {.hidden = {5, 4}, .activation = [](const Tensor& x) { return tanh(x); }});
  const Tensor x = randn({7, 2, 3});
  const auto& f = mlp.layers;
  CHECK(mlp(x).equal(f[2](tanh(f[1](tanh(f[0](x.flatten(1))))))));
  CHECK(mlp.named_parameters().size() == 6);
  CHECK(nn::Mlp(3, 1, {.hidden = {}})(randn({4, 3})).sizes() == Shape{4, 1});
  nn::Mlp twin = nn::clone(mlp);
  twin.layers[0].weight.detach().zero_();
  CHECK_FALSE(twin(x).equal(mlp(x)));
  nn::Mlp noisy(6, 2, {.dropout = 0.5});
  CHECK_FALSE(noisy(x).equal(noisy(x)));
  noisy.eval();
  CHECK(noisy(x).equal(noisy(x)));
  CHECK_THROWS_AS(nn::Mlp(2, 1, {.dropout = 2}), ValueError);
}
