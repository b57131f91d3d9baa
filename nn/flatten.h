#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

struct FlattenOptions {
  std::int64_t start_dim = 1;
  std::int64_t end_dim = -1;
};

/// Joins the dims from start_dim to end_dim, by default all but the first: between convolutions and
/// Linear. A view where the strides allow it. Errors: see flatten().
class Flatten : public Module {
 public:
  explicit Flatten(const FlattenOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  FlattenOptions options_;
};

}  // namespace retrace::nn
