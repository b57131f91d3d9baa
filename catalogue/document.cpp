#include <retrace/autograd/backprop.h>
#include <retrace/catalogue/document.h>
#include <retrace/tensor/creation.h>

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace retrace::catalogue {
namespace {

// The nodes that a call of the row puts on the tape; of the first sample with a gradient.
std::vector<Ref<Node>> tape_of(const Row& row) {
  if (!row.differentiable) return {};
  for (const Sample& sample : row.samples) {
    const Call call = make_call(row, sample, 1);
    bool recorded = false;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      Tensor x = call.tensors()[i].second;
      if (!x.is_floating_point() || !sample.inputs[i].wants_gradient || x.numel() == 0) continue;
      x.requires_grad_();
      recorded = true;
    }
    if (!recorded) continue;
    std::vector<Tensor> outputs, upstream;
    for (const Tensor& output : row.run(call).tensors()) {
      if (!output.requires_grad()) continue;
      outputs.push_back(output);
      upstream.push_back(ones_like(output));
    }
    if (!outputs.empty()) return Backprop(outputs, upstream, nullptr, false, false).tape();
  }
  return {};
}

// "the gradients of its nodes: div, norm", of an op that is made of others.
std::string through(const std::vector<Ref<Node>>& tape) {
  std::string names;
  for (auto node = tape.rbegin(); node != tape.rend(); ++node) {
    const std::string name((*node)->name());
    if ((", " + names + ",").find(", " + name + ",") != std::string::npos) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  return "the gradients of its nodes: " + names;
}

// A pipe would end a cell, an underscore or a star would change the type.
std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|' || c == '*' || c == '_' || c == '<' || c == '`' || c == '[') safe += '\\';
    safe += c;
  }
  return safe;
}

}  // namespace

std::vector<Entry> entries(const std::string& root) {
  const std::vector<Declaration> declared = declarations(root);
  std::vector<Entry> all;
  for (const Row& row : rows()) {
    const auto declaration = std::find_if(declared.begin(), declared.end(),
                                          [&](const auto& d) { return d.name == row.called(); });
    if (declaration == declared.end()) continue;
    const std::vector<Ref<Node>> tape = tape_of(row);
    Entry entry{&row,
                *declaration,
                declaration->summary(),
                declaration->gradient(),
                declaration->source(),
                static_cast<int>(tape.size())};
    if (tape.size() == 1) {
      entry.formula = tape[0]->formula_text();
      entry.gradient = tape[0]->gradient_text();
    } else if (!row.differentiable) {
      entry.gradient = "none";
    } else if (entry.gradient.empty() && !tape.empty()) {
      entry.gradient = through(tape);
    }
    all.push_back(std::move(entry));
  }
  return all;
}

std::string document(const std::string& root) {
  const std::vector<Entry> all = entries(root);
  std::string page =
      "# Catalogue\n\n"
      "Every public op and loss: what it answers, its formula and gradient as its node on the "
      "tape\n"
      "says them (of what is no node of its own, as its header does), and where it comes from. g "
      "is\n"
      "the gradient of the result. The page is written from the table in `catalogue/`, the "
      "headers\n"
      "and the tape by `cmake --build build --target catalogue_page`; a test compares it.\n";
  std::string family, function;
  for (const Entry& entry : all) {
    if (entry.row->family != family) {
      family = entry.row->family;
      page +=
          fmt::format("\n## {}{}\n", static_cast<char>(std::toupper(family[0])), family.substr(1));
    }
    page += fmt::format("\n### {}\n\n{}\n\n", entry.row->name, escaped(entry.row->question));
    page += fmt::format("```cpp\n{};  // {}\n```\n\n", entry.declaration.signature,
                        entry.declaration.header);
    page += fmt::format("- Formula: {}\n- Gradient: {}\n- Source: {}\n", escaped(entry.formula),
                        escaped(entry.gradient), escaped(entry.source));
  }
  return page;
}

}  // namespace retrace::catalogue
