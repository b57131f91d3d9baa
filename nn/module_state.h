#pragma once

// What the handles to a module share. For modules that share more than parameters.

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::nn {

/// What the handles of one module share.
struct ModuleState {
  /// A parameter or a buffer.
  struct Entry {
    std::string name;
    Tensor tensor;
    bool persistent = true;
  };
  /// A module in this one.
  struct Child {
    std::string name;
    std::shared_ptr<ModuleState> state;
  };

  std::string name;  // in its parent
  std::weak_ptr<ModuleState> parent;
  std::string type, details;
  std::vector<Entry> parameters, buffers;
  std::vector<Child> children;
  bool training = true;
  bool redirected = false;  // a copy of it is being made (see Cloning)

  ModuleState() = default;
  ModuleState(const ModuleState&) = delete;
  ModuleState& operator=(const ModuleState&) = delete;
  virtual ~ModuleState() = default;

  /// An empty state of the same C++ type.
  virtual std::shared_ptr<ModuleState> make_twin() const { return std::make_shared<ModuleState>(); }
  /// Copies into a twin what a derived state adds. Copied handles lead to twins.
  virtual void copy_into(ModuleState& twin) const { static_cast<void>(twin); }
};

/// Calls f(state, prefix) for `root` and every module below it, parents first: each once, or under
/// all its names.
template <class F>
void walk(ModuleState& root, bool once, F&& f) {
  struct Place {
    ModuleState* state;
    std::string prefix;
  };
  std::unordered_set<const ModuleState*> seen;
  std::vector<Place> waiting = {{&root, ""}};
  while (!waiting.empty()) {
    const Place place = std::move(waiting.back());
    waiting.pop_back();
    if (once && !seen.insert(place.state).second) continue;
    f(*place.state, place.prefix);
    const auto& children = place.state->children;
    for (auto child = children.rbegin(); child != children.rend(); ++child)
      waiting.push_back({child->state.get(), place.prefix + child->name + "."});
  }
}

/// Member that lists the parameters or the buffers.
using Entries = std::vector<ModuleState::Entry> ModuleState::*;

/// Calls f(name, entry) for the parameters or buffers at and below `root`, each tensor once.
template <class F>
void walk_tensors(ModuleState& root, Entries entries, F&& f) {
  std::unordered_set<const TensorData*> seen;
  walk(root, true, [&](ModuleState& state, const std::string& prefix) {
    for (const ModuleState::Entry& entry : state.*entries) {
      if (seen.insert(&entry.tensor.get()).second) f(prefix + entry.name, entry.tensor);
    }
  });
}

}  // namespace retrace::nn
