#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/dropout.h>
#include <retrace/tensor/random.h>

namespace retrace {
namespace {

Tensor masked_scale(const Tensor& x, const Tensor& mask, double factor);

struct DropoutNode final : NodeOf<DropoutNode> {
  static constexpr std::string_view op = "dropout", formula = "y = x · m / (1 - p)",
                                    gradient = "dx = g · m / (1 - p)";
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

// Element i takes number i % 4 of block i / 4 and is kept when that is at least p · 2^32.
Tensor draw_mask(const Shape& sizes, double p, Generator& generator) {
  constexpr std::int64_t kPerBlock = 4, kGrain = 4096;
  Tensor mask = empty(sizes, kBool);
  auto* kept = elements<bool>(mask);
  const std::int64_t n = mask.numel(), blocks = (n + kPerBlock - 1) / kPerBlock;
  const auto threshold = static_cast<std::uint64_t>(p * 0x1p32);
  const std::uint64_t seed = generator.seed();
  const std::uint64_t first = generator.reserve(static_cast<std::uint64_t>(blocks));
  parallel_for(blocks, kGrain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const auto numbers = Generator::block(seed, first + static_cast<std::uint64_t>(b));
      const std::int64_t count = std::min(kPerBlock, n - b * kPerBlock);
      for (std::int64_t i = 0; i < count; ++i)
        kept[b * kPerBlock + i] = numbers[static_cast<std::size_t>(i)] >= threshold;
    }
  });
  return mask;
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training, Generator* generator) {
  require_defined("dropout", {&x});
  if (!x.is_floating_point()) refuse_dtype("dropout", x.dtype(), "float32 or float64");
  require<ValueError>(p >= 0.0 && p <= 1.0, "dropout: p is {}; give a probability in [0, 1]", p);
  if (!training || p == 0.0) return x;
  const Tensor mask =
      draw_mask(x.sizes(), p, generator != nullptr ? *generator : default_generator());
  return masked_scale(x, mask, p == 1.0 ? 0.0 : 1.0 / (1.0 - p));
}

}  // namespace retrace
