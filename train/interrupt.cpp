#include <retrace/train/interrupt.h>

#include <array>
#include <csignal>

#include <unistd.h>

namespace retrace::train {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t noted_signal = 0;
std::array<struct sigaction, kSignals.size()> before;

extern "C" void note_signal(int signal) {
  if (noted_signal != 0) _exit(128 + signal);
  noted_signal = signal;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  noted_signal = 0;
  struct sigaction action = {};
  action.sa_handler = note_signal;
  action.sa_flags = SA_RESTART;  // a read or write under way is not to fail
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &action, &before[i]);
    // Under nohup a run goes on when its terminal is gone.
    if (kSignals[i] == SIGHUP && before[i].sa_handler == SIG_IGN)
      sigaction(SIGHUP, &before[i], nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before[i], nullptr);
}

int InterruptGuard::signal() { return noted_signal; }

}  // namespace retrace::train
