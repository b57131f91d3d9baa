#pragma once

// For those who watch the tape, such as a recorder: told about every op that is computed, and about
// every step of a backward pass. They only listen: the numbers are the same with and without them.

#include <span>

#include <retrace/autograd/backprop.h>
#include <retrace/tensor/observer.h>

namespace retrace {

/// A gradient was added to a sum: that of a pass for one tensor, or a tensor's `grad`. The tensors
/// are the engine's own: copy their numbers, keep none of them.
struct Accumulation {
  const Edge& to;
  bool in_grad = false;        ///< the sum is the tensor's `grad`
  const Node* from = nullptr;  ///< whose input it came through; null: where the pass begins, or
  std::size_t input = 0;       ///< a sum of the pass that is now complete
  const Tensor& before;        ///< undefined: there was none
  const Tensor& contribution;
  const Tensor& after;
  std::uint64_t pass = 0;  ///< Backprop::number()
  /// The product that made the contribution added it to the sum itself. `after` can then differ
  /// from before + contribution in the last digits.
  bool fused = false;
};

/// Is told of all that happens on the tape of this thread: what recorders and tracers are made of.
/// Each of its functions does nothing unless it is overridden.
class TapeObserver : public UpdateObserver {
 public:
  /// An op was computed; `node` is null when it was not recorded. Ops inside of gradient rules are
  /// not told, but for create_graph; nor are those inside of other ops, unless an op is written as
  /// several that are on the tape (sort: gather of what it found). Comparisons and other ops whose
  /// results have no gradient are not told.
  virtual void on_op(std::string_view op, const Node* node, const Tensor& output,
                     std::span<const Tensor* const> inputs) = 0;
  /// A pass begins. Nothing was accumulated yet.
  virtual void on_backward(const Backprop& pass) { static_cast<void>(pass); }
  /// A node's rule has run; its gradients are added to sums after this.
  virtual void on_step(const Step& step) = 0;
  virtual void on_accumulation(const Accumulation& sum) { static_cast<void>(sum); }
  /// The hooks of `to` were called: its gradient in the pass of that number is `gradient` now.
  virtual void on_hooks(const Edge& to, const Tensor& gradient, std::uint64_t pass) {
    static_cast<void>(to), static_cast<void>(gradient), static_cast<void>(pass);
  }
  void on_zero_grad(const Tensor& tensor) override { static_cast<void>(tensor); }
  void on_clip(const Clipping& clipping) override { static_cast<void>(clipping); }
  void on_update(const Update& update) override { static_cast<void>(update); }
};

/// Makes `observer` the one of this thread while it lives; after it the one whose scope is the
/// latest of those that still live. Ends on the thread that it began on.
class ObserverScope {
 public:
  explicit ObserverScope(TapeObserver& observer) : ObserverScope(&observer) {}
  /// Nobody watches while it lives.
  ObserverScope() : ObserverScope(nullptr) {}
  ~ObserverScope();
  ObserverScope(const ObserverScope&) = delete;
  ObserverScope& operator=(const ObserverScope&) = delete;

  static TapeObserver* current() {
    return static_cast<TapeObserver*>(UpdateObserver::current());  // only scopes set it
  }

 private:
  explicit ObserverScope(TapeObserver* observer);
  UpdateObserver* observer_;
  ObserverScope* before_;
  static thread_local constinit ObserverScope* latest_;
};

}  // namespace retrace
