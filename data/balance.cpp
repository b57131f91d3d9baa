#include <retrace/data/balance.h>
#include <retrace/data/dataset.h>

#include <vector>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {

Tensor class_counts(const Tensor& labels, std::int64_t classes) {
  require<DTypeError>(labels.dtype() == kInt64, "class_counts: labels must be int64, not {}",
                      labels.dtype());
  require<ValueError>(classes >= 1, "class_counts: needs a class or more, not {}", classes);
  Tensor counts = zeros({classes}, kInt64);
  for (const std::int64_t label : labels.to_vector<std::int64_t>()) {
    require<IndexError>(label >= 0 && label < classes,
                        "class_counts: label {} is not one of {} classes", label, classes);
    ++elements<std::int64_t>(counts)[label];
  }
  return counts;
}

Tensor class_weights(const Tensor& counts) {
  require<DTypeError>(counts.dtype() == kInt64, "class_weights: counts must be int64, not {}",
                      counts.dtype());
  require<ShapeError>(counts.dim() == 1, "class_weights: counts must be [classes], not {}",
                      counts.sizes());
  double sum = 0, present = 0;
  const std::vector<std::int64_t> numbers = counts.to_vector<std::int64_t>();
  for (const std::int64_t count : numbers) {
    require<ValueError>(count >= 0, "class_weights: a count cannot be {}", count);
    if (count == 0) continue;
    sum += 1 / static_cast<double>(count);
    ++present;
  }
  require<ValueError>(present > 0, "class_weights: none of {} classes has rows", numbers.size());
  Tensor weights = zeros(counts.sizes());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] == 0) continue;
    elements<float>(weights)[i] =
        static_cast<float>(present / sum / static_cast<double>(numbers[i]));
  }
  return weights;
}

Tensor row_weights(const Tensor& labels, std::int64_t classes) {
  return take_rows(class_weights(class_counts(labels, classes)), labels.to_vector<std::int64_t>());
}

}  // namespace retrace::data
