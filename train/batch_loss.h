#pragma once

#include <optional>
#include <utility>

#include <retrace/tensor/tensor.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// The mean loss of a batch. `samples` says of how many: rows, tokens that count, or what a
/// weighted mean divides by, the sum of its weights. It matters where batches of different sizes
/// are put together. Where it is not given, fit() takes the batch's rows, and Trainer, which knows
/// of none, 1: all batches weigh alike. `metrics`: what else the batch tells, for the record of the
/// step.
struct BatchLoss {
  BatchLoss(Tensor mean, std::optional<double> count = {}, Metrics more = {})
      : loss(std::move(mean)), samples(count), metrics(std::move(more)) {}

  /// Of the batch among others.
  double weight() const { return samples.value_or(1); }

  Tensor loss;
  std::optional<double> samples;
  Metrics metrics;
};

}  // namespace retrace::train
