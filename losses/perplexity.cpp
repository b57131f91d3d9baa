#include <retrace/autograd/elementwise.h>
#include <retrace/losses/perplexity.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace retrace::losses {
namespace {

struct Perplexity {
  static constexpr std::string_view op = "perplexity", formula = "y = exp(mean nll)",
                                    gradient = "dx = g · y";
  template <class T>
  T y(T x) const {
    return math::exp(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return y;
  }
};

struct BitsPerToken {
  static constexpr std::string_view op = "bits_per_token", formula = "y = mean nll / ln 2",
                                    gradient = "dx = g / ln 2";
  template <class T>
  T y(T x) const {
    return x * T(std::numbers::log2e);
  }
  template <class T>
  T dy_dx() const {
    return T(std::numbers::log2e);
  }
};

// f(Σ nll_sum / Σ counts).
template <class F>
Tensor of_nats_per_unit(std::string_view op, std::string_view name, const Tensor& nll_sum,
                        const Tensor& counts, F&& f) {
  require_defined(op, {&nll_sum, &counts});
  if (!nll_sum.is_floating_point()) refuse_dtype(op, nll_sum.dtype(), "float32 or float64");
  require<DTypeError>(counts.dtype() == kInt64,
                      "{}: {} are {} {}; they must be int64: convert them with .to(kInt64)", op,
                      name, counts.dtype(), counts.sizes());
  require<ShapeError>(nll_sum.sizes() == counts.sizes(),
                      "{}: nll_sum is {}, {} are {}; give one number of each for a batch", op,
                      nll_sum.sizes(), name, counts.sizes());
  double nats = 0, total = 0;
  for (const double sum : nll_sum.to_vector<double>()) nats += sum;
  for (const std::int64_t count : counts.to_vector<std::int64_t>()) {
    require<ValueError>(count >= 0, "{}: {} {} hold {}; they must not be negative", op, name,
                        counts.sizes(), count);
    total += static_cast<double>(count);
  }
  require<ValueError>(total > 0, "{}: {} {} sum to 0; there is nothing to average", op, name,
                      counts.sizes());
  return unrecorded(op, full_unchecked({}, f(nats / total), nll_sum.dtype()), {&nll_sum, &counts});
}

}  // namespace

Tensor perplexity(const Tensor& mean_nll) { return unary<Perplexity>(mean_nll); }

Tensor perplexity_aggregate(const Tensor& nll_sum, const Tensor& tokens) {
  return of_nats_per_unit("perplexity_aggregate", "tokens", nll_sum, tokens,
                          [](double nats) { return std::exp(nats); });
}

Tensor bits_per_token(const Tensor& mean_nll) { return unary<BitsPerToken>(mean_nll); }

Tensor bits_per_byte(const Tensor& nll_sum, const Tensor& num_bytes) {
  return of_nats_per_unit("bits_per_byte", "num_bytes", nll_sum, num_bytes,
                          [](double nats) { return nats * std::numbers::log2e; });
}

void TokenAverage::add(double nll_sum, std::int64_t tokens) {
  require<ValueError>(tokens >= 0, "TokenAverage: {} tokens were added; a batch has 0 or more",
                      tokens);
  nll_sum_ += nll_sum;
  tokens_ += tokens;
}

double TokenAverage::mean_nll() const {
  if (tokens_ == 0) return std::numeric_limits<double>::quiet_NaN();
  return nll_sum_ / static_cast<double>(tokens_);
}

double TokenAverage::perplexity() const { return std::exp(mean_nll()); }

double TokenAverage::bits_per_token() const { return mean_nll() * std::numbers::log2e; }

double TokenAverage::bits_per_byte(std::int64_t bytes) const {
  return bits_per_token() * static_cast<double>(tokens_) / static_cast<double>(bytes);
}

}  // namespace retrace::losses
