#pragma once

// Learning rates that change from step to step. The schedules themselves: schedules.h.

#include <cstdint>
#include <span>
#include <string>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

/// Sets the learning rates of an optimizer: rate(base, t) in step t = 0, 1, 2, ..., where base is
/// the group's rate when the schedule was made. Step 0 is set at once; call `step()` after every
/// `optimizer.step()` (or once an epoch). Shares ownership of the optimizer.
///
/// One schedule alone sets the rates: another beside it, a ReduceLROnPlateau or a set_lr() would be
/// undone by the next step, which is refused instead. Of several phases make one function of t.
///
/// One of one's own derives from it, defines rate and ends its constructor with start(). ValueError
/// at construction for options out of their range, and for a base of 0 of which step 0 makes 0:
/// that is where another schedule's warm-up began, not what it leads to.
class Schedule {
 public:
  virtual ~Schedule() = default;
  Schedule(Schedule&&) = default;
  Schedule& operator=(Schedule&&) = default;

  /// Goes on to the next step and sets its rates. ValueError when a rate is not what this schedule
  /// set it to; then nothing was changed.
  void step();
  /// Steps taken so far.
  std::int64_t steps() const { return steps_; }
  /// The rate of a group now.
  double lr(std::size_t group = 0) const { return optimizer_.lr(group); }

  /// "StepLR.version", "step", "base_lr" of every group. Options are not part of it: a run that
  /// goes on may be longer than was meant at first.
  StateDict state_dict() const;
  /// Takes over the step and the base rates, and sets the rates. ValueError for a state of another
  /// type or of another number of groups, and for base rates that are negative or not finite; then
  /// nothing was changed.
  void load_state_dict(const StateDict& state);

 protected:
  Schedule(Optimizer optimizer, std::string_view name);
  virtual double rate(double base, std::int64_t step) const = 0;
  /// Sets the rates of step 0.
  void start();

 private:
  std::vector<double> rates_of(std::span<const double> base, std::int64_t step) const;
  void set(std::vector<double> rates);

  Optimizer optimizer_;
  std::string name_;
  std::vector<double> base_, rates_;  // rates_: as set last
  std::int64_t steps_ = 0;
};

/// rate = base · f(t), for any f:
///     optim::LambdaLR schedule(optimizer, [](std::int64_t t) { return std::pow(0.95, t); });
/// Source: torch.optim.lr_scheduler.LambdaLR.
template <class F>
class LambdaLR final : public Schedule {
 public:
  LambdaLR(Optimizer optimizer, F f)
      : Schedule(std::move(optimizer), "LambdaLR"), factor_(std::move(f)) {
    start();
  }

 private:
  double rate(double base, std::int64_t step) const override { return base * factor_(step); }
  F factor_;
};

enum class PlateauMode { min, max };       ///< whether a smaller or a larger metric is better
enum class PlateauThreshold { rel, abs };  ///< better by a share of the best, or by a difference

struct ReduceLROnPlateauOptions {
  PlateauMode mode = PlateauMode::min;
  double factor = 0.1;  ///< in [0, 1)
  std::int64_t patience = 10;
  double threshold = 1e-4;
  PlateauThreshold threshold_mode = PlateauThreshold::rel;
  std::int64_t cooldown = 0;
  double min_lr = 0;
  double eps = 1e-8;  ///< changes below it are not made
};

/// Multiplies the rates by `factor` when a metric has not become better for more than `patience`
/// steps, then waits `cooldown` steps before it counts again. Better is, with mode min,
/// metric < best · (1 - threshold), or metric < best - threshold for abs; with mode max
/// metric > best · (1 + threshold) or best + threshold. NaN is not better than anything.
/// Source: He et al. 2015, arXiv:1512.03385, section 3.4; in the form of torch's ReduceLROnPlateau.
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(Optimizer optimizer, const ReduceLROnPlateauOptions& options = {});
  /// Takes the metric after a step or an epoch, and reduces the rates if it is time.
  void step(double metric);
  /// "mode", "best", "bad_steps", "cooldown", and "lr" of every group. Other options are not part
  /// of it.
  StateDict state_dict() const;
  /// Takes them over, rates included. ValueError for a state that does not fit, such as one of
  /// another mode; then nothing was changed.
  void load_state_dict(const StateDict& state);

 private:
  bool is_better(double metric) const;
  void reduce();

  Optimizer optimizer_;
  ReduceLROnPlateauOptions options_;
  double best_;
  std::int64_t bad_steps_ = 0, cooldown_ = 0;
};

}  // namespace retrace::optim
