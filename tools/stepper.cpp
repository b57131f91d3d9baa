#include <retrace/tools/stepper.h>

#include <charconv>

#include <fmt/format.h>

namespace retrace::tools {
namespace {

constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool is_c1 =
        c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (is_c1) ++i;
    const bool is_control = (c < 0x20 && c != '\n') || c == 0x7F || is_c1;
    result += is_control ? '?' : text[i];
  }
  return result;
}

Stepper::Stepper(const trace::Trace& trace) : trace_(trace), story_(trace) {}

bool Stepper::press(std::string_view key, const std::string& argument) {
  message_.clear();
  if (key != "N" && key != "P") followed_ = trace::kNone;
  if (key == "q") return false;
  if (key == "n" || key == "p") {
    const std::size_t next = visible_from(at_, key == "n" ? 1 : -1);
    if (next == kNowhere) {
      message_ = key == "n" ? "This is the last step." : "This is the first step.";
    } else {
      at_ = next;
    }
  } else if (key == "N" || key == "P") {
    step_in_node(key == "N" ? 1 : -1);
  } else if (key == "g") {
    go_to(argument);
  } else if (key == "/") {
    search(argument);
  } else if (key == "c") {
    toggle_module();
  } else if (key == "t") {
    shows_tensors_ = !shows_tensors_;
  } else if (key == "Home") {
    at_ = 0;
  } else if (key == "End") {
    at_ = size() - 1;
    if (is_hidden(at_)) at_ = visible_from(at_, -1);
  } else {
    message_ = fmt::format("There is no key {}; the keys are n p N P g / c t Home End q.", key);
  }
  return true;
}

void Stepper::step_in_node(int direction) {
  if (followed_ == trace::kNone) followed_ = story_.node(at_);
  if (followed_ == trace::kNone) {
    message_ = "This step is about no single node.";
    return;
  }
  for (std::size_t k = visible_from(at_, direction); k != kNowhere;
       k = visible_from(k, direction)) {
    if (!story_.involves(k, followed_)) continue;
    at_ = k;
    return;
  }
  message_ = fmt::format("{} has no {} step.", label(trace_, followed_),
                         direction > 0 ? "later" : "earlier");
}

void Stepper::go_to(const std::string& number) {
  std::size_t k = 0;
  const char* const last = number.data() + number.size();
  const auto [end, error] = std::from_chars(number.data(), last, k);
  if (error != std::errc() || end != last || k < 1 || k > size()) {
    message_ = fmt::format("Steps are numbered from 1 to {}, not {}.", size(), number);
    return;
  }
  at_ = k - 1;
  // Who asks for a step in a collapsed module wants to see it.
  while (const std::string* module = collapsed_at(at_)) collapsed_.erase(std::string(*module));
}

void Stepper::search(const std::string& words) {
  for (std::size_t i = 1; i <= size(); ++i) {
    const std::size_t k = (at_ + i) % size();
    if (is_hidden(k) || story_.text(k).find(words) == std::string::npos) continue;
    at_ = k;
    return;
  }
  message_ = fmt::format("No step says \"{}\".", words);
}

// Modules ---------------------------------------------------------------------------------------

const std::string& Stepper::module_of(std::size_t k) const {
  static const std::string none;
  const trace::Id node = story_.node(k);
  return node == trace::kNone ? none : trace_.nodes[node].place;
}

bool Stepper::is_within(std::size_t k, const std::string& module) const {
  const std::string& place = module_of(k);
  return place.starts_with(module) &&
         (place.size() == module.size() || place[module.size()] == '.');
}

const std::string* Stepper::collapsed_at(std::size_t k) const {
  for (const std::string& module : collapsed_) {
    if (is_within(k, module)) return &module;
  }
  return nullptr;
}

// Of a run of steps in a collapsed module the first is shown.
bool Stepper::is_hidden(std::size_t k) const {
  if (collapsed_.empty() || k == 0) return false;
  const std::string* module = collapsed_at(k);
  return module != nullptr && is_within(k - 1, *module);
}

std::size_t Stepper::visible_from(std::size_t k, int direction) const {
  do {
    if (direction < 0 ? k == 0 : k + 1 >= size()) return kNowhere;
    k = direction < 0 ? k - 1 : k + 1;
  } while (is_hidden(k));
  return k;
}

void Stepper::toggle_module() {
  if (const std::string* module = collapsed_at(at_)) {
    collapsed_.erase(std::string(*module));
    return;
  }
  if (module_of(at_).empty()) {
    message_ = "This step is in no module.";
    return;
  }
  collapsed_.insert(module_of(at_));
  if (is_hidden(at_)) at_ = visible_from(at_, -1);
}

// What is shown -----------------------------------------------------------------------------------

std::string Stepper::card() const {
  std::string text = fmt::format("step {} of {}: ", at_ + 1, size());
  if (const std::string* module = collapsed_at(at_)) {
    std::size_t last = at_;
    while (last + 1 < size() && is_within(last + 1, *module)) ++last;
    return printable(text + fmt::format("module {}, steps {} to {} (collapsed: c opens it)",
                                        *module, at_ + 1, last + 1));
  }
  if (!shows_tensors_) return printable(text + story_.text(at_));
  text += story_.title(at_);
  for (const auto& [name, id] : story_.tensors(at_))
    text += fmt::format("\n  {}: {}", name, table(trace_.numbers[id]));
  const trace::Id node = story_.node(at_);
  if (node != trace::kNone && trace_.nodes[node].number > 0)
    text += fmt::format(
        "\n  Node {0} of the tape: with RETRACE_TRAP_NODE={0} the program stops in a "
        "debugger on its way back through it.",
        trace_.nodes[node].number);
  return printable(text);
}

std::vector<std::string> Stepper::list(std::size_t rows, std::size_t& here) const {
  std::size_t first = at_;
  for (here = 0; here < rows / 2; ++here) {
    const std::size_t before = visible_from(first, -1);
    if (before == kNowhere) break;
    first = before;
  }
  std::vector<std::string> lines;
  for (std::size_t k = first; k != kNowhere && lines.size() < rows; k = visible_from(k, 1)) {
    const std::string* module = collapsed_at(k);
    lines.push_back(printable(
        fmt::format("{}{} {}", story_.is_non_finite(k) ? "!" : " ", k + 1,
                    module != nullptr ? fmt::format("module {} ...", *module) : story_.title(k))));
  }
  return lines;
}

}  // namespace retrace::tools
