#pragma once

#include <cstdint>
#include <string_view>

namespace retrace {

/// What a loss makes of its values: all of them, their mean, their sum. What a mean divides by
/// stands with each loss.
enum class Reduction : std::uint8_t { none, mean, sum };

namespace losses {

/// "none", "mean" or "sum". ValueError in the name of `loss` for any other text.
Reduction reduction_from_string(std::string_view loss, std::string_view text);

}  // namespace losses
}  // namespace retrace
