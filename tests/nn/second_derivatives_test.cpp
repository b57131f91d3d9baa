// Whole models differentiated twice, and forwards, against differences of their gradients.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

#include <cmath>

using namespace retrace;

namespace {

double dot(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] * b[i]).sum().item<double>();
  return sum;
}

double largest_of(const Tensor& x) { return x.abs().max().item<double>(); }

/// H v of the loss by all parameters is the slope of its gradient along v, and <∇f, v> what jvp
/// says; of a second direction, <u, H v> = <v, H u>.
template <class Loss>
void check(nn::Module& model, const Loss& loss) {
  const std::vector<Tensor> parameters = model.parameters();
  const auto f = [&](const std::vector<Tensor>&) { return loss(); };
  const auto g = [&](const std::vector<Tensor>&) { return std::vector<Tensor>{loss()}; };
  Generator generator(5);
  std::vector<Tensor> u, v;
  for (const Tensor& p : parameters) {
    u.push_back(randn(p.sizes(), kFloat64, &generator));
    v.push_back(randn(p.sizes(), kFloat64, &generator));
  }
  const auto gradient_at = [&](double distance) {
    NoGradGuard no_grad;
    const auto move = [&](double by) {
      for (std::size_t i = 0; i < parameters.size(); ++i) Tensor(parameters[i]).add_(v[i] * by);
    };
    move(distance);
    const std::vector<Tensor> gradient = vjp(g, parameters).gradients;
    move(-distance);
    return gradient;
  };
  constexpr double kStep = 2e-6;
  const std::vector<Tensor> above = gradient_at(kStep), below = gradient_at(-kStep);
  const std::vector<Tensor> product = hvp(f, parameters, v).products;
  double largest = 0;
  for (const Tensor& p : product) largest = std::max(largest, largest_of(p));
  REQUIRE(largest > 1e-3);
  for (std::size_t i = 0; i < product.size(); ++i) {
    CAPTURE(i);
    CHECK(largest_of(product[i] - (above[i] - below[i]) / (2 * kStep)) <= 1e-7 * largest);
  }
  CHECK(dot(u, product) == doctest::Approx(dot(v, hvp(f, parameters, u).products)).epsilon(1e-11));
  const Jvp forward = jvp(g, parameters, v);
  CHECK(forward.tangents[0].item<double>() ==
        doctest::Approx(dot(vjp(g, parameters).gradients, v)).epsilon(1e-11));
}

Tensor tokens_of(const Shape& sizes) {
  Generator generator(3);
  return randint(0, 7, sizes, &generator);
}

}  // namespace

TEST_CASE("a GPT, its loss and its attention, twice and forwards") {
  manual_seed(1);
  nn::Gpt model(7, {.context = 5,
                    .layers = 2,
                    .heads = 2,
                    .embed_dim = 8,
                    .positions = nn::Positions::rotary,
                    .tied_head = true,
                    .dtype = kFloat64});
  const Tensor tokens = tokens_of({3, 5});
  check(model, [&] { return losses::next_token_loss(model(tokens), tokens); });
}

TEST_CASE("a convolutional net with batch statistics and a maximum, twice and forwards") {
  manual_seed(2);
  nn::Sequential model{nn::Conv2d(2, 4, 3, {.padding = 1, .dtype = kFloat64}),
                       nn::BatchNorm2d(4, {.dtype = kFloat64}),
                       nn::SiLU(),
                       nn::MaxPool2d(2),
                       nn::Conv2d(4, 4, 3, {.groups = 2, .dtype = kFloat64}),
                       nn::Tanh(),
                       nn::Flatten(),
                       nn::Linear(16, 3, {.dtype = kFloat64})};
  Generator generator(4);
  const Tensor x = randn({4, 2, 8, 8}, kFloat64, &generator), y = tensor({0, 1, 2, 1});
  check(model, [&] { return losses::cross_entropy(model(x), y, {.label_smoothing = 0.1}); });
}

TEST_CASE("an LSTM, through time, twice and forwards") {
  manual_seed(3);
  nn::LSTM model(3, 4, {.num_layers = 2, .dtype = kFloat64});
  Generator generator(6);
  const Tensor x = randn({5, 2, 3}, kFloat64, &generator);
  check(model, [&] {
    const auto out = model(x);
    return out.output.square().mean() + (out.c * out.h).mean();
  });
}

TEST_CASE("cells step by step, whose state depends on the weights that they take again") {
  manual_seed(4);
  nn::LSTMCell lstm(3, 4, {.dtype = kFloat64});
  nn::GRUCell gru(3, 4, {.dtype = kFloat64});
  Generator generator(7);
  const Tensor x = randn({3, 2, 3}, kFloat64, &generator);
  check(lstm, [&] {
    LstmState state;
    for (std::int64_t t = 0; t < 3; ++t) state = lstm(x[t], state);
    return (state.h * state.c).mean();
  });
  check(gru, [&] {
    Tensor h;
    for (std::int64_t t = 0; t < 3; ++t) h = gru(x[t], h);
    return h.square().mean();
  });
}

TEST_CASE("one tensor as query, key and value, and one weight twice") {
  Generator generator(8);
  const Tensor x = randn({2, 3, 4}, kFloat64, &generator).requires_grad_();
  const auto attention = [](const std::vector<Tensor>& in) {
    const Tensor y = in[0] * 1.5;
    return std::vector<Tensor>{scaled_dot_product_attention(y, y, sin(y))};
  };
  const auto self = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{scaled_dot_product_attention(in[0], in[0], in[0])};
  };
  CHECK(gradcheck(attention, {x}));
  CHECK(gradgradcheck(attention, {x}));
  CHECK(gradgradcheck(self, {x}));
  const Tensor plain = grad({sin(self({x})[0]).sum()}, {x})[0];
  const Tensor recorded = grad({sin(self({x})[0]).sum()}, {x}, {}, false, true)[0];
  CHECK(allclose(recorded, plain, 1e-12, 1e-12));
  const Tensor weight = randn({4}, kFloat64, &generator).requires_grad_();
  const auto twice = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{layer_norm(layer_norm(in[0], {4}, in[1]), {4}, in[1])};
  };
  const Tensor rows = randn({3, 4}, kFloat64, &generator).requires_grad_();
  CHECK(gradgradcheck(twice, {rows, weight}));
  const auto of_weight = [&](bool create_graph) {
    return grad({sin(twice({rows, weight})[0]).sum()}, {weight}, {}, false, create_graph)[0];
  };
  CHECK(allclose(of_weight(true), of_weight(false), 1e-12, 1e-12));
}

TEST_CASE("hooks of a fused op's input run once, recorded or not") {
  Generator generator(9);
  const Tensor x = randn({3, 4}, kFloat64, &generator).requires_grad_();
  const Tensor c = randn({3, 4}, kFloat64, &generator);
  const auto gradient = [&](bool create_graph) {
    const Tensor y = x * 2.0;
    int calls = 0;
    y.register_hook([&](const Tensor& g) {
      ++calls;
      return g * 3.0;
    });
    const Tensor result =
        grad({(layer_norm(y, {4}) * c).sum()}, {x}, {}, false, create_graph)[0].detach();
    CHECK(calls == 1);
    return result;
  };
  CHECK(allclose(gradient(true), gradient(false), 1e-12, 1e-12));
}

TEST_CASE("a leaf that is not dense, changed after a fused op took it, keeps its old gradient") {
  Generator generator(10);
  const Tensor c = randn({3, 4}, kFloat64, &generator);
  const auto gradient = [&](bool create_graph) {
    Generator same(11);
    const Tensor x = randn({4, 3}, kFloat64, &same).t().requires_grad_();
    const Tensor loss = (layer_norm(x, {4}) * c).sum();
    x.detach().mul_(3.0);
    return grad({loss}, {x}, {}, false, create_graph)[0].detach();
  };
  CHECK(allclose(gradient(true), gradient(false), 1e-12, 1e-12));
}

TEST_CASE("numbers near the ends of float32, and rows without effect") {
  const Tensor huge = (tensor({{1.0, 2.0, 4.0, 3.0}}) * 1e20).requires_grad_();
  const Tensor c = tensor({{1.0, -2.0, 0.5, 3.0}});
  const auto of_norm = [&](bool create_graph) {
    return grad({(layer_norm(huge, {4}) * c).sum()}, {huge}, {}, false, create_graph)[0].detach();
  };
  CHECK(allclose(of_norm(true) * 1e20, of_norm(false) * 1e20, 1e-5, 1e-6));
  const double nan = std::nan("");
  const Tensor z = tensor({{1.0, 2.0}, {nan, 0.0}}, kFloat64).requires_grad_();
  const Tensor target = tensor({1, -100});
  for (const bool create_graph : {false, true}) {
    const auto of = [&](const Tensor& loss) {
      return grad({loss}, {z}, {}, false, create_graph)[0].detach();
    };
    CHECK(of(losses::cross_entropy(z, target))[1].equal(zeros({2}, kFloat64)));
    CHECK(of(losses::focal_loss_multiclass(z, target))[1].equal(zeros({2}, kFloat64)));
  }
}

TEST_CASE("a pass to given tensors visits nothing older than they are") {
  const Tensor x = ones({2}).requires_grad_();
  Tensor y = x;
  for (int i = 0; i < 100; ++i) y = y * 1.01;
  const Tensor z = (y * 2.0 + x).sum();
  const std::vector<Tensor> late = {y}, both = {y, x};
  CHECK(Backprop({z}, {}, &late, false, false).size() == 4);
  CHECK(Backprop({z}, {}, &both, false, false).size() == 103);
  CHECK(grad({z}, {y})[0].equal(full({2}, 2.0)));
  CHECK_THROWS_AS(grad({x * 2.0}, {y}, {ones({2})}), AutogradError);
  CHECK(!grad({y[0]}, {z}, {}, false, false, /*allow_unused=*/true)[0].defined());
}
