#pragma once

#include <cstdint>
#include <string_view>

namespace retrace {

/// What a loss makes of its values: all of them, their mean, their sum. What a mean divides by
/// stands with each loss. batchmean, the sum over the size of dim 0, is for kl_div alone.
enum class Reduction : std::uint8_t { none, mean, sum, batchmean };

namespace losses {

/// At namespace scope, so that `{.reduction = Reduction::sum}` can be written.
struct ReductionOptions {
  Reduction reduction = Reduction::mean;
};

/// "none", "mean", "sum" or "batchmean". ValueError in the name of `loss` for any other text.
Reduction reduction_from_string(std::string_view loss, std::string_view text);
/// ValueError in the name of `loss` when it is batchmean.
void refuse_batchmean(std::string_view loss, Reduction reduction);

}  // namespace losses
}  // namespace retrace
