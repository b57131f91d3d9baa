#pragma once

// Activations for programs that are told on their command line which one to use.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::nn {

/// "relu", "gelu", ...: every activation of one tensor that learns nothing, as its function is
/// called.
const std::vector<std::string>& activation_names();

/// The activation of that name with its defaults: activation("gelu")(x). ValueError, listing the
/// names, when there is none.
std::function<Tensor(const Tensor&)> activation(std::string_view name);

}  // namespace retrace::nn
