// The printed tree of a module.

#include <retrace/nn/module.h>

#include <algorithm>
#include <ostream>

#include <retrace/nn/module_state.h>
#include <retrace/tensor/check.h>

namespace retrace::nn {
namespace {

struct Line {
  std::string text;
  std::int64_t parameters = 0;  // 0: none to print
};

// "1,234,567"
std::string grouped(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::int64_t count(ModuleState& root) {
  std::int64_t numel = 0;
  walk_tensors(root, &ModuleState::parameters,
               [&](const std::string&, const Tensor& tensor) { numel += tensor.numel(); });
  return numel;
}

// A module with a description of its own says its tensors' sizes there.
void add_tensors(const ModuleState& state, const std::string& indent, std::vector<Line>& lines) {
  if (!state.details.empty()) return;
  for (const auto& [name, tensor, persistent] : state.parameters)
    lines.push_back({fmt::format("{}({}): {} {}", indent, name, tensor.dtype(), tensor.sizes()),
                     tensor.numel()});
  for (const auto& [name, tensor, persistent] : state.buffers)
    lines.push_back(
        {fmt::format("{}({}): {} {} buffer", indent, name, tensor.dtype(), tensor.sizes())});
}

void add_module(ModuleState& state, const std::string& indent, const std::string& label,
                std::vector<Line>& lines) {
  const std::string type = state.type.empty() ? "Module" : state.type;
  const std::string head = indent + label + type + "(" + state.details;
  const std::size_t first = lines.size();
  lines.push_back({head, count(state)});
  add_tensors(state, indent + "  ", lines);
  for (const auto& [name, child] : state.children)
    add_module(*child, indent + "  ", "(" + name + "): ", lines);
  if (lines.size() == first + 1) {
    lines.back().text += ")";
  } else {
    lines.push_back({indent + ")"});
  }
}

}  // namespace

std::string Module::summary() const {
  remember_type();
  std::vector<Line> lines;
  add_module(state(), "", "", lines);
  std::size_t width = 0, digits = 0;
  for (const Line& line : lines) {
    width = std::max(width, line.text.size());
    digits = std::max(digits, grouped(line.parameters).size());
  }
  std::string text;
  for (const Line& line : lines) {
    text += line.parameters == 0
                ? line.text
                : fmt::format("{:{}}  {:>{}}", line.text, width, grouped(line.parameters), digits);
    text += "\n";
  }
  std::int64_t parameters = 0, trainable = 0, bytes = 0;
  for (const Tensor& tensor : this->parameters()) {
    parameters += tensor.numel();
    bytes += tensor.numel() * size_of(tensor.dtype());
    if (tensor.requires_grad()) trainable += tensor.numel();
  }
  return text + fmt::format("{} parameters, {} trainable, {} bytes", grouped(parameters),
                            grouped(trainable), grouped(bytes));
}

std::ostream& operator<<(std::ostream& out, const Module& module) {
  return out << module.summary();
}

}  // namespace retrace::nn
