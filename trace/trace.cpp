#include <algorithm>
#include <cmath>

#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>
#include <retrace/trace/trace.h>

namespace retrace::trace {
namespace {

struct Apply {
  std::vector<NodeState>& nodes;

  void operator()(const Computed& e) const { nodes.at(e.node).value = e.value; }
  void operator()(const Seed& e) const { nodes.at(e.node).upstream = e.after; }
  void operator()(const Contribution&) const {}
  void operator()(const Accumulation& e) const {
    NodeState& node = nodes.at(e.node);
    (e.in_grad ? node.grad : node.upstream) = e.after;
  }
  void operator()(const ZeroGrad& e) const {
    for (const Id node : e.nodes) nodes.at(node).grad = kNone;
  }
  void operator()(const Clip& e) const {
    for (const Clip::Clipped& clipped : e.gradients) nodes.at(clipped.node).grad = clipped.after;
  }
  void operator()(const Update& e) const { nodes.at(e.node).value = e.after; }
  void operator()(const Change& e) const {
    NodeState& node = nodes.at(e.node);
    (e.of == Change::Of::value      ? node.value
     : e.of == Change::Of::gradient ? node.grad
                                    : node.upstream) = e.after;
  }
  void operator()(const TrainingStep&) const {}
};

}  // namespace

namespace {

// Where the event says its pass; null for one that belongs to none.
template <class Number, class Any>
Number* place_of_pass(Any& event) {
  return std::visit(
      [](auto& e) -> Number* {
        using E = std::remove_const_t<std::remove_reference_t<decltype(e)>>;
        if constexpr (std::is_same_v<E, Change>) {
          return e.of == Change::Of::upstream ? &e.pass : nullptr;
        } else if constexpr (requires { e.pass; }) {
          return &e.pass;
        } else {
          return nullptr;
        }
      },
      event);
}

}  // namespace

std::uint32_t* pass_of(Event& event) { return place_of_pass<std::uint32_t>(event); }

std::uint32_t PassCounter::usual(const Event& event) const {
  if (place_of_pass<const std::uint32_t>(event) == nullptr) return 0;
  return std::holds_alternative<Seed>(event) && !is_seeding_ ? most_ + 1 : begun_last_;
}

std::uint32_t PassCounter::of(const Event& event) {
  const std::uint32_t* const said = place_of_pass<const std::uint32_t>(event);
  if (said == nullptr) return 0;
  const std::uint32_t pass = *said != 0 ? *said : usual(event);
  is_seeding_ = std::holds_alternative<Seed>(event);
  if (is_seeding_) begun_last_ = pass;
  most_ = std::max(most_, pass);
  return pass;
}

void replay(const Event& event, std::vector<NodeState>& nodes) { std::visit(Apply{nodes}, event); }

// A state is what its events make of nothing: going back begins anew.
void State::go_to(std::size_t events) {
  if (events < position_) {
    std::fill(nodes_.begin(), nodes_.end(), NodeState());
    position_ = 0;
  }
  for (; position_ < std::min(events, trace_.events.size()); ++position_)
    replay(trace_.events[position_], nodes_);
}

bool Measured::differs() const {
  return std::abs(slope - expected) > 4 * error + 1e-6 * std::abs(expected);
}

bool Contribution::differs() const {
  return std::any_of(measured.begin(), measured.end(),
                     [](const Measured& each) { return each.differs(); });
}

void Trace::save(const std::string& path) const {
  const std::string text = json();
  require<IoError>(text.size() <= kLargestFile,
                   "{}: the trace has {} bytes, and none of more than {} can be read again; record "
                   "less of it, see RecorderOptions",
                   path, text.size(), kLargestFile);
  write_file(path, text);
}

Trace Trace::load(const std::string& path) { return parse(read_file(path, kLargestFile), path); }

}  // namespace retrace::trace
