// Whole models differentiated twice, and forwards, against differences of their gradients.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

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
