#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/metrics.h>
#include <retrace/train/retrieval_metrics.h>

#include <limits>
#include <unordered_map>

namespace retrace::train {

double recall_at(std::int64_t k, const Tensor& embeddings, const Tensor& labels) {
  require<DTypeError>(embeddings.is_floating_point() && labels.dtype() == kInt64,
                      "recall_at: embeddings must be floating and labels int64, not {} and {}",
                      embeddings.dtype(), labels.dtype());
  require<ShapeError>(
      embeddings.dim() == 2 && labels.dim() == 1 && labels.size(0) == embeddings.size(0),
      "recall_at: embeddings must be [rows, dims] and labels [rows], not {} and {}",
      embeddings.sizes(), labels.sizes());
  const std::int64_t rows = embeddings.size(0);
  require<ValueError>(k >= 1 && k < rows, "recall_at: {} neighbours among {} rows", k, rows);

  const NoGradGuard no_grad;
  const Tensor unit = normalize(embeddings.detach());
  require_no_nan("recall_at", "normalized embeddings", unit);
  const std::vector<std::int64_t> of = labels.to_vector<std::int64_t>();
  std::unordered_map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t label : of) ++counts[label];

  constexpr std::int64_t kBlock = 512;
  double found = 0, asked = 0;
  for (std::int64_t begin = 0; begin < rows; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, rows - begin);
    Tensor similar = unit.narrow(0, begin, count).matmul(unit.t());
    for (std::int64_t r = 0; r < count; ++r)
      similar[r][begin + r] = -std::numeric_limits<double>::infinity();
    const std::vector<std::int64_t> nearest = topk(similar, k, 1).indices.to_vector<std::int64_t>();
    for (std::int64_t r = 0; r < count; ++r) {
      const std::int64_t label = of[static_cast<std::size_t>(begin + r)];
      if (counts[label] < 2) continue;
      ++asked;
      for (std::int64_t i = 0; i < k; ++i) {
        const std::int64_t other = nearest[static_cast<std::size_t>(r * k + i)];
        if (of[static_cast<std::size_t>(other)] != label) continue;
        ++found;
        break;
      }
    }
  }
  return found / asked;
}

}  // namespace retrace::train
