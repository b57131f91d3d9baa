#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>

#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

std::vector<std::string> names_of(const nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : module.named_parameters()) names.push_back(name);
  return names;
}

TEST_CASE("an activation module is the function of its name with its options") {
  const Tensor x = randn({3, 4});
  CHECK(nn::Sigmoid()(x).equal(sigmoid(x)));
  CHECK(nn::Tanh()(x).equal(tanh(x)));
  CHECK(nn::Softsign()(x).equal(softsign(x)));
  CHECK(nn::LogSigmoid()(x).equal(logsigmoid(x)));
  CHECK(nn::Hardsigmoid()(x).equal(hardsigmoid(x)));
  CHECK(nn::ReLU()(x).equal(relu(x)));
  CHECK(nn::ReLU6()(x).equal(relu6(x)));
  CHECK(nn::SELU()(x).equal(selu(x)));
  CHECK(nn::QuickGELU()(x).equal(quick_gelu(x)));
  CHECK(nn::SiLU()(x).equal(silu(x)));
  CHECK(nn::Mish()(x).equal(mish(x)));
  CHECK(nn::Hardswish()(x).equal(hardswish(x)));
  CHECK(nn::Tanhshrink()(x).equal(tanhshrink(x)));
  CHECK(nn::Hardtanh()(x).equal(hardtanh(x)));
  CHECK(nn::Hardtanh({.min_val = -0.1, .max_val = 0.2})(x).equal(hardtanh(x, -0.1, 0.2)));
  CHECK(nn::LeakyReLU()(x).equal(leaky_relu(x)));
  CHECK(nn::LeakyReLU({.negative_slope = 0.2})(x).equal(leaky_relu(x, 0.2)));
  CHECK(nn::Softplus()(x).equal(softplus(x)));
  CHECK(nn::Softplus({.beta = 3, .threshold = 1})(x).equal(softplus(x, 3, 1)));
  CHECK(nn::ELU()(x).equal(elu(x)));
  CHECK(nn::ELU({.alpha = 0.5})(x).equal(elu(x, 0.5)));
  CHECK(nn::CELU({.alpha = 0.5})(x).equal(celu(x, 0.5)));
  CHECK(nn::GELU()(x).equal(gelu(x)));
  CHECK(nn::GELU({.approximate = Approximate::tanh})(x).equal(gelu(x, Approximate::tanh)));
  CHECK(nn::Softshrink(0.1)(x).equal(softshrink(x, 0.1)));
  CHECK(nn::Hardshrink(0.1)(x).equal(hardshrink(x, 0.1)));
  CHECK(nn::Softmax(-1)(x).equal(softmax(x, -1)));
  CHECK(nn::Softmax(0)(x).equal(softmax(x, 0)));
  CHECK(nn::LogSoftmax(0)(x).equal(log_softmax(x, 0)));
  CHECK(nn::Softmin(1)(x).equal(softmin(x, 1)));
  CHECK(nn::GLU()(x).equal(glu(x)));
  CHECK(nn::SwiGLU({.gate = Gate::first})(x).equal(swiglu(x, -1, Gate::first)));
  CHECK(nn::GEGLU({.approximate = Approximate::tanh})(x).equal(
      geglu(x, -1, Gate::second, Approximate::tanh)));
  CHECK(nn::ReGLU()(x).equal(reglu(x)));
  CHECK(nn::BilinearGLU()(x).equal(bilinear_glu(x)));
  CHECK(!message_of<IndexError>([&] { nn::Softmax(2)(x); }).empty());
}

TEST_CASE("activation modules are named by their class and show their options") {
  nn::Sequential net(nn::ReLU(), nn::GELU({.approximate = Approximate::tanh}), nn::Softmax(-1),
                     nn::SwiGLU(), nn::PReLU({.num_parameters = 3}));
  const std::string summary = net.summary();
  for (const char* part : {"ReLU", "GELU(approximate=tanh)", "Softmax(dim=-1)",
                           "SwiGLU(dim=-1, gate=second)", "PReLU(num_parameters=3)"})
    CHECK_MESSAGE(says(summary, part), summary);
}

TEST_CASE("PReLU and Swish learn their parameter; a clone learns its own") {
  nn::PReLU prelu_module({.num_parameters = 2, .init = 0.5});
  nn::Swish swish_module;
  CHECK(prelu_module.weight.equal(full({2}, 0.5)));
  CHECK(swish_module.beta.equal(tensor(1.0)));
  const Tensor x = tensor({{-1.0, -2.0}, {3.0, -4.0}});
  CHECK(prelu_module(x).equal(prelu(x, prelu_module.weight)));
  prelu_module(x).sum().backward();
  CHECK(numbers(prelu_module.weight.grad()) == Numbers{-1, -6});
  swish_module(x).sum().backward();
  CHECK(swish_module.beta.grad().defined());
  CHECK(names_of(prelu_module) == std::vector<std::string>{"weight"});
  CHECK(names_of(swish_module) == std::vector<std::string>{"beta"});

  nn::PReLU twin = nn::clone(prelu_module);
  {
    const NoGradGuard no_grad;
    twin.weight.fill_(0.0);
  }
  CHECK(numbers(twin(x)) == Numbers{0, 0, 3, 0});
  CHECK(numbers(prelu_module(x)) == Numbers{-0.5, -1, 3, -2});
  CHECK(says(message_of<ValueError>([] { nn::PReLU({.num_parameters = 0}); }),
             "num_parameters is 0"));
  CHECK(!message_of<DTypeError>([] { nn::Swish({.dtype = kInt64}); }).empty());
}

TEST_CASE("options of activations that are not finite in the dtype are refused") {
  const Tensor x = tensor({-1.0, 0.0, 1.0});
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e39}) {
    const auto refused = [](auto call, std::string_view start) {
      const std::string message = message_of<ValueError>(call);
      CHECK_MESSAGE(message.starts_with(start), message);
    };
    refused([&] { nn::LeakyReLU({.negative_slope = bad})(x); }, "leaky_relu: negative_slope is ");
    refused([&] { nn::ELU({.alpha = bad})(x); }, "elu: alpha is ");
    refused([&] { nn::CELU({.alpha = bad})(x); }, "celu: alpha is ");
    refused([&] { nn::Softplus({.beta = bad})(x); }, "softplus: beta is ");
    refused([&] { swish(x, bad); }, "swish: beta is ");
    if (bad == 1e39) continue;
    refused([&] { nn::PReLU({.init = bad}); }, "PReLU: init is ");
    refused([&] { nn::Swish({.init = bad}); }, "Swish: init is ");
  }
  CHECK(
      says(message_of<ValueError>([&] { celu(x, 1e-46); }), "celu: alpha is 1e-46, as float32 0"));
  CHECK(says(message_of<ValueError>([&] { softplus(x, 1e-40); }), "softplus: 1 / beta is 1e+40"));
  CHECK(says(message_of<ValueError>([&] { softplus(x, 1, std::nan("")); }), "threshold is nan"));
  CHECK(says(message_of<ValueError>([&] { hardshrink(x, std::nan("")); }), "lambd is nan"));
  CHECK(leaky_relu(x.to(kFloat64), 1e39)[0].item<double>() == -1e39);
}

TEST_CASE("§11 a gated block at two thirds of 4d has the parameters of an ordinary one") {
  constexpr std::int64_t d = 768;
  CHECK(nn::GatedFeedForward::default_hidden(d) == 2048);
  std::int64_t gated = 0, plain = 0;
  for (const Tensor& p : nn::GatedFeedForward(d).parameters()) gated += p.numel();
  for (const Tensor& p : nn::Sequential(nn::Linear(d, 4 * d, {.bias = false}), nn::ReLU(),
                                        nn::Linear(4 * d, d, {.bias = false}))
                             .parameters())
    plain += p.numel();
  CHECK(gated == plain);
  CHECK(gated == 3 * 768 * 2048);
}

TEST_CASE("GatedFeedForward is the block of its option") {
  const Tensor x = randn({2, 5, 6});
  nn::GatedFeedForward block(6, {.hidden = 7, .block = reglu_ffn, .bias = true});
  CHECK(block(x).equal(reglu_ffn(x, {.gate = block.gate_proj.weight,
                                     .up = block.up_proj.weight,
                                     .down = block.down_proj.weight,
                                     .gate_bias = block.gate_proj.bias,
                                     .up_bias = block.up_proj.bias,
                                     .down_bias = block.down_proj.bias})));
  CHECK(names_of(block) == std::vector<std::string>{"gate_proj.weight", "gate_proj.bias",
                                                    "up_proj.weight", "up_proj.bias",
                                                    "down_proj.weight", "down_proj.bias"});
  block(x).sum().backward();
  for (const Tensor& p : block.parameters()) CHECK(p.grad().defined());
  CHECK(nn::GatedFeedForward(6)(x).sizes() == x.sizes());
}

TEST_CASE("AlphaDropout acts in training only") {
  nn::AlphaDropout dropout(0.5);
  const Tensor x = randn({100});
  CHECK(!dropout(x).equal(x));
  dropout.eval();
  CHECK(dropout(x).equal(x));
  CHECK(says(message_of<ValueError>([] { nn::AlphaDropout(1.5); }), "AlphaDropout: p is 1.5"));
}

}  // namespace
