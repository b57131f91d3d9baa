#pragma once

// Optimizers for programs that are told on their command line which one to use.

#include <optional>
#include <string_view>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

/// The options that every optimizer has. Without a value: that optimizer's own default.
struct CommonOptions {
  std::optional<double> lr = {}, weight_decay = {};
};

/// "SGD", "Adam", "AdamW", ...: all there are.
const std::vector<std::string_view>& names();

/// The name as it is in names(), of one in capitals or not; nothing when there is none.
std::optional<std::string_view> find_name(std::string_view name);

/// The optimizer of that name, in capitals or not ("adamw"), its other options at their defaults.
/// ValueError, listing the names, for an unknown one; the optimizer's own errors for what it is
/// given: Muon takes matrices only.
Optimizer make(std::string_view name, const std::vector<Tensor>& parameters,
               const CommonOptions& options = {});

}  // namespace retrace::optim
