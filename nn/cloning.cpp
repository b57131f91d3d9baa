#include <retrace/nn/module.h>

#include <utility>

#include <retrace/nn/module_state.h>
#include <retrace/tensor/clone_scope.h>
#include <retrace/tensor/view.h>

namespace retrace::nn {

struct Cloning::Twins {
  using Pair = std::pair<std::shared_ptr<ModuleState>, std::shared_ptr<ModuleState>>;

  Twins() : outer(innermost) { innermost = this; }
  ~Twins() {
    for (auto& [original, twin] : pairs) original->redirected = false;
    innermost = outer;
  }
  Twins(const Twins&) = delete;
  Twins& operator=(const Twins&) = delete;

  /// The twin of `original`; null when it has none here.
  std::shared_ptr<ModuleState> of(const ModuleState* original) const {
    for (const auto& [from, to] : pairs) {
      if (from.get() == original) return to;
    }
    return nullptr;
  }

  void add(std::shared_ptr<ModuleState> original) {
    if (of(original.get()) != nullptr) return;
    pairs.emplace_back(original, original->make_twin());
    original->redirected = true;
    for (const ModuleState::Child& child : original->children) add(child.state);
  }

  void add_tensors(const ModuleState& state) {
    for (const Entries entries : {&ModuleState::parameters, &ModuleState::buffers}) {
      for (const ModuleState::Entry& entry : state.*entries) {
        if (tensors.stand_in(entry.tensor).defined()) continue;
        Tensor copy = contiguous_copy(entry.tensor);
        copy.requires_grad_(entry.tensor.requires_grad());
        tensors.add(entry.tensor, std::move(copy));
      }
    }
  }

  void fill(const ModuleState& original, ModuleState& twin) const {
    twin.name = original.name;
    twin.parent = of(original.parent.lock().get());
    twin.type = original.type;
    twin.details = original.details;
    twin.training = original.training;
    twin.parameters = std::vector(original.parameters);  // copied tensors are stand-ins
    twin.buffers = std::vector(original.buffers);
    for (const ModuleState::Child& child : original.children)
      twin.children.push_back({child.name, of(child.state.get())});
    original.copy_into(twin);
  }

  CloneScope tensors;
  std::vector<Pair> pairs;
  Twins* outer;
  static thread_local constinit Twins* innermost;
};

thread_local constinit Cloning::Twins* Cloning::Twins::innermost = nullptr;

Cloning::Cloning(const Module& root) : twins_(std::make_unique<Twins>()) {
  root.remember_type();
  twins_->add(root.state_);
  for (const auto& [original, twin] : twins_->pairs) twins_->add_tensors(*original);
  for (const auto& [original, twin] : twins_->pairs) twins_->fill(*original, *twin);
}

Cloning::~Cloning() = default;

Module::Module(const Module& other) : state_(other.state_) {
  // Another thread may be cloning; then this one copies as ever.
  if (state_ == nullptr || !state_->redirected || Cloning::Twins::innermost == nullptr) return;
  if (auto twin = Cloning::Twins::innermost->of(state_.get())) state_ = std::move(twin);
}

}  // namespace retrace::nn
