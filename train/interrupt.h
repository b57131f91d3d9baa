#pragma once

namespace retrace::train {

/// While one lives, SIGINT (Ctrl-C), SIGTERM and, unless under nohup, SIGHUP (the terminal is gone)
/// only leave a note, so that a program can finish and save what it is at; a second signal ends it
/// at once. One at a time, on the main thread.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();  ///< the signals do again what they did before
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  /// The signal that came, 0 if none did.
  static int signal();
};

}  // namespace retrace::train
