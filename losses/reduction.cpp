#include <retrace/losses/reduction.h>
#include <retrace/tensor/check.h>

namespace retrace::losses {

Reduction reduction_from_string(std::string_view loss, std::string_view text) {
  if (text == "none") return Reduction::none;
  if (text == "mean") return Reduction::mean;
  if (text == "sum") return Reduction::sum;
  if (text == "batchmean") return Reduction::batchmean;
  fail<ValueError>("{}: reduction '{}' is not known; use 'none', 'mean' or 'sum'", loss, text);
}

void refuse_batchmean(std::string_view loss, Reduction reduction) {
  require<ValueError>(reduction != Reduction::batchmean,
                      "{}: reduction 'batchmean' is for kl_div; use 'none', 'mean' or 'sum'", loss);
}

}  // namespace retrace::losses
