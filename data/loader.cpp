#include <retrace/data/loader.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>

namespace retrace::data {

DataLoader::DataLoader(TensorDataset dataset, const DataLoaderOptions& options)
    : dataset_(std::move(dataset)), options_(options) {
  check_dataset("DataLoader", dataset_);
  require<ValueError>(options.batch_size >= 1, "DataLoader: batch_size must be at least 1, not {}",
                      options.batch_size);
  require<ValueError>(dataset_.size() > 0, "DataLoader: the dataset has no rows (inputs {})",
                      dataset_.inputs.sizes());
  require<ValueError>(rows_per_epoch() > 0,
                      "DataLoader: drop_last leaves nothing of {} rows with batch_size {}; use a "
                      "smaller batch_size or keep the last batch",
                      dataset_.size(), options.batch_size);
  const Tensor& weights = options.weights;
  require<ShapeError>(!weights.defined() || weights.sizes() == Shape{dataset_.size()},
                      "DataLoader: weights must be [{}], one for each row, not {}", dataset_.size(),
                      weights.defined() ? weights.sizes() : Shape{});
  if (weights.defined()) checksum_of_weights_ = checksum_of({weights});
  if (options.seed) seed_ = *options.seed;
  if (is_random() && !options.seed) seed_ = default_generator().next_u64();
  start_epoch(0);
}

std::int64_t DataLoader::batches() const {
  return (rows_per_epoch() - 1) / options_.batch_size + 1;
}

std::int64_t DataLoader::rows_per_epoch() const {
  const std::int64_t rows = dataset_.size();
  return options_.drop_last ? rows - rows % options_.batch_size : rows;
}

void DataLoader::start_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  position_ = 0;
  if (!is_random()) return;
  // Epochs are 2^40 blocks apart in a stream: more than an order can use. 2^24 of them fill it; the
  // next have streams of other seeds, no two alike, since the factor is odd.
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15;
  const auto number = static_cast<std::uint64_t>(epoch);
  Generator generator;
  generator.set_state(seed_ ^ (number >> 24) * kFactor, number << 40);
  const std::int64_t rows = dataset_.size();
  const Tensor order = options_.weights.defined()
                           ? multinomial(options_.weights, rows, true, &generator)
                           : randperm(rows, &generator);
  order_ = order.to_vector<std::int64_t>();
}

TensorDataset DataLoader::next() {
  const std::int64_t end = position_ + std::min(options_.batch_size, rows_per_epoch() - position_);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(end - position_));
  if (is_random()) {
    std::copy(order_.begin() + position_, order_.begin() + end, rows.begin());
  } else {
    std::iota(rows.begin(), rows.end(), position_);
  }
  TensorDataset batch = dataset_.subset(rows);
  position_ = end;
  resumed_ = false;
  if (end == rows_per_epoch()) start_epoch(epoch_ + 1);
  return batch;
}

DataLoader::Iterator DataLoader::begin() {
  if (position_ > 0 && !resumed_) start_epoch(epoch_ + 1);
  return Iterator(*this);
}

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  require<ValueError>(
      loader_->epoch_ == left_epoch_ && loader_->position_ == left_position_,
      "DataLoader: a loop over epoch {} left the loader at row {} of epoch {} and finds it at row "
      "{} of epoch {}: another loop, next() or load_state_dict() moved it; give that a loader of "
      "its own",
      epoch_, left_position_, left_epoch_, loader_->position_, loader_->epoch_);
  advance();
  return *this;
}

void DataLoader::Iterator::advance() {
  if (loader_->epoch_ == epoch_) {
    batch_ = loader_->next();
    left_epoch_ = loader_->epoch_;
    left_position_ = loader_->position_;
  } else {
    loader_ = nullptr;
  }
}

StateDict DataLoader::kind() const {
  return {{"rows", tensor(dataset_.size())},
          {"batch_size", tensor(options_.batch_size)},
          {"shuffle", tensor(std::int64_t{options_.shuffle})},
          {"drop_last", tensor(std::int64_t{options_.drop_last})},
          {"checksum_of_weights", tensor(std::int64_t{checksum_of_weights_})}};
}

StateDict DataLoader::state_dict() const {
  StateDict state = kind();
  state["seed"] = tensor(std::bit_cast<std::int64_t>(seed_));
  state["epoch"] = tensor(epoch_);
  state["position"] = tensor(position_);
  return state;
}

void DataLoader::load_state_dict(const StateDict& state) {
  const auto number = [&state](std::string_view name) {
    const auto item = state.find(name);
    require<ValueError>(
        item != state.end() && item->second.dtype() == kInt64 && item->second.numel() == 1,
        "DataLoader: the state has no whole number \"{}\"; save one with "
        "state_dict()",
        name);
    return item->second.item<std::int64_t>();
  };
  const std::int64_t seed = number("seed"), epoch = number("epoch"), position = number("position");
  std::vector<std::string> differences;
  for (const auto& [name, own] : kind()) {
    const std::int64_t theirs = number(name), ours = own.item<std::int64_t>();
    if (theirs != ours) differences.push_back(fmt::format("{} {}, not {}", name, theirs, ours));
  }
  require<ValueError>(differences.empty(),
                      "DataLoader: the state is of another loader, with {}; give this one the same "
                      "data and options",
                      fmt::join(differences, "; "));
  require<ValueError>(epoch >= 0 && position >= 0 && position < rows_per_epoch(),
                      "DataLoader: the state's epoch {} and position {} are not a place in {} rows",
                      epoch, position, dataset_.size());
  seed_ = std::bit_cast<std::uint64_t>(seed);
  start_epoch(epoch);
  position_ = position;
  resumed_ = true;
}

}  // namespace retrace::data
