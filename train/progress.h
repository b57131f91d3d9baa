#pragma once

#include <chrono>
#include <cstdint>

namespace retrace::train {

/// How far a training run is, on standard error: on a terminal a line that is rewritten ten times a
/// second at most, else a plain line every five seconds.
class Progress {
 public:
  /// `done` of `total` steps were made before, by the run that this one resumes.
  /// `stage` is what stands before the numbers, if anything.
  explicit Progress(std::int64_t total, std::int64_t done = 0, const std::string& stage = {});
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t step, double loss);
  /// Wipes the bar away, so that something else can be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  void draw_bar(std::int64_t step, double loss, double rate);

  std::int64_t total_, first_;
  std::string stage_;  // with a colon and a blank
  bool interactive_;
  bool drawn_ = false;
  Clock::time_point started_, next_;
};

}  // namespace retrace::train
