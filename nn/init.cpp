#include <retrace/nn/init.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn::init {
namespace {

Generator& chosen(Generator* generator) {
  return generator != nullptr ? *generator : default_generator();
}

void require_floating(std::string_view op, const Tensor& tensor) {
  require<DTypeError>(tensor.is_floating_point(),
                      "{}: needs float32 or float64, got {} {}; convert with .to(dtype)", op,
                      tensor.dtype(), tensor.sizes());
}

void require_finite(std::string_view op, std::string_view what, double value) {
  require<ValueError>(std::isfinite(value), "{}: {} is {}; give a finite number", op, what, value);
}

}  // namespace

Tensor uniform_(const Tensor& tensor, double low, double high, Generator* generator) {
  require_floating("uniform_", tensor);
  require<ValueError>(
      low <= high && std::isfinite(low) && std::isfinite(high),
      "uniform_: the interval {} to {} is empty or not finite; give finite ends, the lower first",
      low, high);
  fill_uniform(tensor, low, high, chosen(generator));
  return tensor;
}

Tensor normal_(const Tensor& tensor, double mean, double std, Generator* generator) {
  require_floating("normal_", tensor);
  require_finite("normal_", "mean", mean);
  require<ValueError>(std >= 0 && std::isfinite(std),
                      "normal_: std is {}; give a finite number of at least 0", std);
  fill_normal(tensor, mean, std, chosen(generator));
  return tensor;
}

Tensor constant_(const Tensor& tensor, double value) {
  const NoGradGuard guard;
  Tensor handle = tensor;
  return handle.fill_(value);
}
Tensor zeros_(const Tensor& tensor) { return constant_(tensor, 0); }
Tensor ones_(const Tensor& tensor) { return constant_(tensor, 1); }

Tensor eye_(const Tensor& tensor) {
  require<ShapeError>(tensor.dim() == 2,
                      "eye_: needs a matrix, got shape {}; give a tensor of two dims",
                      tensor.sizes());
  const NoGradGuard guard;
  Tensor handle = tensor;
  return handle.copy_(eye(tensor.size(0), tensor.size(1), tensor.dtype()));
}

// Truncated normal ------------------------------------------------------------------------------

namespace {

double uniform(Generator& generator) { return generator.next_uniform(); }
double positive_uniform(Generator& generator) { return 1 - generator.next_uniform(); }

double normal(Generator& generator) {
  const double radius = std::sqrt(-2 * std::log(positive_uniform(generator)));
  return radius * std::cos(2 * std::numbers::pi * uniform(generator));
}

// Standard normal in [low, high], by rejection from whichever proposal fits there.
double truncated_normal(double low, double high, Generator& generator) {
  if (high < 0) return -truncated_normal(-high, -low, generator);
  // There the tail, about 1 / low wide, is narrower than the spacing of numbers.
  if (low > 0x1p26) return low;
  if (low <= 0 && high - low > std::sqrt(2 * std::numbers::pi)) {
    for (;;) {
      const double x = normal(generator);
      if (x >= low && x <= high) return x;
    }
  }
  // The tail beyond `low` is nearly exponential with this rate.
  const double root = std::sqrt(low * low + 4), rate = (low + root) / 2;
  const double narrow = 2 / (low + root) * std::exp((low * low - low * root) / 4 + 0.5);
  if (low > 0 && high - low > narrow) {
    for (;;) {
      const double x = low - std::log(positive_uniform(generator)) / rate;
      if (x <= high && uniform(generator) <= std::exp(-(x - rate) * (x - rate) / 2)) return x;
    }
  }
  const double nearest = std::max(low, 0.0);
  for (;;) {
    const double x = low + (high - low) * uniform(generator);
    if (uniform(generator) <= std::exp((nearest * nearest - x * x) / 2)) return x;
  }
}

}  // namespace

Tensor trunc_normal_(const Tensor& tensor, double mean, double std, double low, double high,
                     Generator* generator) {
  require_floating("trunc_normal_", tensor);
  require_finite("trunc_normal_", "mean", mean);
  require<ValueError>(std > 0 && std::isfinite(std),
                      "trunc_normal_: std is {}; give a finite number above 0", std);
  require<ValueError>(low < high,
                      "trunc_normal_: the interval {} to {} is empty; give the lower end first",
                      low, high);
  const NoGradGuard guard;
  // Finite, for there is no way back from infinity.
  constexpr double kLargest = std::numeric_limits<double>::max();
  const double standard_low = std::clamp((low - mean) / std, -kLargest, kLargest);
  const double standard_high = std::clamp((high - mean) / std, -kLargest, kLargest);
  const Tensor drawn = empty(tensor.sizes(), kFloat64);
  auto* const x = drawn.data_ptr<double>();
  for (std::int64_t i = 0; i < drawn.numel(); ++i) {
    const double z = truncated_normal(standard_low, standard_high, chosen(generator));
    x[i] = std::clamp(mean + std * z, low, high);
  }
  Tensor handle = tensor;
  return handle.copy_(drawn);
}

// Orthogonal ------------------------------------------------------------------------------------

Tensor orthogonal_(const Tensor& tensor, double gain, Generator* generator) {
  require_floating("orthogonal_", tensor);
  require<ShapeError>(tensor.dim() >= 2,
                      "orthogonal_: needs at least 2 dims, got shape {}; give a matrix or a kernel",
                      tensor.sizes());
  require_finite("orthogonal_", "gain", gain);
  if (tensor.numel() == 0) return tensor;
  const NoGradGuard guard;
  const std::int64_t rows = tensor.size(0), columns = tensor.numel() / rows;
  const std::int64_t count = std::min(rows, columns);
  // Gram and Schmidt on normal vectors, the rows of `vectors`: the same as QR with a positive
  // diagonal of R. The second round removes what rounding left of the first.
  Tensor vectors = randn({count, std::max(rows, columns)}, kFloat64, &chosen(generator));
  for (std::int64_t k = 0; k < count; ++k) {
    Tensor vector = vectors.select(0, k);
    const Tensor done = vectors.narrow(0, 0, k);
    for (int round = 0; k > 0 && round < 2; ++round) vector.sub_(done.matmul(vector).matmul(done));
    vector.div_(std::sqrt(vector.square().sum().item<double>()));
  }
  vectors.mul_(gain);
  Tensor handle = tensor;
  return handle.copy_((rows < columns ? vectors : vectors.t()).reshape(tensor.sizes()));
}

// Scaled by the number of inputs and outputs
// --------------------------------------------------------

double calculate_gain(Nonlinearity nonlinearity, std::optional<double> slope) {
  const double s = slope.value_or(0.01);
  switch (nonlinearity) {
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid:
      break;
    case Nonlinearity::tanh:
      return 5.0 / 3;
    case Nonlinearity::relu:
      return std::numbers::sqrt2;
    case Nonlinearity::leaky_relu:
      return std::sqrt(2 / (1 + s * s));
    case Nonlinearity::selu:
      return 0.75;
  }
  return 1;
}

Fans fans_of(const Shape& sizes) {
  require<ShapeError>(sizes.size() >= 2,
                      "fans_of: weights of shape {} have no inputs and outputs; needs at least 2 "
                      "dims [out, in, kernel...]",
                      sizes);
  double kernel = 1;
  for (int d = 2; d < sizes.size(); ++d) kernel *= static_cast<double>(sizes[d]);
  return {static_cast<double>(sizes[1]) * kernel, static_cast<double>(sizes[0]) * kernel};
}

namespace {

// √(numerator / fan), and 0 for no weights at all.
double scale(double gain, double numerator, double fan) {
  return fan == 0 ? 0 : gain * std::sqrt(numerator / fan);
}

double kaiming(const Shape& sizes, const KaimingOptions& options, double numerator) {
  const Fans fans = fans_of(sizes);
  return scale(calculate_gain(options.nonlinearity, options.a), numerator,
               options.mode == FanMode::fan_in ? fans.in : fans.out);
}

double xavier(const Shape& sizes, double gain, double numerator) {
  const Fans fans = fans_of(sizes);
  return scale(gain, numerator, fans.in + fans.out);
}

Tensor uniform_within(const Tensor& tensor, double bound, Generator* generator) {
  return uniform_(tensor, -bound, bound, generator);
}

}  // namespace

double xavier_uniform_bound(const Shape& sizes, double gain) { return xavier(sizes, gain, 6); }
double xavier_normal_std(const Shape& sizes, double gain) { return xavier(sizes, gain, 2); }
double kaiming_uniform_bound(const Shape& sizes, const KaimingOptions& options) {
  return kaiming(sizes, options, 3);
}
double kaiming_normal_std(const Shape& sizes, const KaimingOptions& options) {
  return kaiming(sizes, options, 1);
}
double lecun_normal_std(const Shape& sizes) { return scale(1, 1, fans_of(sizes).in); }

Tensor xavier_uniform_(const Tensor& tensor, double gain, Generator* generator) {
  return uniform_within(tensor, xavier_uniform_bound(tensor.sizes(), gain), generator);
}
Tensor xavier_normal_(const Tensor& tensor, double gain, Generator* generator) {
  return normal_(tensor, 0, xavier_normal_std(tensor.sizes(), gain), generator);
}
Tensor kaiming_uniform_(const Tensor& tensor, const KaimingOptions& options, Generator* generator) {
  return uniform_within(tensor, kaiming_uniform_bound(tensor.sizes(), options), generator);
}
Tensor kaiming_normal_(const Tensor& tensor, const KaimingOptions& options, Generator* generator) {
  return normal_(tensor, 0, kaiming_normal_std(tensor.sizes(), options), generator);
}
Tensor lecun_normal_(const Tensor& tensor, Generator* generator) {
  return normal_(tensor, 0, lecun_normal_std(tensor.sizes()), generator);
}

}  // namespace retrace::nn::init
