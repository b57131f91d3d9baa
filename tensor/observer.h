#pragma once

// For those who watch what is done to tensors that are trained, between the passes that compute:
// gradients dropped, gradients clipped, parameters updated. Watching ops and passes as well, see
// autograd/observer.h.

#include <span>
#include <string_view>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Gradients were scaled down, or would have been.
struct Clipping {
  double norm = 0, norm_type = 2, max_norm = 0;
  double scale = 1;  ///< what each gradient was multiplied by; 1: they were left alone
  std::span<const Tensor> parameters;
  std::span<const Tensor> before;  ///< their gradients; undefined where there is none
};

/// A parameter was updated by an optimizer.
struct Update {
  /// A tensor that the optimizer keeps for the parameter.
  struct Kept {
    std::string_view name;  ///< "exp_avg"
    Tensor before, after;
  };
  std::string_view optimizer;  ///< "AdamW"
  double lr = 0;
  std::int64_t step = 0;  ///< of this parameter, from 1 on
  const Tensor& parameter;
  const Tensor& gradient;
  const Tensor& before;  ///< the numbers of the parameter before
  std::span<const Kept> kept;
};

/// Told on the thread that did it, right after it was done: of a step's updates when all are made.
class UpdateObserver {
 public:
  virtual ~UpdateObserver() = default;
  /// The gradient of `tensor` is about to be dropped, if it has one.
  virtual void on_zero_grad(const Tensor& tensor) = 0;
  virtual void on_clip(const Clipping& clipping) = 0;
  virtual void on_update(const Update& update) = 0;

  /// The observer of this thread; null when nobody watches.
  static UpdateObserver* current() { return current_; }

 private:
  friend class ObserverScope;  // autograd/observer.h: sets it
  static thread_local constinit UpdateObserver* current_;
};

/// How many steps optimizers have made on this thread.
extern thread_local constinit std::int64_t optimizer_steps;

}  // namespace retrace
