#pragma once

// What a policy of which there is a table has learnt, to be looked at. Tables and rewards as in
// train/policy_table.h.

#include <string>
#include <vector>

#include <retrace/train/figure.h>
#include <retrace/train/policy_table.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// Policies side by side.
Table policies_table(const std::vector<std::string>& names, const std::vector<PolicyScore>& scores);

/// E_π[r] against KL(π‖π_ref) of the best policies for β of at least `least_beta`, a curve that no
/// policy can be above; `betas` are dots on it. Others are added as dots.
Figure frontier_figure(const Tensor& reference, const Tensor& rewards, double least_beta,
                       const std::vector<double>& betas);

}  // namespace retrace::train
