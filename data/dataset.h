#pragma once

#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::data {

struct Split;

/// Samples in memory: `inputs` and `targets` have one row for each. A copy shares the numbers. A
/// batch is a small dataset: `const auto& [images, labels] = batch`.
struct TensorDataset {
  Tensor inputs, targets;

  std::int64_t size() const { return inputs.size(0); }

  /// A copy of these rows, in this order; a row may come twice. IndexError for one out of range.
  TensorDataset subset(const std::vector<std::int64_t>& rows) const;

  /// Views of so many rows each, one behind the other; the last may be smaller. ValueError below 1;
  /// ShapeError when inputs and targets differ in rows.
  std::vector<TensorDataset> batches(std::int64_t rows) const;

  /// Two parts that share no row, drawn from `seed`: see split_rows.
  Split split(double test_fraction, std::uint64_t seed) const;
};

/// Rows for training and for testing.
struct Split {
  TensorDataset train, test;
};

/// Numbers of rows for training and for testing.
struct RowSplit {
  std::vector<std::int64_t> train, test;
};

/// 0 .. rows-1 in an order drawn from `seed`, cut into two: test_fraction · rows, rounded, to test
/// on, the others to train on. ValueError unless both parts get a row.
RowSplit split_rows(std::int64_t rows, double test_fraction, std::uint64_t seed);

/// A copy of rows of `x` along its first dim; unrecorded. IndexError for one out of range.
Tensor take_rows(const Tensor& x, const std::vector<std::int64_t>& rows);

/// ShapeError or ValueError, in the name of `op`, unless there are inputs and targets, of at least
/// one dim, with as many rows.
void check_dataset(std::string_view op, const TensorDataset& dataset);

}  // namespace retrace::data
