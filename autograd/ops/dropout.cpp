#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/dropout.h>
#include <retrace/tensor/random.h>

namespace retrace {
namespace {

Tensor masked_scale(const Tensor& x, const Tensor& mask, double factor);

struct DropoutNode final : NodeOf<DropoutNode> {
  static constexpr std::string_view op = "dropout", formula = "y = x · m / (1 - p)",
                                    gradient = "dx = g · m / (1 - p)";
  static constexpr bool elementwise = true;
  explicit DropoutNode(double scale) : factor(scale) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, masked_scale(g, saved_extra(), factor));
  }
  double factor;
};

// Where the mask is false the result is 0, whatever x is.
Tensor masked_scale(const Tensor& x, const Tensor& mask, double factor) {
  Tensor y = empty(x.sizes(), x.dtype());
  visit_float(x.dtype(), DropoutNode::op, [&]<class T>() {
    const T scale = static_cast<T>(factor);
    kernels::map<T, T, bool>(
        [scale](T v, bool kept) { return math::select(kept, v * scale, T(0)); }, y, x, mask);
  });
  return record<DropoutNode>(
      std::move(y), {&x}, [&](DropoutNode& node) { node.save_extra(mask); }, factor);
}

struct AlphaDropoutNode final : NodeOf<AlphaDropoutNode> {
  static constexpr std::string_view op = "alpha_dropout", formula = "y = a (x m + α' (1 - m)) + b",
                                    gradient = "dx = g · a m";
  static constexpr bool elementwise = true;
  explicit AlphaDropoutNode(double scale) : factor(scale) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, masked_scale(g, saved_extra(), factor));
  }
  double factor;
};

// Element i takes number i % 4 of block i / 4 and is kept when that is at least p · 2^32.
Tensor draw_mask(const Shape& sizes, double p, Generator* given) {
  Generator& generator = given != nullptr ? *given : default_generator();
  constexpr std::int64_t kPerBlock = 4, kGrain = 4096;
  Tensor mask = empty(sizes, kBool);
  auto* kept = elements<bool>(mask);
  const std::int64_t n = mask.numel(), blocks = (n + kPerBlock - 1) / kPerBlock;
  const auto threshold = static_cast<std::uint64_t>(p * 0x1p32);
  const std::uint64_t seed = generator.seed();
  const std::uint64_t first = generator.reserve(static_cast<std::uint64_t>(blocks));
  parallel_for(blocks, kGrain, [=](std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t kAtOnce = 256;
    std::uint32_t numbers[kAtOnce * kPerBlock];
    for (std::int64_t b = begin; b < end; b += kAtOnce) {
      Generator::fill_blocks(seed, first + static_cast<std::uint64_t>(b),
                             std::min(kAtOnce, end - b), numbers);
      const std::int64_t count =
          std::min(std::min(kAtOnce, end - b) * kPerBlock, n - b * kPerBlock);
      for (std::int64_t i = 0; i < count; ++i) kept[b * kPerBlock + i] = numbers[i] >= threshold;
    }
  });
  return mask;
}

void check(std::string_view op, const Tensor& x, double p) {
  require_defined(op, {&x});
  if (!x.is_floating_point()) refuse_dtype(op, x.dtype(), "float32 or float64");
  require<ValueError>(p >= 0.0 && p <= 1.0, "{}: p is {}; give a probability in [0, 1]", op, p);
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training, Generator* generator) {
  check("dropout", x, p);
  if (!training || p == 0.0) return x;
  return masked_scale(x, draw_mask(x.sizes(), p, generator), p == 1.0 ? 0.0 : 1.0 / (1.0 - p));
}

Tensor alpha_dropout(const Tensor& x, double p, bool training, Generator* generator) {
  check("alpha_dropout", x, p);
  if (!training || p == 0.0) return x;
  constexpr double kLimit = -1.7580993408473766;  // of selu far below 0
  const double a = p == 1.0 ? 0.0 : 1.0 / std::sqrt((1.0 - p) * (1.0 + p * kLimit * kLimit));
  const double b = -a * p * kLimit;
  const Tensor mask = draw_mask(x.sizes(), p, generator);
  Tensor y = empty(x.sizes(), x.dtype());
  visit_float(x.dtype(), "alpha_dropout", [&]<class T>() {
    const T scale = static_cast<T>(a), shift = static_cast<T>(b);
    const T dropped = static_cast<T>(a * kLimit + b);
    kernels::map<T, T, bool>(
        [=](T v, bool kept) { return math::select(kept, math::mul_add(scale, v, shift), dropped); },
        y, x, mask);
  });
  return record<AlphaDropoutNode>(
      std::move(y), {&x}, [&](AlphaDropoutNode& node) { node.save_extra(mask); }, a);
}

}  // namespace retrace
