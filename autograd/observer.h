#pragma once

// For those who watch the tape, such as a recorder: told about every op that is computed, and about
// every step of a backward pass.

#include <span>

#include <retrace/autograd/backprop.h>

namespace retrace {

class TapeObserver {
 public:
  virtual ~TapeObserver() = default;
  /// An op was computed; `node` is null when it was not recorded.
  virtual void on_op(std::string_view op, const Node* node, const Tensor& output,
                     std::span<const Tensor* const> inputs) = 0;
  virtual void on_step(const Step& step) = 0;
};

/// Makes `observer` the one of this thread while it lives (the former one after).
class ObserverScope {
 public:
  explicit ObserverScope(TapeObserver& observer);
  ~ObserverScope();
  ObserverScope(const ObserverScope&) = delete;
  ObserverScope& operator=(const ObserverScope&) = delete;

  static TapeObserver* current();

 private:
  TapeObserver* before_;
};

}  // namespace retrace
