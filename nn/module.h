#pragma once

// Modules: parts of a model that hold parameters.

#include <concepts>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <retrace/tensor/named.h>
#include <retrace/tensor/scope.h>

namespace retrace::nn {

struct ModuleState;

/// What load_state_dict did not find, and what it did not use.
struct LoadResult {
  std::vector<std::string> missing_keys, unexpected_keys;
};

/// Places the ops of this thread in a module while it lives: `nn::Scope scope(*this);` at the head
/// of a forward function. The library's modules do that by themselves.
using Scope = PlaceScope;

/// Base of all modules. One of one's own holds its parts as members and registers them:
///
///     struct Block : nn::Module {
///       nn::Linear up{64, 256}, down{256, 64};
///       Tensor scale = register_parameter("scale", ones({64}));
///       Block() { register_module("up", up); register_module("down", down); }
///       Tensor forward(const Tensor& x) { return x + scale * down(gelu(up(x))); }
///     };
///
/// A module is a handle: a copy, or a `Module` made from it, is the same module, whatever becomes
/// of the object that it was copied from; clone() makes a second one. Assigning to a member after
/// it was registered makes the member another module and leaves the registered one in place. Used
/// after it was moved from, a module is a ValueError.
class Module : public Place {
 public:
  Module();
  Module(const Module& other);
  Module(Module&& other) noexcept = default;
  Module& operator=(const Module& other) = default;
  Module& operator=(Module&& other) noexcept = default;
  virtual ~Module();

  // Parts ----------------------------------------------------------------------------------------
  /// Puts a part below this module and returns it. Names are not empty, without dots, and new here;
  /// a module cannot be put below itself (ValueError). One that is registered in several places has
  /// the path of the first.
  template <class M>
  M&& register_module(std::string_view name, M&& module) {
    add_child(name, module);
    return std::forward<M>(module);
  }
  /// Makes a leaf tensor a parameter, which wants a gradient, and returns it. The same tensor may
  /// be registered in several places (tied weights); one that wanted a gradient and was told by
  /// requires_grad_(false) to want none, stays so.
  Tensor register_parameter(std::string_view name, Tensor tensor, bool requires_grad = true);
  /// Makes a tensor part of the module's state without a gradient, in files only if persistent.
  /// AutogradError for one that wants a gradient.
  Tensor register_buffer(std::string_view name, Tensor tensor, bool persistent = true);

  /// Of this module and all below, each once, even if it has several names. Names are paths from
  /// here, "block0.norm.weight"; a module's own come before those of its parts.
  std::vector<Tensor> parameters() const;
  std::vector<Tensor> buffers() const;
  NamedTensors named_parameters() const;
  NamedTensors named_buffers() const;
  /// This module, named "", and all below it.
  OrderedDict<Module> named_modules() const;
  /// Calls f(module) for this module and all below it.
  template <class F>
  void apply(F f) const {
    for (auto& [name, module] : named_modules()) f(module);
  }

  // State ----------------------------------------------------------------------------------------
  /// Parameters and persistent buffers under all their names, detached; they share the module's
  /// memory.
  StateDict state_dict() const;
  /// Copies numbers from `state`. One ValueError lists every name that is missing, unexpected, or
  /// of another shape or dtype; then nothing was changed. Of the names of a tied tensor one is
  /// enough. Not strict: missing and unexpected names are only returned.
  LoadResult load_state_dict(const StateDict& state, bool strict = true);

  /// Converts floating parameters and buffers, for all handles to them. Drops their gradients; make
  /// optimizers after it. AutogradError, and nothing is converted, when a buffer has become part of
  /// the tape, by a change in place.
  void to(DType dtype);
  /// Training or evaluation of this module and all below: Dropout acts in training only.
  void train(bool on = true);
  void eval() { train(false); }
  /// Of this module alone, whatever those below are in.
  void set_training(bool on);
  bool is_training() const;
  void zero_grad();
  void requires_grad_(bool wanted = true);

  // What it is -----------------------------------------------------------------------------------
  /// "block0.norm": its place below the outermost module; "" for that one.
  std::string path() const override;
  /// The same of a parameter or buffer of it or of a part: "block0.norm.weight".
  std::string name_of(const TensorData& tensor) const override;
  /// "Linear": the class, without namespaces.
  std::string type_name() const;
  /// The tree of modules with sizes and numbers of parameters, as `std::cout << module` prints it.
  std::string summary() const;
  /// Both are the same module, not only equal.
  bool is_same(const Module& other) const { return state_ == other.state_; }

 protected:
  explicit Module(std::shared_ptr<ModuleState> state);
  /// What stands in the brackets in the summary: "in_features=4, out_features=8, bias=true".
  void describe(std::string details);
  /// ValueError when moved from.
  ModuleState& state() const;

 private:
  friend class Cloning;
  void add_child(std::string_view name, const Module& child);
  void remember_type() const;
  std::shared_ptr<ModuleState> state_;
};

std::ostream& operator<<(std::ostream& out, const Module& module);

/// While it lives, copies of handles to `root`, its parts and their tensors, made on this thread,
/// are handles to twins of them.
class Cloning {
 public:
  explicit Cloning(const Module& root);
  ~Cloning();
  Cloning(const Cloning&) = delete;
  Cloning& operator=(const Cloning&) = delete;

 private:
  friend class Module;
  struct Twins;
  std::unique_ptr<Twins> twins_;
};

/// A second module of the same type with parameters and buffers of its own: same numbers, no
/// gradients, tied where they were tied. Members that are neither modules nor registered tensors
/// are copied as C++ copies them: a tensor that is not registered is shared, and so is what a
/// std::shared_ptr points to.
template <std::derived_from<Module> M>
M clone(const M& module) {
  const Cloning cloning(module);
  M copy(module);
  return copy;
}

}  // namespace retrace::nn
