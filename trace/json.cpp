// A trace as JSON: one object, whose lists stand an entry a line. Tensors are strings of numbers,
// so that each is exact, NaN and infinity included, and a large one costs a reader little.

#include <cmath>

#include <fmt/format.h>

#include <retrace/tensor/utf8.h>
#include <retrace/trace/numbers.h>

namespace retrace::trace {
namespace {

// `<` is written as \u003c: a trace may then stand in a page, whatever it is called.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t sound = find_invalid_utf8(text);
    for (const char c : text.substr(0, sound)) {
      if (c == '"' || c == '\\') {
        (out += '\\') += c;
      } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '\x7f') {
        out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
      } else {
        out += c;
      }
    }
    text.remove_prefix(sound);
    if (text.empty()) break;
    out += "\\ufffd";
    text.remove_prefix(1);
  }
  out += '"';
}

// An object, written as it is put together. Members that hold what is usual are left out.
class Object {
 public:
  explicit Object(std::string& out) : out_(out) { out_ += '{'; }
  ~Object() { out_ += '}'; }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  void text(std::string_view name, std::string_view value) { append_quoted(member(name), value); }
  void text_if(std::string_view name, std::string_view value) {
    if (!value.empty()) text(name, value);
  }
  void flag_if(std::string_view name, bool value) {
    if (value) member(name) += "true";
  }
  template <class Whole>
  void whole(std::string_view name, Whole value) {
    member(name) += fmt::format("{}", value);
  }
  void id(std::string_view name, Id value) { append_id(member(name), value); }
  void id_if(std::string_view name, Id value) {
    if (value != kNone) id(name, value);
  }
  void number(std::string_view name, double value) {
    member(name) += std::isfinite(value) ? number_text(value) : '"' + number_text(value) + '"';
  }
  void ids(std::string_view name, const std::vector<Id>& values) {
    list(name, values, [](std::string& out, Id value) { append_id(out, value); });
  }
  void shape(std::string_view name, const Shape& sizes) {
    list(name, sizes, [](std::string& out, std::int64_t size) { out += fmt::format("{}", size); });
  }
  template <class List, class Append>
  void list(std::string_view name, const List& values, Append append) {
    std::string& out = member(name);
    out += '[';
    bool first = true;
    for (const auto& value : values) {
      if (!first) out += ',';
      first = false;
      append(out, value);
    }
    out += ']';
  }
  std::string& member(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_quoted(out_, name);
    return out_ += ':';
  }

 private:
  static void append_id(std::string& out, Id value) {
    out += value == kNone ? "null" : fmt::format("{}", value);
  }
  std::string& out_;
  bool first_ = true;
};

void append(std::string& out, const Op& op) {
  Object object(out);
  object.text("name", op.name);
  object.text_if("formula", op.formula);
  object.text_if("gradient", op.gradient);
  object.flag_if("elementwise", op.elementwise);
}

void append(std::string& out, const Node& node) {
  Object object(out);
  object.id_if("op", node.op);
  object.text_if("name", node.name);
  object.text_if("place", node.place);
  object.text_if("site", node.site);
  object.shape("shape", node.sizes);
  object.text("dtype", name_of(node.dtype));
  object.flag_if("requires_grad", node.requires_grad);
  if (node.output > 0) object.whole("output", node.output);
  if (node.number > 0) object.whole("number", node.number);
  if (!node.inputs.empty()) object.ids("inputs", node.inputs);
}

void append(std::string& out, const Numbers& numbers) {
  Object object(out);
  object.shape("shape", numbers.sizes);
  object.text("dtype", name_of(numbers.dtype));
  if (!numbers.complete) {
    object.shape("corner", numbers.values.sizes());
    object.whole("non_finite", numbers.non_finite);
    object.number("min", numbers.min);
    object.number("max", numbers.max);
    object.number("mean", numbers.mean);
    object.number("norm", numbers.norm);
    if (numbers.hash) object.text("hash", hash_text(*numbers.hash));
  }
  object.text("values", values_text(numbers.values));
}

struct AppendEvent {
  Object& object;

  void operator()(const Computed& e) const {
    object.text("event", "computed");
    object.id("node", e.node);
    object.id("value", e.value);
  }
  void operator()(const Seed& e) const {
    object.text("event", "seed");
    object.id("node", e.node);
    object.id_if("before", e.before);
    object.id("gradient", e.gradient);
    object.id("after", e.after);
  }
  void operator()(const Contribution& e) const {
    object.text("event", "contribution");
    object.id("node", e.node);
    object.whole("input", e.input);
    object.ids("upstream", e.upstream);
    object.id_if("local", e.local);
    object.id_if("unsummed", e.unsummed);
    object.id("gradient", e.gradient);
    if (e.measured.empty()) return;
    object.list("measured", e.measured, [](std::string& out, const Measured& each) {
      Object measured(out);
      measured.number("slope", each.slope);
      measured.number("error", each.error);
      measured.number("expected", each.expected);
    });
  }
  void operator()(const Accumulation& e) const {
    object.text("event", "accumulation");
    object.id("node", e.node);
    object.flag_if("in_grad", e.in_grad);
    object.id_if("from", e.from);
    if (e.from != kNone) object.whole("input", e.input);
    object.id_if("before", e.before);
    object.id("contribution", e.contribution);
    object.id("after", e.after);
    object.flag_if("fused", e.fused);
  }
  void operator()(const ZeroGrad& e) const {
    object.text("event", "zero_grad");
    object.ids("nodes", e.nodes);
  }
  void operator()(const Clip& e) const {
    object.text("event", "clip");
    object.number("norm", e.norm);
    object.number("norm_type", e.norm_type);
    object.number("max_norm", e.max_norm);
    object.number("scale", e.scale);
    object.list("gradients", e.gradients, [](std::string& out, const Clip::Clipped& clipped) {
      Object each(out);
      each.id("node", clipped.node);
      each.id("before", clipped.before);
      each.id("after", clipped.after);
    });
  }
  void operator()(const Update& e) const {
    object.text("event", "update");
    object.text("optimizer", e.optimizer);
    object.number("lr", e.lr);
    object.whole("step", e.step);
    object.id("node", e.node);
    object.id("gradient", e.gradient);
    object.id("before", e.before);
    object.id("after", e.after);
    object.list("kept", e.kept, [](std::string& out, const Update::Kept& kept) {
      Object each(out);
      each.text("name", kept.name);
      each.id("before", kept.before);
      each.id("after", kept.after);
    });
  }
  void operator()(const Change& e) const {
    object.text("event", "change");
    object.id("node", e.node);
    object.text("of", e.of == Change::Of::value      ? "value"
                      : e.of == Change::Of::gradient ? "gradient"
                                                     : "upstream");
    object.id_if("before", e.before);
    object.id_if("after", e.after);
  }
  void operator()(const TrainingStep& e) const {
    object.text("event", "training_step");
    object.whole("number", e.number);
  }
};

void append(std::string& out, const Event& event, PassCounter& passes) {
  Object object(out);
  std::visit(AppendEvent{object}, event);
  const std::uint32_t usual = passes.usual(event), pass = passes.of(event);
  if (pass != 0 && pass != usual) object.whole("pass", pass);
}

template <class T>
void append_lines(Object& object, std::string_view name, const std::vector<T>& values) {
  object.list(name, values, [](std::string& out, const T& value) { append(out += '\n', value); });
}

}  // namespace

std::string Trace::json() const {
  std::string out;
  {
    Object object(out);
    object.text("format", "retrace-trace");
    object.whole("version", kVersion);
    object.text("program", program);
    object.text("compiler", compiler);
    object.text("blas", blas);
    object.whole("seed", seed);
    object.member("complete") += complete ? "true" : "false";
    append_lines(object, "ops", ops);
    append_lines(object, "nodes", nodes);
    append_lines(object, "numbers", numbers);
    PassCounter passes;
    object.list("events", events, [&](std::string& text, const Event& event) {
      append(text += '\n', event, passes);
    });
  }
  return out + '\n';
}

}  // namespace retrace::trace
