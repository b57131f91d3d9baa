#pragma once

#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

/// Pairs of rows of one class, out of rows with classes: what embeddings learn from.
class ClassPairs {
 public:
  /// Targets int64 [rows]. ShapeError, DTypeError or ValueError for anything else, or no rows.
  explicit ClassPairs(TensorDataset rows);

  /// Inputs [pairs, 2, ...]: a row drawn from all, and another of its class (the same row where it
  /// is the only one); targets int64 [pairs], the class.
  TensorDataset sample(std::int64_t pairs, Generator& generator = default_generator()) const;

 private:
  TensorDataset rows_;
  // Row r stands at place_[r] among the rows of its class, members_[class_of_[r]].
  std::vector<std::size_t> class_of_, place_;
  std::vector<std::vector<std::int64_t>> members_;
};

}  // namespace retrace::data
