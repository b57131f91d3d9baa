#include <retrace/trace/distance.h>
#include <retrace/trace/story.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include <fmt/format.h>

namespace retrace::trace {
namespace {

// All that a tensor was, one after the other.
struct Track {
  std::vector<Id> values, gradients;
  std::vector<std::pair<Id, Id>> updates;
};

std::vector<Track> tracks_of(const Trace& trace) {
  std::vector<Track> tracks(trace.nodes.size());
  for (const Event& event : trace.events) {
    if (const auto* computed = std::get_if<Computed>(&event)) {
      tracks[computed->node].values.push_back(computed->value);
    } else if (const auto* sum = std::get_if<Accumulation>(&event);
               sum != nullptr && sum->in_grad) {
      tracks[sum->node].gradients.push_back(sum->after);
    } else if (const auto* clip = std::get_if<Clip>(&event)) {
      for (const Clip::Clipped& each : clip->gradients)
        tracks[each.node].gradients.push_back(each.after);
    } else if (const auto* update = std::get_if<Update>(&event)) {
      tracks[update->node].values.push_back(update->after);
      tracks[update->node].updates.emplace_back(update->before, update->after);
    } else if (const auto* change = std::get_if<Change>(&event);
               change != nullptr && change->after != kNone) {
      if (change->of == Change::Of::value) tracks[change->node].values.push_back(change->after);
      if (change->of == Change::Of::gradient)
        tracks[change->node].gradients.push_back(change->after);
    }
  }
  return tracks;
}

// Nodes at which backward began.
std::set<Id> losses_of(const Trace& trace) {
  std::set<Id> losses;
  for (const Event& event : trace.events) {
    if (const auto* seed = std::get_if<Seed>(&event)) losses.insert(seed->node);
  }
  return losses;
}

void widen(std::optional<Distance>& widest, const Distance& by) {
  if (!widest) widest.emplace();
  widest->widen(by);
}

class Table {
 public:
  Table(const Trace& a, const Trace& b, double tolerance)
      : a_(a), b_(b), tolerance_(tolerance), tracks_a_(tracks_of(a)), tracks_b_(tracks_of(b)) {}

  // Of A. One that was computed while the recorder lived is no leaf of the trace.
  bool is_parameter(Id node) const {
    const Track& track = tracks_a_[node];
    return (a_.nodes[node].is_leaf() && a_.nodes[node].requires_grad) || !track.gradients.empty() ||
           !track.updates.empty();
  }

  Comparison::Row row(std::string name, Id of_a, Id of_b) const {
    const Track &x = tracks_a_[of_a], &y = tracks_b_[of_b];
    Comparison::Row row{
        std::move(name), widest(x.values, y.values), widest(x.gradients, y.gradients), {}};
    for (std::size_t k = 0; k < std::min(x.updates.size(), y.updates.size()); ++k) {
      const Numbers &before_a = a_.numbers[x.updates[k].first],
                    &after_a = a_.numbers[x.updates[k].second],
                    &before_b = b_.numbers[y.updates[k].first],
                    &after_b = b_.numbers[y.updates[k].second];
      if (before_a.sizes == after_a.sizes && after_a.sizes == before_b.sizes &&
          before_b.sizes == after_b.sizes)
        widen(row.update, update_distance(before_a, after_a, before_b, after_b));
    }
    return row;
  }

 private:
  std::optional<Distance> widest(const std::vector<Id>& of_a, const std::vector<Id>& of_b) const {
    std::optional<Distance> all;
    for (std::size_t k = 0; k < std::min(of_a.size(), of_b.size()); ++k) {
      const Numbers &x = a_.numbers[of_a[k]], &y = b_.numbers[of_b[k]];
      if (x.sizes == y.sizes) widen(all, difference(x, y, tolerance_).distance);
    }
    return all;
  }

  const Trace &a_, &b_;
  const double tolerance_;
  const std::vector<Track> tracks_a_, tracks_b_;
};

}  // namespace

std::vector<Comparison::Row> parameter_distances(const Trace& a, const Trace& b,
                                                 const std::vector<Id>& partner, double tolerance) {
  const Table table(a, b, tolerance);
  std::multimap<std::string, Id> alone;  // of B, that have a name and no partner
  const std::set<Id> partners(partner.begin(), partner.end());
  for (Id id = 0; id < b.nodes.size(); ++id) {
    if (!b.nodes[id].name.empty() && !partners.contains(id)) alone.emplace(b.nodes[id].name, id);
  }
  std::unordered_map<std::string, int> bearers;  // of each name in A
  for (const Node& node : a.nodes) ++bearers[node.name];
  std::vector<Comparison::Row> rows;
  for (Id id = 0; id < a.nodes.size(); ++id) {
    const std::string& name = a.nodes[id].name;
    if (!table.is_parameter(id)) continue;
    Id other = partner[id];
    if (const auto found = alone.lower_bound(name);
        other == kNone && found != alone.end() && found->first == name) {
      other = found->second;
      alone.erase(found);
    }
    if (other == kNone) continue;
    std::string said = label(a, id);
    if (!name.empty() && bearers[name] > 1) said += fmt::format(" #{}", id);
    rows.push_back(table.row(std::move(said), id, other));
  }
  Comparison::Row losses{"loss", {}, {}, {}};  // of each step of the training
  for (const Id loss : losses_of(a)) {
    if (partner[loss] == kNone) continue;
    if (const auto value = table.row("", loss, partner[loss]).value) widen(losses.value, *value);
  }
  if (losses.value) rows.push_back(std::move(losses));
  return rows;
}

}  // namespace retrace::trace
