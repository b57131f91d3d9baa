#pragma once

#include <utility>

#include <retrace/tensor/tensor.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// The mean loss of a batch. `samples` says of how many (rows, or tokens that count); it matters
/// where batches of different sizes are put together. `metrics`: what else the batch tells, for the
/// record of the step.
struct BatchLoss {
  BatchLoss(Tensor mean, std::int64_t count = 1, Metrics more = {})
      : loss(std::move(mean)), samples(count), metrics(std::move(more)) {}
  Tensor loss;
  std::int64_t samples;
  Metrics metrics;
};

}  // namespace retrace::train
