#pragma once

#include <vector>

#include <retrace/nn/module.h>

namespace retrace::nn {

/// Puts a module and all below into evaluation mode (no dropout) while it lives, and each back into
/// its own after.
class EvalGuard {
 public:
  explicit EvalGuard(const Module& model) : model_(model), modes_(model_.set_modes({false})) {}
  ~EvalGuard() { model_.set_modes(modes_); }
  EvalGuard(const EvalGuard&) = delete;
  EvalGuard& operator=(const EvalGuard&) = delete;

 private:
  Module model_;  // a handle
  std::vector<bool> modes_;
};

}  // namespace retrace::nn
