#include <retrace/train/progress.h>

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include <retrace/train/terminal.h>

namespace retrace::train {
namespace {

using namespace std::chrono_literals;

constexpr auto kBarInterval = 100ms;
constexpr auto kLineInterval = 5s;

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds);
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole / 60 % 60);
}

}  // namespace

Progress::Progress(std::int64_t total, std::int64_t done, const std::string& stage)
    : total_(total),
      first_(done),
      stage_(stage.empty() ? "" : stage + ": "),
      interactive_(error_terminal().interactive),
      started_(Clock::now()) {
  next_ = started_ + (interactive_ ? Clock::duration(kBarInterval) : kLineInterval);
}

void Progress::update(std::int64_t step, double loss) {
  const auto now = Clock::now();
  if (now < next_) return;
  next_ = now + (interactive_ ? Clock::duration(kBarInterval) : kLineInterval);
  const double seconds = std::chrono::duration<double>(now - started_).count();
  const double rate = static_cast<double>(step - first_) / seconds;
  if (interactive_) return draw_bar(step, loss, rate);
  print_error(fmt::format("{}step {} of {}, loss {:.4g}, {:.4g} steps/s, {} left\n", stage_, step,
                          total_, loss, rate, duration(static_cast<double>(total_ - step) / rate)));
}

void Progress::draw_bar(std::int64_t step, double loss, double rate) {
  const Terminal terminal = error_terminal();  // anew: a window may be resized
  const std::string text =
      fmt::format(" {}{}/{}  loss {:.4g}  {:.4g} steps/s  {} left", stage_, step, total_, loss,
                  rate, duration(static_cast<double>(total_ - step) / rate));
  const int room = std::min(40, terminal.columns - static_cast<int>(text.size()) - 1);
  std::string bar;
  if (room >= 8) {
    const auto filled = static_cast<int>(room * step / std::max<std::int64_t>(total_, 1));
    const bool utf8 = speaks_utf8();
    for (int i = 0; i < room; ++i) bar += i < filled ? (utf8 ? "━" : "#") : (utf8 ? "─" : "-");
    if (terminal.colour) bar = "\x1b[36m" + bar + "\x1b[0m";
  }
  const auto width = static_cast<std::size_t>(std::max(terminal.columns - 1, 1));
  print_error("\r\x1b[K" + bar + text.substr(0, width));
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) print_error("\r\x1b[K");
  drawn_ = false;
}

}  // namespace retrace::train
