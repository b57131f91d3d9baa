#pragma once

#include <iterator>
#include <optional>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/named.h>

namespace retrace::data {

struct DataLoaderOptions {
  std::int64_t batch_size = 1;
  bool shuffle = false;    ///< every epoch in an order of its own
  bool drop_last = false;  ///< leaves out an epoch's last batch when it is smaller than the others
  std::optional<std::uint64_t> seed = {};  ///< of the order; by default from default_generator()
  /// Of each row, floating [rows], >= 0: every draw takes a row with a probability in proportion to
  /// its weight and puts it back, so that an epoch has some rows more than once and others never.
  Tensor weights = {};
};

/// Batches of a dataset, in the dataset's order, shuffled, or drawn by weight.
///
///     for (const auto& [images, labels] : loader) ...      // one epoch
///     const auto [images, labels] = loader.next();         // one batch, epoch after epoch
///
/// A batch is a copy: changing it does not change the dataset. The order of an epoch is a function
/// of the seed and the epoch's number alone, so that the state is a handful of numbers, and a
/// loader that loads it gives the batches that the saved one would have given.
///
/// Errors: ValueError for a batch size below 1, a dataset without rows, one that drop_last leaves
/// without a batch, or weights that are negative, not finite or all 0; ShapeError when inputs,
/// targets and weights differ in rows.
class DataLoader {
 public:
  explicit DataLoader(TensorDataset dataset, const DataLoaderOptions& options = {});

  /// The next batch; after an epoch's last one the next epoch begins.
  TensorDataset next();

  /// One epoch. A new one each time: where a loop was left early its epoch ends. After
  /// load_state_dict, first what is left of the saved epoch. A loader stands in one place: a loop
  /// whose body moves it, by another loop, next() or load_state_dict(), throws a ValueError rather
  /// than lose rows; two loops at a time take two loaders.
  class Iterator;
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

  std::int64_t batches() const;                  ///< of an epoch
  std::int64_t epoch() const { return epoch_; }  ///< of the next batch, from 0 on
  const TensorDataset& dataset() const { return dataset_; }

  /// Seed, epoch and place in it; and what must be alike, since a state of anything else is refused
  /// (ValueError, saying what differs): rows, batch_size, shuffle, drop_last and a checksum of the
  /// weights, 0 without. That the rows are those of then is not looked at.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  bool is_random() const { return options_.shuffle || options_.weights.defined(); }
  StateDict kind() const;  // what must be alike
  std::int64_t rows_per_epoch() const;
  void start_epoch(std::int64_t epoch);

  TensorDataset dataset_;
  DataLoaderOptions options_;
  std::uint32_t checksum_of_weights_ = 0;
  std::uint64_t seed_ = 0;
  std::int64_t epoch_ = 0, position_ = 0;  // rows of the epoch that were given out
  bool resumed_ = false;
  std::vector<std::int64_t> order_;  // of the epoch's rows; empty when they come as they are
};

/// An input iterator over the batches of an epoch.
class DataLoader::Iterator {
 public:
  using value_type = TensorDataset;
  using difference_type = std::ptrdiff_t;

  Iterator() = default;
  explicit Iterator(DataLoader& loader) : loader_(&loader), epoch_(loader.epoch_) { advance(); }

  const TensorDataset& operator*() const { return batch_; }
  const TensorDataset* operator->() const { return &batch_; }
  /// ValueError when the loader was moved meanwhile.
  Iterator& operator++();
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const { return loader_ == nullptr; }

 private:
  void advance();

  DataLoader* loader_ = nullptr;  // null at the end
  std::int64_t epoch_ = 0;
  std::int64_t left_epoch_ = 0, left_position_ = 0;  // where the loader stood after this batch
  TensorDataset batch_;
};

}  // namespace retrace::data
