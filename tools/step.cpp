#include <retrace/tools/step.h>

#include <unistd.h>

#include <csignal>
#include <sstream>

#include <fmt/format.h>

#include <retrace/tools/screen.h>
#include <retrace/tools/stepper.h>
#include <retrace/train/exit.h>
#include <retrace/train/terminal.h>

namespace retrace::tools {
namespace {

std::string introduction(const trace::Trace& trace, std::size_t steps) {
  std::size_t leaves = 0;
  for (const trace::Node& node : trace.nodes) leaves += node.is_leaf() && node.requires_grad;
  std::string text = fmt::format(
      "A run of {}: {} steps over {} tensors, {} of them leaves that want a gradient.\n",
      trace::one_line(trace.program), steps, trace.nodes.size(), leaves);
  if (!trace.complete)
    text += "It went on: the recorder kept as much as it was told to, and this is the beginning.\n";
  return printable(text);
}

// To its end, whatever a key cannot do; then that is told.
void run_script(Stepper& stepper, const std::string& script) {
  std::istringstream words(script);
  std::string failed;
  if (!train::print(stepper.card() + "\n")) return;
  for (std::string key; words >> key;) {
    std::string argument;
    if (key.size() > 1 && key.front() == '/') {  // "/loss" as "/ loss"
      argument = key.substr(1);
      key.resize(1);
    } else if ((key == "g" || key == "/") && !(words >> argument)) {
      throw train::UsageError(fmt::format("--script: {} needs something behind it", key));
    }
    if (!stepper.press(key, argument)) break;
    const std::string& message = stepper.message();
    if (failed.empty() && !message.empty())
      failed = fmt::format("{}{}{}: {}", key, key == "g" ? " " : "", argument, message);
    if (!train::print(fmt::format("\n{}\n", message.empty() ? stepper.card() : printable(message))))
      return;
  }
  if (!failed.empty()) throw train::UsageError(printable("--script: " + failed));
}

}  // namespace

void step(const std::string& path, bool plain, const std::optional<std::string>& script) {
  std::signal(SIGPIPE, SIG_IGN);
  const trace::Trace trace = trace::Trace::load(path);
  const trace::Story story(trace);
  if (story.size() == 0) {
    train::print("The trace is empty: nothing was computed while it was recorded.\n");
    return;
  }
  Stepper stepper(trace);
  if (script) return run_script(stepper, *script);
  const bool on_terminal = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
  if (!plain && on_terminal && show_screen(stepper, path)) return;

  if (!train::print(introduction(trace, story.size()))) return;
  for (std::size_t k = 0; k < story.size(); ++k) {
    if (!train::print(printable(fmt::format("\n{}. {}\n", k + 1, story.text(k))))) return;
  }
}

}  // namespace retrace::tools
