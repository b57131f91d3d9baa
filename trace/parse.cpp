#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>
#include <retrace/trace/numbers.h>

namespace retrace::trace {
namespace {

using Json = nlohmann::json;

template <class... Args>
[[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) {
  fail<IoError>(format, std::forward<Args>(args)...);
}

constexpr std::int64_t kMostWhole = std::numeric_limits<std::int64_t>::max();

// An object of a trace and where it stands, for messages: `trace.events[12].node: ...`.
class Object {
 public:
  Object(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json.is_object()) refuse("{}: there is no object, but {}", where_, json.type_name());
  }

  const std::string& where() const { return where_; }
  bool has(const char* name) const { return json_.contains(name); }

  const Json& member(const char* name) const {
    const auto found = json_.find(name);
    if (found == json_.end()) refuse("{}: there is no \"{}\"", where_, name);
    read_.push_back(&*found);
    return *found;
  }
  // A misspelt member would count as one that was left out.
  void require_all_read() const {
    for (auto each = json_.begin(); each != json_.end(); ++each)
      if (std::find(read_.begin(), read_.end(), &*each) == read_.end())
        refuse("{}: the member {} is none that this build knows there", where_,
               json_excerpt(each.key()));
  }
  const Json& array(const char* name) const {
    const Json& value = member(name);
    if (!value.is_array())
      refuse("{}.{}: there is no list, but {}", where_, name, value.type_name());
    return value;
  }
  const std::string& text(const char* name) const {
    const Json& value = member(name);
    if (!value.is_string())
      refuse("{}.{}: there is no text, but {}", where_, name, value.type_name());
    return value.get_ref<const std::string&>();
  }
  std::string text_or_none(const char* name) const { return has(name) ? text(name) : ""; }
  bool flag(const char* name) const {
    if (!has(name)) return false;
    const Json& value = member(name);
    if (!value.is_boolean()) refuse("{}.{}: is neither true nor false", where_, name);
    return value.get<bool>();
  }
  std::int64_t whole(const char* name, std::int64_t least, std::int64_t most) const {
    const Json& value = member(name);
    const bool is_whole = value.is_number_integer() &&
                          (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kMostWhole);
    if (!is_whole || value.get<std::int64_t>() < least || value.get<std::int64_t>() > most)
      refuse("{}.{}: {} is no whole number from {} to {}", where_, name, json_excerpt(value), least,
             most);
    return value.get<std::int64_t>();
  }
  double number(const char* name) const {
    const Json& value = member(name);
    if (value.is_number()) return value.get<double>();
    const std::string& word = text(name);
    if (word == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (word == "Infinity") return std::numeric_limits<double>::infinity();
    if (word == "-Infinity") return -std::numeric_limits<double>::infinity();
    refuse("{}.{}: {} is no number", where_, name, json_excerpt(value));
  }
  DType dtype() const {
    for (const DType each : {kFloat32, kFloat64, kInt64, kBool}) {
      if (text("dtype") == name_of(each)) return each;
    }
    refuse("{}.dtype: {} is none that this build knows", where_, json_excerpt(member("dtype")));
  }
  Shape shape(const char* name) const {
    const Json& values = array(name);
    if (values.size() > kMaxDims)
      refuse("{}.{}: {} dims, {} are possible", where_, name, values.size(), kMaxDims);
    Shape sizes;
    std::int64_t elements = 1;
    for (const Json& value : values) {
      constexpr std::int64_t kMost = std::int64_t{1} << 40;
      const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() <= kMost;
      const std::int64_t size = fits ? value.get<std::int64_t>() : 0;
      // Sizes beside a 0 count as well, as for a tensor.
      const std::int64_t factor = std::max<std::int64_t>(size, 1);
      if (!fits || elements > kMost / factor)
        refuse("{}.{}: {} is no shape of a tensor", where_, name, json_excerpt(values));
      elements *= factor;
      sizes.push_back(size);
    }
    return sizes;
  }
  // Hands the objects of a list to `read`, one by one.
  template <class Read>
  void each(const char* name, const Read& read) const {
    std::size_t i = 0;
    for (const Json& value : array(name)) {
      const Object object(value, fmt::format("{}.{}[{}]", where_, name, i++));
      read(object);
      object.require_all_read();
    }
  }

 private:
  const Json& json_;
  std::string where_;
  mutable std::vector<const Json*> read_;
};

// Reads the events of a trace whose nodes and numbers are known.
class Events {
 public:
  explicit Events(const Trace& trace) : trace_(trace), computed_(trace.nodes.size()) {}

  Event read(const Object& o) {
    const std::string& kind = o.text("event");
    if (kind == "computed") return computed(o);
    if (kind == "seed") {
      const Id of = node(o, "node");
      return Seed{of, if_any(o, "before", of), numbers(o, "gradient", of), numbers(o, "after", of)};
    }
    if (kind == "contribution") return contribution(o);
    if (kind == "accumulation") return accumulation(o);
    if (kind == "zero_grad") {
      ZeroGrad event;
      for (const Json& value : o.array("nodes"))
        event.nodes.push_back(id(value, o, "nodes", "node", trace_.nodes.size()));
      return event;
    }
    if (kind == "clip") return clip(o);
    if (kind == "update") return update(o);
    if (kind == "change") return change(o);
    if (kind == "training_step")
      return TrainingStep{o.whole("number", std::numeric_limits<std::int64_t>::min(), kMostWhole)};
    refuse("{}: the event {} is none that this build knows", o.where(), json_excerpt(kind));
  }

  static Id id(const Json& value, const Object& o, const char* name, std::string_view what,
               std::size_t count) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= count)
      refuse("{}.{}: refers to {} {}, which is not there; there are {}", o.where(), name, what,
             json_excerpt(value), count);
    return value.get<Id>();
  }

 private:
  Id node(const Object& o, const char* name) const {
    return id(o.member(name), o, name, "node", trace_.nodes.size());
  }
  Id numbers(const Object& o, const char* name) const {
    return id(o.member(name), o, name, "numbers", trace_.numbers.size());
  }
  // In the shape of a node; of one that is not known, in any.
  Id numbers(const Object& o, const char* name, Id of) const {
    const Id found = numbers(o, name);
    if (of != kNone && trace_.numbers[found].sizes != trace_.nodes[of].sizes)
      refuse("{}.{}: is {}, and node {} is {}", o.where(), name, trace_.numbers[found].sizes, of,
             trace_.nodes[of].sizes);
    return found;
  }
  Id if_any(const Object& o, const char* name) const {
    return o.has(name) ? numbers(o, name) : kNone;
  }
  Id if_any(const Object& o, const char* name, Id of) const {
    return o.has(name) ? numbers(o, name, of) : kNone;
  }
  // Which input of a node.
  std::uint32_t input(const Object& o, Id of) const {
    const std::int64_t input = o.whole("input", 0, std::numeric_limits<std::int32_t>::max());
    const std::size_t count = trace_.nodes[of].inputs.size();
    if (static_cast<std::size_t>(input) >= count)
      refuse("{}.input: is {}, node {} has {} inputs", o.where(), input, of, count);
    if (trace_.nodes[of].inputs[static_cast<std::size_t>(input)] == kNone)
      refuse("{}.input: is {}, which node {} does not know", o.where(), input, of);
    return static_cast<std::uint32_t>(input);
  }

  Event computed(const Object& o) {
    const Id of = node(o, "node");
    if (computed_[of]) refuse("{}.node: {} is computed a second time", o.where(), of);
    computed_[of] = true;
    return Computed{of, numbers(o, "value", of)};
  }
  Event contribution(const Object& o) const {
    const Id of = node(o, "node");
    Contribution event{.node = of,
                       .input = 0,
                       .upstream = {},
                       .local = if_any(o, "local", of),
                       .unsummed = if_any(o, "unsummed"),
                       .gradient = 0};
    const Node& through = trace_.nodes[of];
    if (through.is_leaf()) refuse("{}.node: {} is a leaf, and has no inputs", o.where(), of);
    event.input = input(o, of);
    event.gradient = numbers(o, "gradient", through.inputs[event.input]);
    for (const Json& value : o.array("upstream"))
      event.upstream.push_back(
          value.is_null() ? kNone : id(value, o, "upstream", "numbers", trace_.numbers.size()));
    if (event.upstream.empty()) refuse("{}.upstream: is empty", o.where());
    if (!o.has("measured")) return event;
    o.each("measured", [&](const Object& each) {
      event.measured.push_back(
          {each.number("slope"), each.number("error"), each.number("expected")});
    });
    return event;
  }
  Event accumulation(const Object& o) const {
    const Id of = node(o, "node");
    Accumulation event{.node = of,
                       .in_grad = o.flag("in_grad"),
                       .from = o.has("from") ? node(o, "from") : kNone,
                       .input = 0,
                       .before = if_any(o, "before", of),
                       .contribution = numbers(o, "contribution", of),
                       .after = numbers(o, "after", of),
                       .fused = o.flag("fused")};
    if (event.from == kNone) return event;
    event.input = input(o, event.from);
    const Id came_through = trace_.nodes[event.from].inputs[event.input];
    if (came_through != of)
      refuse("{}.node: is {}, and input {} of node {} is {}", o.where(), of, event.input,
             event.from, came_through == kNone ? "not known" : fmt::format("{}", came_through));
    return event;
  }
  Event clip(const Object& o) const {
    Clip event{
        o.number("norm"), o.number("norm_type"), o.number("max_norm"), o.number("scale"), {}};
    o.each("gradients", [&](const Object& each) {
      const Id of = node(each, "node");
      event.gradients.push_back({of, numbers(each, "before", of), numbers(each, "after", of)});
    });
    return event;
  }
  Event update(const Object& o) const {
    const Id of = node(o, "node");
    Update event{
        o.text("optimizer"),        o.number("lr"),           o.whole("step", 0, kMostWhole), of,
        numbers(o, "gradient", of), numbers(o, "before", of), numbers(o, "after", of),        {}};
    o.each("kept", [&](const Object& each) {
      event.kept.push_back({each.text("name"), numbers(each, "before"), numbers(each, "after")});
    });
    return event;
  }
  Event change(const Object& o) const {
    const std::string& of = o.text("of");
    if (of != "value" && of != "gradient" && of != "upstream")
      refuse("{}.of: {} is none of value, gradient, upstream", o.where(), json_excerpt(of));
    const Id which = node(o, "node");
    return Change{which,
                  of == "value"      ? Change::Of::value
                  : of == "gradient" ? Change::Of::gradient
                                     : Change::Of::upstream,
                  if_any(o, "before", which), if_any(o, "after", which)};
  }

  const Trace& trace_;
  std::vector<bool> computed_;  // of each node, whether it was
};

Node read_node(const Object& o, const Trace& trace) {
  Node node;
  if (o.has("op")) node.op = Events::id(o.member("op"), o, "op", "op", trace.ops.size());
  node.name = o.text_or_none("name");
  node.place = o.text_or_none("place");
  node.site = o.text_or_none("site");
  node.sizes = o.shape("shape");
  node.dtype = o.dtype();
  node.requires_grad = o.flag("requires_grad");
  if (o.has("output"))
    node.output = static_cast<std::uint32_t>(
        Events::id(o.member("output"), o, "output", "result", std::size_t{1} << 20));
  if (o.has("number")) node.number = static_cast<std::uint64_t>(o.whole("number", 0, kMostWhole));
  if (!o.has("inputs")) return node;
  // Of nodes before this one: a graph in a trace has no circles.
  for (const Json& value : o.array("inputs"))
    node.inputs.push_back(
        value.is_null() ? kNone : Events::id(value, o, "inputs", "node", trace.nodes.size()));
  if (node.is_leaf() && !node.inputs.empty())
    refuse("{}.inputs: there is no \"op\" that has them", o.where());
  return node;
}

std::uint64_t read_hash(const Object& o) {
  const std::string& text = o.text("hash");
  std::uint64_t hash = 0;
  std::from_chars(text.data(), text.data() + text.size(), hash, 16);
  if (text != hash_text(hash))
    refuse("{}.hash: {} is not 16 of the digits 0 to f", o.where(), json_excerpt(text));
  return hash;
}

Numbers read_numbers(const Object& o) {
  Numbers numbers;
  numbers.sizes = o.shape("shape");
  numbers.dtype = o.dtype();
  numbers.complete = !o.has("corner");
  const Shape kept = numbers.complete ? numbers.sizes : o.shape("corner");
  bool fits = kept.size() == numbers.sizes.size();
  for (int d = 0; fits && d < kept.size(); ++d)
    fits = kept[d] <= numbers.sizes[d] && (kept[d] > 0 || numbers.sizes[d] == 0);
  if (!fits) refuse("{}: a corner of shape {} in a tensor {}", o.where(), kept, numbers.sizes);
  try {
    numbers.values = parse_values(o.text("values"), kept, numbers.dtype);
  } catch (const Error& error) {
    refuse("{}.{}", o.where(), error.what());
  }
  if (numbers.complete) {
    numbers.non_finite = count_non_finite(numbers.values);
    return numbers;
  }
  numbers.non_finite = o.whole("non_finite", 0, numbers.sizes.numel());
  numbers.min = o.number("min");
  numbers.max = o.number("max");
  numbers.mean = o.number("mean");
  numbers.norm = o.number("norm");
  if (numbers.min > numbers.max || numbers.norm < 0)
    refuse("{}: there are no numbers from {} to {} with the norm {}", o.where(), numbers.min,
           numbers.max, numbers.norm);
  if (o.has("hash")) numbers.hash = read_hash(o);
  return numbers;
}

std::uint32_t read_pass(const Object& o) {
  return static_cast<std::uint32_t>(o.whole("pass", 1, std::numeric_limits<std::int32_t>::max()));
}

Trace read_trace(const Json& json) {
  const bool is_trace = json.is_object() && json.value("format", Json()) == "retrace-trace";
  if (!is_trace) refuse("not a trace of Retrace: there is no \"format\": \"retrace-trace\"");
  const Object root(json, "trace");
  const std::int64_t version = root.whole("version", 0, kMostWhole);
  if (version != kVersion)
    refuse("a trace of version {}, this build reads version {}; record it again", version,
           kVersion);
  Trace trace;
  trace.program = root.text("program");
  trace.compiler = root.text("compiler");
  trace.blas = root.text("blas");
  if (!root.member("seed").is_number_unsigned()) refuse("trace.seed: is no seed");
  trace.seed = root.member("seed").get<std::uint64_t>();
  trace.complete = root.flag("complete");
  root.each("ops", [&](const Object& o) {
    trace.ops.push_back({o.text("name"), o.text_or_none("formula"), o.text_or_none("gradient"),
                         o.flag("elementwise")});
  });
  root.each("nodes", [&](const Object& o) { trace.nodes.push_back(read_node(o, trace)); });
  root.each("numbers", [&](const Object& o) { trace.numbers.push_back(read_numbers(o)); });
  Events events(trace);
  PassCounter passes;
  root.each("events", [&](const Object& o) {
    Event event = events.read(o);
    if (std::uint32_t* const pass = pass_of(event)) {
      if (o.has("pass")) *pass = read_pass(o);
      *pass = passes.of(event);
    }
    trace.events.push_back(std::move(event));
  });
  root.member("format");
  root.require_all_read();
  return trace;
}

}  // namespace

Trace Trace::parse(std::string_view json, const std::string& name) {
  try {
    return read_trace(parse_json(json));
  } catch (const Json::parse_error& error) {
    const bool is_cut_off = error.byte > json.size();
    if (is_cut_off && json.find("\"retrace-trace\"") != std::string_view::npos)
      fail<IoError>("{}: a trace that is cut off after {} bytes; copy or record it again", name,
                    json.size());
    fail<IoError>("{}: not a trace of Retrace: broken JSON at byte {}", name, error.byte);
  } catch (const Json::exception&) {
    fail<IoError>("{}: not a trace of Retrace: it has a number that is too large", name);
  } catch (const IoError& error) {
    fail<IoError>("{}: {}", name, error.what());
  }
}

}  // namespace retrace::trace
