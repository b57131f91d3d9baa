#pragma once

// One optimizer of each kind, and of each set of tensors that it may keep, for tests of what they
// have in common.

#include <functional>
#include <string>
#include <vector>

#include <retrace/optim/optim.h>

namespace retrace::testing {

struct OptimizerKind {
  std::string name;
  std::function<optim::Optimizer(const std::vector<Tensor>&)> make;
  std::function<optim::Optimizer(const std::vector<Tensor>&)> make_default;
  /// As `make`, with a second group added afterwards.
  std::function<optim::Optimizer(const std::vector<Tensor>&, const std::vector<Tensor>&)> make_two;
};

template <class O>
OptimizerKind kind(std::string name, const typename O::Options& options) {
  typename O::Options slower = options;
  slower.lr /= 2;
  return {std::move(name), [options](const std::vector<Tensor>& p) { return O(p, options); },
          [](const std::vector<Tensor>& p) { return O(p); },
          [=](const std::vector<Tensor>& p, const std::vector<Tensor>& q) {
            O optimizer(p, options);
            optimizer.add_param_group({q, slower});
            return optimizer;
          }};
}

/// All of them take matrices, and these options leave no default untouched that is kept in a state.
inline const std::vector<OptimizerKind>& every_optimizer() {
  using namespace optim;
  static const std::vector<OptimizerKind> all = {
      kind<SGD>("SGD", {.lr = 0.1}),
      kind<SGD>("SGD, momentum",
                {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.1}),
      kind<SGD>("SGD, nesterov", {.lr = 0.1, .momentum = 0.8, .nesterov = true, .maximize = true}),
      kind<Adam>("Adam", {.lr = 0.02, .betas = {0.8, 0.9}, .eps = 1e-6, .weight_decay = 0.1}),
      kind<Adam>("Adam, amsgrad", {.lr = 0.02, .amsgrad = true, .maximize = true}),
      kind<AdamW>("AdamW", {.lr = 0.02, .betas = {0.8, 0.9}, .weight_decay = 0.1}),
      kind<AdamW>("AdamW, amsgrad", {.lr = 0.02, .amsgrad = true, .maximize = true}),
      kind<Adamax>(
          "Adamax",
          {.lr = 0.02, .betas = {0.8, 0.9}, .eps = 1e-6, .weight_decay = 0.1, .maximize = true}),
      kind<NAdam>("NAdam", {.lr = 0.02, .betas = {0.8, 0.9}, .momentum_decay = 0.01}),
      kind<NAdam>(
          "NAdam, decoupled",
          {.lr = 0.02, .weight_decay = 0.1, .decoupled_weight_decay = true, .maximize = true}),
      kind<RAdam>("RAdam", {.lr = 0.02, .betas = {0.8, 0.9}, .weight_decay = 0.1}),
      kind<RAdam>(
          "RAdam, decoupled",
          {.lr = 0.02, .weight_decay = 0.1, .decoupled_weight_decay = true, .maximize = true}),
      kind<RMSprop>("RMSprop", {.lr = 0.02, .alpha = 0.9, .weight_decay = 0.1}),
      kind<RMSprop>("RMSprop, centered", {.lr = 0.02, .centered = true, .maximize = true}),
      kind<RMSprop>("RMSprop, momentum", {.lr = 0.02, .momentum = 0.5}),
      kind<RMSprop>("RMSprop, centered and momentum",
                    {.lr = 0.02, .momentum = 0.5, .centered = true}),
      kind<Adagrad>("Adagrad", {.lr = 0.1,
                                .lr_decay = 0.1,
                                .weight_decay = 0.1,
                                .initial_accumulator_value = 0.5,
                                .maximize = true}),
      kind<Adadelta>("Adadelta", {.lr = 2, .rho = 0.8, .weight_decay = 0.1, .maximize = true}),
      kind<Lion>("Lion", {.lr = 0.02, .betas = {0.8, 0.9}, .weight_decay = 0.1, .maximize = true}),
      kind<Muon>("Muon", {.lr = 0.02, .weight_decay = 0.2, .momentum = 0.9}),
      kind<Muon>("Muon, plain",
                 {.lr = 0.02, .nesterov = false, .ns_steps = 3, .eps_mode = EpsMode::add}),
  };
  return all;
}

/// Does not share memory with it.
inline StateDict copy_of(const StateDict& state) {
  StateDict copy;
  for (const auto& [name, value] : state) copy.insert(name, value.detach().clone());
  return copy;
}
/// The same names with the same bits.
inline bool same(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, value] : a) {
    const auto other = b.find(name);
    if (other == b.end() || other->second.dtype() != value.dtype() || !other->second.equal(value))
      return false;
  }
  return true;
}

}  // namespace retrace::testing
