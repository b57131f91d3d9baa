#pragma once

#include <retrace/autograd/node.h>

namespace retrace {

/// While it lives, every op of this thread is checked: the first one, forward or backward, whose
/// result has a NaN throws AutogradError naming the op, its module, the place in the program where
/// it was called, the shapes and ranges of what went into it, the first NaN's position, and how
/// many steps optimizers had made. For hunting, not for training: it costs a pass over every result
/// and a stack walk for every op. Without it an op asks one flag, which recorders need as well.
class AnomalyMode {
 public:
  /// `infinities`: they are refused like NaN. Off for programs that mean some, as masks of -inf.
  explicit AnomalyMode(bool enabled = true, bool infinities = false);
  ~AnomalyMode();
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;

  static bool is_enabled();

  /// For the engine: while it lives, ops are part of a backward rule, whose results are checked as
  /// gradients and not as results of ops that somebody called.
  class Backward {
   public:
    Backward();
    ~Backward();
    Backward(const Backward&) = delete;
    Backward& operator=(const Backward&) = delete;

   private:
    bool before_;
  };

 private:
  bool before_, infinities_before_;
};

/// For the engine: refuses a gradient that has a NaN, of itself or when summed with those that came
/// to the same tensor before. `upstream` is that of the node's first output.
void watch_gradient(const Node& node, std::size_t input, const Tensor& gradient, bool summed,
                    const Tensor& upstream);

}  // namespace retrace
