#include <retrace/data/dataset.h>

#include <cmath>
#include <cstring>
#include <span>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/view.h>

namespace retrace::data {

Tensor take_rows(const Tensor& x, const std::vector<std::int64_t>& rows) {
  require<ShapeError>(x.dim() > 0, "take_rows: a 0-d tensor has no rows; give one of shape [1]");
  for (const std::int64_t row : rows) {
    require<IndexError>(row >= 0 && row < x.size(0),
                        "take_rows: row {} is out of range for {} {}; rows count from 0", row,
                        x.dtype(), x.sizes());
  }
  Shape sizes = x.sizes();
  sizes[0] = static_cast<std::int64_t>(rows.size());
  Tensor taken = empty(sizes, x.dtype());
  if (taken.numel() == 0) return taken;
  const Tensor source = as_contiguous(x);
  const auto bytes = static_cast<std::size_t>(taken.numel() / sizes[0] * size_of(x.dtype()));
  const auto* from = reinterpret_cast<const std::byte*>(source.get().data);
  auto* to = reinterpret_cast<std::byte*>(taken.get().data);
  const auto grain = static_cast<std::int64_t>((std::size_t{1} << 18) / bytes + 1);
  parallel_for(sizes[0], grain, [&rows, from, to, bytes](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      std::memcpy(to + i * bytes, from + static_cast<std::size_t>(rows[i]) * bytes, bytes);
    }
  });
  return taken;
}

TensorDataset TensorDataset::subset(const std::vector<std::int64_t>& rows) const {
  check_dataset("subset", *this);
  return {take_rows(inputs, rows), take_rows(targets, rows)};
}

std::vector<TensorDataset> TensorDataset::batches(std::int64_t rows) const {
  check_dataset("batches", *this);
  require<ValueError>(rows >= 1, "TensorDataset: batches of {} rows; give at least 1", rows);
  std::vector<TensorDataset> all;
  for (std::int64_t first = 0; first < size(); first += rows) {
    const std::int64_t count = std::min(rows, size() - first);
    all.push_back({inputs.narrow(0, first, count), targets.narrow(0, first, count)});
  }
  return all;
}

Split TensorDataset::split(double test_fraction, std::uint64_t seed) const {
  check_dataset("split", *this);
  const RowSplit rows = split_rows(size(), test_fraction, seed);
  return {subset(rows.train), subset(rows.test)};
}

RowSplit split_rows(std::int64_t rows, double test_fraction, std::uint64_t seed) {
  require<ValueError>(test_fraction > 0 && test_fraction < 1,
                      "split: the test fraction must lie between 0 and 1, not {}", test_fraction);
  const std::int64_t test = std::llround(test_fraction * static_cast<double>(rows));
  require<ValueError>(test > 0 && test < rows,
                      "split: a test fraction of {} cuts {} rows into {} to test on and {} to "
                      "train on; both need one",
                      test_fraction, rows, test, rows - test);
  Generator generator(seed);
  const std::vector<std::int64_t> order = randperm(rows, &generator).to_vector<std::int64_t>();
  return {{order.begin() + test, order.end()}, {order.begin(), order.begin() + test}};
}

void check_dataset(std::string_view op, const TensorDataset& dataset) {
  require<ValueError>(dataset.inputs.defined() && dataset.targets.defined(),
                      "{}: the dataset has no tensors; give it inputs and targets", op);
  const Shape& inputs = dataset.inputs.sizes();
  const Shape& targets = dataset.targets.sizes();
  require<ShapeError>(inputs.size() > 0 && targets.size() > 0 && inputs[0] == targets[0],
                      "{}: inputs {} and targets {} must have the same number of rows", op, inputs,
                      targets);
}

}  // namespace retrace::data
