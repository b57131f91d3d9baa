#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/train/regression_metrics.h>

#include <cmath>

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
  return ge(differences("coverage", quantile, target), 0.0).to(kFloat64).mean().item<double>();
}

double crossings(const Tensor& quantiles) {
  require<ShapeError>(quantiles.dim() == 2 && quantiles.size(1) >= 1,
                      "crossings: quantiles must be [rows, levels], not {}", quantiles.sizes());
  const std::int64_t levels = quantiles.size(1);
  if (levels == 1) return 0;
  const Tensor low = quantiles.narrow(1, 0, levels - 1), high = quantiles.narrow(1, 1, levels - 1);
  return any(lt(high, low), 1).to(kFloat64).mean().item<double>();
}

}  // namespace retrace::train
