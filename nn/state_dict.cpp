// Module's state_dict and load_state_dict.

#include <retrace/nn/module.h>

#include <unordered_map>
#include <unordered_set>

#include <retrace/autograd/grad_mode.h>
#include <retrace/nn/module_state.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/view.h>

namespace retrace::nn {
namespace {

// Calls f(name, tensor) for parameters and persistent buffers under all their names.
template <class F>
void walk_state(ModuleState& root, F&& f) {
  walk(root, false, [&](ModuleState& state, const std::string& prefix) {
    for (const Entries entries : {&ModuleState::parameters, &ModuleState::buffers}) {
      for (const ModuleState::Entry& entry : state.*entries) {
        if (entry.persistent) f(prefix + entry.name, entry.tensor);
      }
    }
  });
}

// A tensor of the module and what was found for it.
struct Target {
  Tensor tensor, source;
  std::string source_name;
};

class Comparison {
 public:
  void compare(const std::string& name, const Tensor& tensor, const StateDict& state);
  void finish(const StateDict& state);
  /// What lies in the module's own memory is copied, before any of that is written to: copying
  /// numbers then neither fails nor reads what was loaded a moment before.
  void unshare_sources();
  bool fits() const { return mismatches_.empty(); }
  std::string problems() const;

  std::vector<Target> targets;
  LoadResult result;

 private:
  std::unordered_map<const TensorData*, std::size_t> target_of_;
  std::vector<std::pair<std::string, std::size_t>> not_found_;
  OrderedDict<bool> names_;
  std::vector<std::string> mismatches_;
};

void Comparison::compare(const std::string& name, const Tensor& tensor, const StateDict& state) {
  names_.insert(name, true);
  const auto [place, is_new] = target_of_.emplace(&tensor.get(), targets.size());
  if (is_new) targets.push_back({tensor, {}, {}});
  const auto item = state.find(name);
  if (item == state.end()) {
    not_found_.emplace_back(name, place->second);
    return;
  }
  const Tensor& source = item->second;
  if (elements_overlap(tensor)) {
    mismatches_.push_back(fmt::format(
        "cannot be written to: {} {} is expanded, several of its elements are one place in memory",
        name, tensor.sizes()));
  } else if (!source.defined()) {
    mismatches_.push_back(fmt::format("undefined: {}", name));
  } else if (source.sizes() != tensor.sizes()) {
    mismatches_.push_back(fmt::format("another shape: {} is {}, the module's {}", name,
                                      source.sizes(), tensor.sizes()));
  } else if (source.dtype() != tensor.dtype()) {
    mismatches_.push_back(fmt::format("another dtype: {} {} is {}, the module's {}", name,
                                      source.sizes(), source.dtype(), tensor.dtype()));
  } else if (Target& target = targets[place->second]; !target.source.defined()) {
    target.source = source;
    target.source_name = name;
  } else if (!target.source.is_same(source) && !target.source.equal(source)) {
    mismatches_.push_back(fmt::format("not tied: {} and {} differ, in the module they are one",
                                      target.source_name, name));
  }
}

void Comparison::finish(const StateDict& state) {
  for (const auto& [name, target] : not_found_) {
    if (!targets[target].source.defined()) result.missing_keys.push_back(name);
  }
  for (const auto& [name, tensor] : state) {
    if (!names_.contains(name)) result.unexpected_keys.push_back(name);
  }
}

void Comparison::unshare_sources() {
  std::unordered_set<const Storage*> written;
  for (const Target& target : targets) written.insert(target.tensor.get().storage.get());
  for (Target& target : targets) {
    if (target.source.defined() && written.contains(target.source.get().storage.get()))
      target.source = contiguous_copy(target.source);
  }
}

std::string Comparison::problems() const {
  std::string text;
  for (const std::string& name : result.missing_keys) text += "\n  missing: " + name;
  for (const std::string& name : result.unexpected_keys) text += "\n  unexpected: " + name;
  for (const std::string& mismatch : mismatches_) text += "\n  " + mismatch;
  return text;
}

}  // namespace

StateDict Module::state_dict() const {
  StateDict result;
  std::unordered_map<const TensorData*, Tensor> detached;
  walk_state(state(), [&](const std::string& name, const Tensor& tensor) {
    Tensor& handle = detached[&tensor.get()];
    if (!handle.defined()) handle = tensor.detach();
    result.insert(name, handle);
  });
  return result;
}

LoadResult Module::load_state_dict(const StateDict& source, bool strict) {
  Comparison comparison;
  walk_state(state(), [&](const std::string& name, const Tensor& tensor) {
    comparison.compare(name, tensor, source);
  });
  comparison.finish(source);
  const LoadResult& result = comparison.result;
  const bool complete = result.missing_keys.empty() && result.unexpected_keys.empty();
  require<ValueError>(
      comparison.fits() && (complete || !strict),
      "load_state_dict: the state does not fit {}, nothing was loaded; check that it "
      "is one of this architecture:{}",
      type_name(), comparison.problems());
  comparison.unshare_sources();
  const NoGradGuard guard;
  for (Target& target : comparison.targets) {
    if (target.source.defined()) target.tensor.copy_(target.source);
  }
  return result;
}

}  // namespace retrace::nn
