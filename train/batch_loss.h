#pragma once

#include <utility>

#include <retrace/tensor/tensor.h>

namespace retrace::train {

/// The mean loss of a batch. `samples` says of how many (rows, or tokens that count); it matters
/// where batches of different sizes are put together.
struct BatchLoss {
  BatchLoss(Tensor mean, std::int64_t count = 1) : loss(std::move(mean)), samples(count) {}
  Tensor loss;
  std::int64_t samples;
};

}  // namespace retrace::train
