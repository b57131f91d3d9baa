#include <retrace/nn/batch_norm.h>

#include <retrace/autograd/grad_mode.h>
#include <retrace/autograd/ops/normalization.h>
#include <retrace/nn/eps.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

void check_dims(std::string_view type, const Tensor& x, int least, int most,
                std::string_view wanted) {
  require<ShapeError>(!x.defined() || (x.dim() >= least && x.dim() <= most), "{}: x is {}; give {}",
                      type, x.defined() ? x.sizes() : Shape(), wanted);
}

}  // namespace

BatchNorm::BatchNorm(std::int64_t num_features, const BatchNormOptions& options)
    : eps_(options.eps), momentum_(options.momentum) {
  require<ValueError>(num_features >= 0, "BatchNorm: num_features is {}; give at least 0",
                      num_features);
  require_eps("BatchNorm", eps_);
  require<ValueError>(!momentum_ || (*momentum_ >= 0 && *momentum_ <= 1),
                      "BatchNorm: momentum is {}; give a number in [0, 1], or none",
                      momentum_.value_or(0));
  require<DTypeError>(is_floating(options.dtype), "BatchNorm: cannot be {}; use float32 or float64",
                      options.dtype);
  if (options.affine) {
    weight = register_parameter("weight", ones({num_features}, options.dtype));
    bias = register_parameter("bias", zeros({num_features}, options.dtype));
  }
  if (options.track_running_stats) {
    running_mean = register_buffer("running_mean", zeros({num_features}, options.dtype));
    running_var = register_buffer("running_var", ones({num_features}, options.dtype));
    num_batches_tracked = register_buffer("num_batches_tracked", zeros({}, kInt64));
  }
  describe(fmt::format("{}, eps={}, momentum={}, affine={}, track_running_stats={}", num_features,
                       eps_, momentum_ ? fmt::format("{}", *momentum_) : "none", options.affine,
                       options.track_running_stats));
}

Tensor BatchNorm::normalize(const Tensor& x) const {
  const PlaceScope scope(*this);
  const bool tracked = running_mean.defined();
  if (!is_training() || !tracked)
    return batch_norm(x, running_mean, running_var, weight, bias, !tracked, 0, eps_);
  const double batches = 1 + num_batches_tracked.item<double>();
  const Tensor y = batch_norm(x, running_mean, running_var, weight, bias, /*training=*/true,
                              momentum_.value_or(1 / batches), eps_);
  Tensor(num_batches_tracked).add_(1);
  return y;
}

Tensor BatchNorm1d::forward(const Tensor& x) const {
  check_dims("BatchNorm1d", x, 2, 3, "[N, C] or [N, C, L]");
  return normalize(x);
}

Tensor BatchNorm2d::forward(const Tensor& x) const {
  check_dims("BatchNorm2d", x, 4, 4, "[N, C, H, W]");
  return normalize(x);
}

}  // namespace retrace::nn
