#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

/// Puts a module into evaluation mode (no dropout) while it lives, and back after.
class EvalGuard {
 public:
  explicit EvalGuard(const Module& model) : model_(model), was_training_(model.is_training()) {
    model_.eval();
  }
  ~EvalGuard() { model_.train(was_training_); }
  EvalGuard(const EvalGuard&) = delete;
  EvalGuard& operator=(const EvalGuard&) = delete;

 private:
  Module model_;  // a handle
  bool was_training_;
};

}  // namespace retrace::nn
