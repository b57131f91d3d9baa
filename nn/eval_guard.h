#pragma once

#include <utility>
#include <vector>

#include <retrace/nn/module.h>

namespace retrace::nn {

/// Puts a module and all below into evaluation mode (no dropout) while it lives, and each back into
/// its own after; what is put below it meanwhile keeps its mode.
class EvalGuard {
 public:
  explicit EvalGuard(const Module& model) {
    for (const auto& [name, module] : model.named_modules())
      modes_.emplace_back(module, module.is_training());
    Module(model).eval();
  }
  ~EvalGuard() {
    for (auto& [module, mode] : modes_) module.set_training(mode);
  }
  EvalGuard(const EvalGuard&) = delete;
  EvalGuard& operator=(const EvalGuard&) = delete;

 private:
  std::vector<std::pair<Module, bool>> modes_;
};

}  // namespace retrace::nn
