#pragma once

// The way most programs train: rows in shuffled batches or fresh ones, an optimizer by name, its
// rate rising for a few steps and then falling to 0 on a cosine, gradients clipped.

#include <functional>
#include <string>

#include <retrace/data/dataset.h>
#include <retrace/data/files.h>
#include <retrace/train/trainer.h>

namespace retrace::train {

/// The files that the command line names.
data::DataFiles data_files(const Options& options);

/// What holds where the command line does not say otherwise.
struct Recipe {
  std::int64_t epochs = 1;  ///< of rows; `steps` if there is no end of them
  std::int64_t steps = 0;
  std::int64_t batch_size = 256;
  double lr = 1e-3;
  double weight_decay = 1e-4;
  std::string optimizer = "AdamW";
  /// Of rows, drawn from the seed: held out, and the model kept that loses least on them.
  double validation_fraction = 0;
};

struct FitOptions {
  Metadata description = {};  ///< for the model's file: what its user must know
  /// Looked at so many times over the run.
  std::int64_t validations = 20;
  /// Of the targets of the rows: how often each is drawn, see data::DataLoaderOptions::weights.
  std::function<Tensor(const Tensor& targets)> row_weights = {};
};

/// Of rows to train on; and in evaluation mode, without a gradient, of those held out.
using LossOfBatch = std::function<BatchLoss(const Tensor& inputs, const Tensor& targets)>;

/// Trains on the rows as the recipe and the run's options say. UsageError for --patience when no
/// row is held out.
void fit(Run& run, nn::Module& model, const data::TensorDataset& rows, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& options = {});

/// The same with fresh rows for every batch: sample(rows) draws so many from the default generator.
void fit(Run& run, nn::Module& model,
         const std::function<data::TensorDataset(std::int64_t rows)>& sample, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& options = {});

}  // namespace retrace::train
