#pragma once

// What all optimizers have in common. To write one, see algorithm.h.

#include <memory>
#include <string_view>
#include <vector>

#include <retrace/tensor/named.h>

namespace retrace::optim {

class Algorithm;

/// Parameters with options of their own:
///     optim::AdamW optimizer({{weights, {.lr = 1e-3}}, {biases, {.weight_decay = 0}}});
template <class Options>
struct ParameterGroup {
  std::vector<Tensor> parameters;
  Options options = {};
};

/// Changes parameters by their gradients. An Optimizer is a handle: a copy is the same optimizer,
/// and it shares ownership of the parameters, so it may outlive their module.
///
/// Parameters are floating leaves (ValueError for none at all, an undefined one, or one of which
/// several elements are one place in memory; DTypeError, AutogradError). One that comes twice in a
/// group, such as a tied weight, is updated once; in two groups it is a ValueError. Options out of
/// their range are a ValueError at construction.
class Optimizer {
 public:
  /// Updates every parameter that has a gradient, in place and unrecorded; the others stay as they
  /// are, and so does what is kept for them. ShapeError, DTypeError when a gradient or a kept
  /// tensor does not fit its parameter (after module.to(dtype), say), ValueError when an option is
  /// not finite as float32, the parameter's dtype, or an eps 0: then nothing was changed.
  void step();
  /// Drops the gradients.
  void zero_grad();

  std::size_t groups() const;
  /// All parameters, group after group.
  const std::vector<Tensor>& parameters() const;
  double lr(std::size_t group = 0) const;
  /// For all groups, or for one. ValueError unless finite and at least 0.
  void set_lr(double lr);
  void set_lr(double lr, std::size_t group);
  /// "AdamW"
  std::string_view name() const;

  /// All that a resumed run needs, as tensors: "AdamW.version"; "groups.0.size" and the options
  /// ("groups.0.lr"); for parameter 0, 1, ... "0.step" and what is kept for it ("0.exp_avg"). All
  /// of it are copies: what later steps do does not reach it.
  StateDict state_dict() const;
  /// Takes over options and kept tensors, which are copied. ValueError when they are those of
  /// another type, version, number of groups or number of parameters, and one ValueError that names
  /// all that is missing, unexpected or of another shape or dtype; then nothing was changed.
  void load_state_dict(const StateDict& state);

 protected:
  explicit Optimizer(std::shared_ptr<Algorithm> algorithm) : algorithm_(std::move(algorithm)) {}
  Algorithm& algorithm() const;

 private:
  std::shared_ptr<Algorithm> algorithm_;
};

/// An optimizer whose options are known: what SGD, AdamW and the others have in common.
template <class OptionsType>
class OptimizerFor : public Optimizer {
 public:
  using Options = OptionsType;
  using Group = ParameterGroup<Options>;
  explicit OptimizerFor(const std::vector<Tensor>& parameters, const Options& options = {});
  explicit OptimizerFor(const std::vector<Group>& groups);

  /// Appends a group, to be updated from the next step on. Errors are those of construction; then
  /// nothing was changed. A schedule made before does not change the new group's rate.
  void add_param_group(const Group& group);
  /// "AdamW", without an object.
  static std::string_view type_name();
};

}  // namespace retrace::optim
