#include <retrace/losses/reduction.h>
#include <retrace/tensor/check.h>

namespace retrace::losses {

Reduction reduction_from_string(std::string_view loss, std::string_view text) {
  if (text == "none") return Reduction::none;
  if (text == "mean") return Reduction::mean;
  if (text == "sum") return Reduction::sum;
  fail<ValueError>("{}: reduction '{}' is not known; use 'none', 'mean' or 'sum'", loss, text);
}

}  // namespace retrace::losses
