#include <retrace/autograd/ops/activation.h>
#include <retrace/nn/by_name.h>
#include <retrace/tensor/check.h>

#include <algorithm>

#include <fmt/ranges.h>

namespace retrace::nn {
namespace {

struct Row {
  std::string_view name;
  Tensor (*function)(const Tensor& x);
};

// The function with its defaults.
#define RETRACE_ACTIVATION(name)                   \
  Row {                                            \
#name, [](const Tensor& x) { return name(x); } \
  }

constexpr Row kRows[] = {
    RETRACE_ACTIVATION(relu),       RETRACE_ACTIVATION(relu6),      RETRACE_ACTIVATION(leaky_relu),
    RETRACE_ACTIVATION(elu),        RETRACE_ACTIVATION(selu),       RETRACE_ACTIVATION(celu),
    RETRACE_ACTIVATION(sigmoid),    RETRACE_ACTIVATION(tanh),       RETRACE_ACTIVATION(gelu),
    RETRACE_ACTIVATION(quick_gelu), RETRACE_ACTIVATION(silu),       RETRACE_ACTIVATION(swish),
    RETRACE_ACTIVATION(mish),       RETRACE_ACTIVATION(hardswish),  RETRACE_ACTIVATION(hardsigmoid),
    RETRACE_ACTIVATION(hardtanh),   RETRACE_ACTIVATION(softsign),   RETRACE_ACTIVATION(tanhshrink),
    RETRACE_ACTIVATION(softshrink), RETRACE_ACTIVATION(hardshrink), RETRACE_ACTIVATION(softplus),
    RETRACE_ACTIVATION(logsigmoid),
};

#undef RETRACE_ACTIVATION

}  // namespace

const std::vector<std::string>& activation_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Row& row : kRows) all.emplace_back(row.name);
    return all;
  }();
  return names;
}

std::function<Tensor(const Tensor&)> activation(std::string_view name) {
  const auto* row = std::find_if(std::begin(kRows), std::end(kRows),
                                 [&](const Row& r) { return r.name == name; });
  require<ValueError>(row != std::end(kRows),
                      "activation: there is none called \"{}\"; give one of {}", name,
                      fmt::join(activation_names(), ", "));
  return row->function;
}

}  // namespace retrace::nn
