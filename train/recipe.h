#pragma once

// The way most programs train: rows in shuffled batches or fresh ones, an optimizer by name, its
// rate rising for a few steps and then falling to 0 on a cosine, gradients clipped.

#include <functional>
#include <string>

#include <retrace/data/dataset.h>
#include <retrace/train/trainer.h>

namespace retrace::train {

/// What holds where the command line does not say otherwise.
struct Recipe {
  std::int64_t epochs = 1;  ///< of rows; `steps` if there is no end of them
  std::int64_t steps = 0;
  std::int64_t batch_size = 256;
  double lr = 1e-3;
  double weight_decay = 1e-4;
  std::string optimizer = "AdamW";
};

struct FitOptions {
  Metadata description = {};  ///< for the model's file: what its user must know
  /// The loss on rows held out for validation, looked at so many times over the run.
  std::function<double()> validation = {};
  std::int64_t validations = 20;
};

using LossOfBatch = std::function<BatchLoss(const Tensor& inputs, const Tensor& targets)>;

/// Trains on the rows as the recipe and the run's options say.
void fit(Run& run, nn::Module& model, const data::TensorDataset& rows, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& options = {});

/// The same with fresh rows for every batch: sample(rows) draws so many from the default generator.
void fit(Run& run, nn::Module& model,
         const std::function<data::TensorDataset(std::int64_t rows)>& sample, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& options = {});

}  // namespace retrace::train
