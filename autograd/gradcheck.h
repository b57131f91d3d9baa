#pragma once

// Checking a gradient: what backward gives against differences of the function itself.

#include <retrace/autograd/tensor_function.h>

namespace retrace {

struct GradcheckOptions {
  double eps = 1e-6;   ///< step to either side of an element
  double atol = 1e-5;  ///< |analytic - numeric| may be atol + rtol · |numeric|
  double rtol = 1e-3;
  bool raise = true;  ///< throw where they differ; else return false
  unsigned seed = 0;  ///< of the random upstream gradient
};

/// True when the gradients of f with respect to those `inputs` that want one are right: for a
/// random upstream u, backward's gradient of Σ u · f agrees at every element with the central
/// difference (s(x + eps) - s(x - eps)) / 2 eps. Outputs that are not floating are left out.
///
/// The same gradient must come out when u is strided or repeated by stride 0, and when it arrives
/// at one output of several at a time; and f must give the same bits each time.
///
/// The inputs themselves are moved and put back bit for bit, so f may also use them directly (a
/// model's parameters, say); they may have any strides, and any history. No tensor's grad changes.
///
/// Errors: AutogradError naming input, element, the analytic and the numeric value, when they
/// differ (unless raise is false) and when no output wants a gradient; DTypeError for a float32
/// input or output (differences of float32 have too few digits to judge by); ValueError for inputs
/// whose elements share memory, when no input wants a gradient, and when f changes its inputs or
/// gives different results for the same ones.
bool gradcheck(TensorFunction f, const std::vector<Tensor>& inputs,
               const GradcheckOptions& options = {});

/// The same for second derivatives: gradcheck of the gradients of f, recorded by create_graph, as
/// functions of the inputs and of the upstream gradient.
bool gradgradcheck(TensorFunction f, const std::vector<Tensor>& inputs,
                   const GradcheckOptions& options = {});

}  // namespace retrace
