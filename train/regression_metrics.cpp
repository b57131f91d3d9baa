#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/train/metrics.h>
#include <retrace/train/regression_metrics.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace retrace::train {
namespace {

Tensor differences(std::string_view metric, const Tensor& predicted, const Tensor& target) {
  require<ShapeError>(predicted.sizes() == target.sizes(),
                      "{}: predictions are {}, targets {}; they must be equal", metric,
                      predicted.sizes(), target.sizes());
  return (predicted.to(kFloat64) - target.to(kFloat64)).detach();
}

}  // namespace

double mean_absolute_error(const Tensor& predicted, const Tensor& target) {
  return differences("mean_absolute_error", predicted, target).abs().mean().item<double>();
}

double root_mean_squared_error(const Tensor& predicted, const Tensor& target) {
  return std::sqrt(
      differences("root_mean_squared_error", predicted, target).square().mean().item<double>());
}

double coverage(const Tensor& quantile, const Tensor& target) {
  const Tensor above = differences("coverage", quantile, target);
  require_no_nan("coverage", "quantiles", quantile);
  require_no_nan("coverage", "targets", target);
  return ge(above, 0.0).to(kFloat64).mean().item<double>();
}

double sample_quantile(const Tensor& values, double level) {
  require<ShapeError>(values.dim() == 1, "sample_quantile: values must be [rows], not {}",
                      values.sizes());
  require<ValueError>(values.numel() > 0 && level > 0 && level < 1,
                      "sample_quantile: {} values, level {}; needs values, and 0 < level < 1",
                      values.numel(), level);
  require_no_nan("sample_quantile", "values", values);
  std::vector<double> sorted = values.detach().to_vector<double>();
  // 0.07 * 100 is a little more than 7, and yet the 7th is meant.
  const auto rank = std::ceil(level * static_cast<double>(sorted.size()) * (1 - 1e-12));
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(rank) - 1;
  std::nth_element(sorted.begin(), place, sorted.end());
  return *place;
}

double crossings(const Tensor& quantiles) {
  require<ShapeError>(quantiles.dim() == 2 && quantiles.size(1) >= 1,
                      "crossings: quantiles must be [rows, levels], not {}", quantiles.sizes());
  const std::int64_t levels = quantiles.size(1);
  require_no_nan("crossings", "quantiles", quantiles);
  if (levels == 1) return 0;
  const Tensor low = quantiles.narrow(1, 0, levels - 1), high = quantiles.narrow(1, 1, levels - 1);
  return any(lt(high, low), 1).to(kFloat64).mean().item<double>();
}

}  // namespace retrace::train
