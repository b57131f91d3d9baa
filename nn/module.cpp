#include <retrace/nn/module.h>

#include <algorithm>
#include <cstdlib>
#include <typeinfo>
#include <unordered_set>

#include <cxxabi.h>

#include <retrace/autograd/grad_mode.h>
#include <retrace/nn/module_state.h>
#include <retrace/tensor/check.h>

namespace retrace::nn {
namespace {

// "retrace::nn::Linear" -> "Linear"; what stands in template brackets is left alone.
std::string class_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> demangled(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), std::free);
  const std::string name = status == 0 ? demangled.get() : type.name();
  const std::size_t colon = name.rfind("::", name.find('<'));
  return colon == std::string::npos ? name : name.substr(colon + 2);
}

std::vector<Tensor> tensors_of(ModuleState& root, Entries entries) {
  std::vector<Tensor> tensors;
  walk_tensors(root, entries,
               [&](const std::string&, const Tensor& tensor) { tensors.push_back(tensor); });
  return tensors;
}

NamedTensors named_tensors_of(ModuleState& root, Entries entries) {
  NamedTensors tensors;
  walk_tensors(root, entries, [&](const std::string& name, const Tensor& tensor) {
    tensors.insert(name, tensor);
  });
  return tensors;
}

void check_name(std::string_view op, const ModuleState& state, std::string_view name) {
  require<ValueError>(!name.empty(), "{}: the name is empty; give one", op);
  require<ValueError>(name.find('.') == std::string_view::npos,
                      "{}: the name \"{}\" has a dot, which separates names in a path; use another",
                      op, name);
  const auto is_taken = [name](const auto& list) {
    return std::any_of(list.begin(), list.end(), [name](const auto& e) { return e.name == name; });
  };
  require<ValueError>(
      !is_taken(state.parameters) && !is_taken(state.buffers) && !is_taken(state.children),
      "{}: the name \"{}\" is taken by another part of this module; use another", op, name);
}

}  // namespace

// The handle ------------------------------------------------------------------------------------

Module::Module() : state_(std::make_shared<ModuleState>()) {}
Module::Module(std::shared_ptr<ModuleState> state) : state_(std::move(state)) {}
Module::~Module() = default;

ModuleState& Module::state() const {
  require<ValueError>(state_ != nullptr,
                      "module: used after it was moved from; use the one it was moved to");
  return *state_;
}

// Parts -----------------------------------------------------------------------------------------

void Module::add_child(std::string_view name, const Module& child) {
  check_name("register_module", state(), name);
  bool is_cycle = false;
  walk(child.state(), true,
       [&](const ModuleState& below, const std::string&) { is_cycle |= &below == state_.get(); });
  require<ValueError>(
      !is_cycle,
      "register_module: \"{}\" is this module or one that holds it, so that it would "
      "be below itself; register another",
      name);
  child.remember_type();
  std::string own_name(name);
  state_->children.push_back({own_name, child.state_});
  if (child.state_->parent.expired()) {
    child.state_->name = std::move(own_name);
    child.state_->parent = state_;
  }
}

Tensor Module::register_parameter(std::string_view name, Tensor tensor, bool requires_grad) {
  check_name("register_parameter", state(), name);
  require<ValueError>(
      tensor.defined(),
      "register_parameter: \"{}\" is undefined; leave out what a module does not have", name);
  require<AutogradError>(
      tensor.is_leaf(),
      "register_parameter: \"{}\" of shape {} is computed from other tensors, not "
      "a leaf; detach() it",
      name, tensor.sizes());
  // Whatever fails comes before anything changes.
  ModuleState::Entry entry{std::string(name), tensor};
  state_->parameters.reserve(state_->parameters.size() + 1);
  const bool is_frozen = tensor.get().was_leaf && !tensor.requires_grad();
  tensor.requires_grad_(requires_grad && !is_frozen);
  state_->parameters.push_back(std::move(entry));
  return tensor;
}

Tensor Module::register_buffer(std::string_view name, Tensor tensor, bool persistent) {
  check_name("register_buffer", state(), name);
  require<ValueError>(tensor.defined(),
                      "register_buffer: \"{}\" is undefined; give it a value first", name);
  require<AutogradError>(
      !tensor.requires_grad(),
      "register_buffer: \"{}\" of shape {} wants a gradient, which buffers do not have; detach() "
      "it, or use register_parameter",
      name, tensor.sizes());
  state_->buffers.push_back({std::string(name), tensor, persistent});
  return tensor;
}

std::vector<Tensor> Module::parameters() const {
  return tensors_of(state(), &ModuleState::parameters);
}
std::vector<Tensor> Module::buffers() const { return tensors_of(state(), &ModuleState::buffers); }
NamedTensors Module::named_parameters() const {
  return named_tensors_of(state(), &ModuleState::parameters);
}
NamedTensors Module::named_buffers() const {
  return named_tensors_of(state(), &ModuleState::buffers);
}

OrderedDict<Module> Module::named_modules() const {
  remember_type();
  OrderedDict<Module> modules;
  modules.insert("", Module(state_));
  std::unordered_set<const ModuleState*> seen = {state_.get()};
  std::vector<std::pair<std::string, std::shared_ptr<ModuleState>>> waiting;
  const auto add_children = [&](const ModuleState& parent, const std::string& prefix) {
    for (auto child = parent.children.rbegin(); child != parent.children.rend(); ++child)
      waiting.emplace_back(prefix + child->name, child->state);
  };
  add_children(state(), "");
  while (!waiting.empty()) {
    const auto [name, child] = std::move(waiting.back());
    waiting.pop_back();
    if (!seen.insert(child.get()).second) continue;
    modules.insert(name, Module(child));
    add_children(*child, name + ".");
  }
  return modules;
}

// State -----------------------------------------------------------------------------------------

void Module::to(DType dtype) {
  require<DTypeError>(is_floating(dtype), "to: a module cannot be {}; use float32 or float64",
                      dtype);
  const NoGradGuard guard;
  std::vector<std::pair<Tensor, Tensor>> changes;
  for (const Entries entries : {&ModuleState::parameters, &ModuleState::buffers}) {
    walk_tensors(state(), entries, [&](const std::string& name, const Tensor& tensor) {
      if (!tensor.is_floating_point() || tensor.dtype() == dtype) return;
      // What set_data refuses is refused before the first tensor is changed.
      require<AutogradError>(!tensor.get().is_recorded(),
                             "to: \"{}\" of shape {} was computed on the tape and cannot become "
                             "{}; change buffers under a NoGradGuard",
                             name, tensor.sizes(), dtype);
      changes.emplace_back(tensor, tensor.to(dtype));
    });
  }
  for (auto& [tensor, converted] : changes) tensor.set_data(converted);
}

void Module::train(bool on) {
  std::vector<ModuleState*> all;  // first, since memory may be missing
  walk(state(), true, [&](ModuleState& each, const std::string&) { all.push_back(&each); });
  for (ModuleState* each : all) each->training = on;
}

void Module::set_training(bool on) { state().training = on; }
bool Module::is_training() const { return state().training; }

void Module::zero_grad() {
  for (Tensor& parameter : parameters()) parameter.zero_grad();
}

void Module::requires_grad_(bool wanted) {
  for (Tensor& parameter : parameters()) parameter.requires_grad_(wanted);
}

// What it is ------------------------------------------------------------------------------------

std::string Module::path() const {
  std::string path;
  for (std::shared_ptr<ModuleState> at = state_; at != nullptr;) {
    std::shared_ptr<ModuleState> parent = at->parent.lock();
    if (parent != nullptr) path = path.empty() ? at->name : at->name + "." + path;
    at = std::move(parent);
  }
  return path;
}

std::string Module::name_of(const TensorData& tensor) const {
  std::string name;
  for (const Entries entries : {&ModuleState::parameters, &ModuleState::buffers}) {
    walk_tensors(state(), entries, [&](const std::string& below, const Tensor& each) {
      if (&each.get() == &tensor) name = below;
    });
  }
  const std::string place = name.empty() ? std::string() : path();
  return place.empty() ? name : place + "." + name;
}

// A plain Module is a handle whose class was cut off; the class itself was seen before.
void Module::remember_type() const {
  if (std::string type = type_name(); type != state().type) state_->type = std::move(type);
}

std::string Module::type_name() const {
  if (typeid(*this) != typeid(Module)) return class_name(typeid(*this));
  return state().type.empty() ? "Module" : state().type;
}

void Module::describe(std::string details) { state().details = std::move(details); }

}  // namespace retrace::nn
