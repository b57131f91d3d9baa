#include <algorithm>
#include <map>

#include <fmt/format.h>

#include <retrace/tensor/creation.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/page/ways.h>

namespace retrace::trace::page {

namespace {

constexpr std::uint64_t kCounted = 1ull << 53;

struct Tensors {
  std::uint64_t count = 0;
  std::vector<double> products = {};  // of none: not all are single numbers, or there are too many
  bool is_single = true;
  bool was_empty = true;  // before the pass
  bool has_sum = false;
  Id sum = kNone;
};

std::uint64_t plus(std::uint64_t a, std::uint64_t b) { return std::min(kCounted + 1, a + b); }

double rounded(double value, DType dtype) {
  return dtype == DType::float32 ? static_cast<double>(static_cast<float>(value)) : value;
}
std::string text(double value, DType dtype) { return number_text(tensor({value}, dtype), 0); }

class Walk {
 public:
  Walk(const Trace& trace, const Sources& sources) : trace_(trace), sources_(sources) {}

  const std::vector<Id>& roots() const { return roots_; }

  void operator()(const Seed& e) {
    Tensors& start = tensors_[e.node];
    if (start.count == 0) roots_.push_back(e.node);
    start.count = 1;
    start.is_single = is_one(e.after);
    if (start.is_single) start.products = {value(e.after)};
  }
  void operator()(const Contribution& e) {
    const Id to = trace_.nodes[e.node].inputs[e.input];
    if (to == kNone) return;
    Tensors& reached = tensors_[to];
    const bool is_single = is_one(e.gradient) && has_local(e);
    for (const Id from : sources_.of(e)) {
      const auto found = tensors_.find(from);
      if (found == tensors_.end()) continue;
      reached.count = plus(reached.count, found->second.count);
      reached.is_single =
          reached.is_single && is_single && found->second.is_single && reached.count <= kListedWays;
      if (!reached.is_single) continue;
      for (const double product : found->second.products)
        reached.products.push_back(rounded(product * local(e), trace_.nodes[to].dtype));
    }
  }
  void operator()(const Accumulation& e) {
    if (e.from == kNone) return;
    Tensors& reached = tensors_[e.node];
    if (!reached.has_sum) reached.was_empty = e.before == kNone;
    reached.has_sum = true;
    reached.sum = e.after;
  }
  // By a hook: what goes on is not what came.
  void operator()(const Change& e) {
    tensors_[e.node].is_single = false;
    tensors_[e.node].sum = e.after;
  }
  template <class E>
  void operator()(const E&) {}

  std::vector<Ways> ways() const {
    std::vector<Ways> all;
    for (const auto& [node, reached] : tensors_) {
      if (reached.count == 0 || std::find(roots_.begin(), roots_.end(), node) != roots_.end())
        continue;
      Ways ways{.node = node,
                .count = reached.count > kCounted ? fmt::format("more than {}", kCounted)
                                                  : fmt::format("{}", reached.count)};
      if (reached.was_empty) ways.gradient = reached.sum;
      if (reached.is_single) {
        const DType dtype = trace_.nodes[node].dtype;
        double sum = 0;
        for (const double product : reached.products) {
          ways.products.push_back(text(product, dtype));
          sum = rounded(sum + product, dtype);
        }
        ways.sum = text(sum, dtype);
      }
      all.push_back(std::move(ways));
    }
    return all;
  }

 private:
  bool is_one(Id id) const {
    return id != kNone && trace_.numbers[id].complete && trace_.numbers[id].values.numel() == 1;
  }
  double value(Id id) const { return trace_.numbers[id].values.to_vector<double>()[0]; }

  // Where the upstream gradient is 1, what comes of it is the local derivative.
  bool has_local(const Contribution& e) const {
    if (is_one(e.local)) return e.unsummed == kNone || is_one(e.unsummed);
    return e.local == kNone && e.upstream.size() == 1 && is_one(e.upstream[0]) &&
           value(e.upstream[0]) == 1;
  }
  double local(const Contribution& e) const {
    return value(e.local != kNone ? e.local : e.gradient);
  }

  const Trace& trace_;
  const Sources& sources_;
  std::vector<Id> roots_;
  std::map<Id, Tensors> tensors_;
};

}  // namespace

Sources::Sources(const Trace& trace) : trace_(trace) {
  for (Id id = 0; id < trace.nodes.size(); ++id) {
    const Node& node = trace.nodes[id];
    if (node.output > 0) further_.emplace(std::pair(node.number, node.output), id);
  }
}

std::vector<Id> Sources::of(const Contribution& contribution) const {
  std::vector<Id> all;
  const Node& first = trace_.nodes[contribution.node];
  for (std::uint32_t k = 0; k < contribution.upstream.size(); ++k) {
    if (contribution.upstream[k] == kNone) continue;
    if (k == first.output) {
      all.push_back(contribution.node);
    } else if (const auto found = further_.find({first.number, k});
               found != further_.end() && found->second > contribution.node) {
      all.push_back(found->second);
    }
  }
  return all;
}

std::vector<Pass> passes(const Trace& trace, std::size_t events) {
  const Sources sources(trace);
  std::vector<Pass> all;
  std::vector<Walk> walks;
  std::map<std::uint32_t, std::size_t> begun;  // by number
  PassCounter counter;
  for (std::size_t i = 0; i < events; ++i) {
    const std::uint32_t number = counter.of(trace.events[i]);
    if (number == 0) continue;
    auto walk = begun.find(number);
    if (walk == begun.end()) {
      // Of one that began before the recording, the ways are not known.
      if (!std::holds_alternative<Seed>(trace.events[i])) continue;
      walk = begun.emplace(number, all.size()).first;
      all.push_back({.number = number, .event = i, .roots = {}, .tensors = {}});
      walks.emplace_back(trace, sources);
    }
    std::visit(walks[walk->second], trace.events[i]);
  }
  for (std::size_t k = 0; k < all.size(); ++k) {
    all[k].roots = walks[k].roots();
    all[k].tensors = walks[k].ways();
  }
  return all;
}

}  // namespace retrace::trace::page
