#pragma once

// The way most programs train: rows in shuffled batches or fresh ones, an optimizer by name, its
// rate rising for a few steps and then falling to 0 on a cosine, gradients clipped.

#include <functional>
#include <string>
#include <variant>

#include <retrace/data/dataset.h>
#include <retrace/data/files.h>
#include <retrace/train/log.h>
#include <retrace/train/trainer.h>

namespace retrace::train {

/// The options of CommandLine that fit() and load() go by, and those that every run has; with
/// `more`, "target" say. Without `epochs`, neither those nor "patience".
std::vector<std::string_view> recipe_options(const std::vector<std::string_view>& more,
                                             bool epochs = true);

/// The files that the command line names.
data::DataFiles data_files(const Options& options);

/// What one of the loaders of data/files.h makes of them; what it notes is said, and the run relies
/// on the rows to train on.
template <class Outputs>
data::LoadedData<Outputs> load(Run& run,
                               data::LoadedData<Outputs> (*loader)(const data::DataFiles&)) {
  data::LoadedData<Outputs> data = loader(data_files(run.options()));
  for (const std::string& note : data.notes) log_info(note);
  run.relies_on({data.train.inputs, data.train.targets});
  return data;
}

/// The inputs in the file of --predict; what is noted is said.
inline Tensor inputs_to_predict(const Run& run, const data::InputFormat& format) {
  std::vector<std::string> notes;
  const Tensor inputs = format.read(run.options().predict, &notes);
  for (const std::string& note : notes) log_info(note);
  return inputs;
}

/// What holds where the command line does not say otherwise.
struct Recipe {
  std::int64_t epochs = 1;  ///< of rows, unless `steps` are given
  std::int64_t steps = 0;   ///< of what has no end always
  std::int64_t batch_size = 256;
  double lr = 1e-3;
  double weight_decay = 1e-4;
  std::string optimizer = "AdamW";
  /// Of rows, drawn from the seed: held out, and the model kept that loses least on them.
  double validation_fraction = 0;
};

/// The recipe with what the command line says of it. fit() does that with the last training; for a
/// stage that is to be trained in the same way.
Recipe asked_for(const Options& options, Recipe recipe);

struct FitOptions {
  Metadata description = {};  ///< for the model's file: what its user must know
  /// Looked at so many times over the run.
  std::int64_t validations = 20;
  /// Of the targets of the rows: how often each is drawn, see data::DataLoaderOptions::weights.
  std::function<Tensor(const Tensor& targets)> row_weights = {};
  /// See TrainerOptions. Of a stage all is as the recipe says, whatever the command line.
  std::string stage = {};
  /// Called before training begins: for Trainer::keep, say.
  std::function<void(Trainer&)> prepare = {};
};

/// Of rows to train on; and in evaluation mode, without a gradient, of those held out. What does
/// not say how many samples it is the mean of is taken for a mean over the rows.
using LossOfBatch = std::function<BatchLoss(const Tensor& inputs, const Tensor& targets)>;

/// Rows to train on; or of what has no end a function, which draws so many fresh ones from the
/// default generator.
using Rows =
    std::variant<data::TensorDataset, std::function<data::TensorDataset(std::int64_t rows)>>;

/// Trains on the rows as the recipe and the run's options say. UsageError for --patience when no
/// row is held out, and for --epochs of what has no end.
void fit(Run& run, nn::Module& model, const Rows& rows, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& options = {});

}  // namespace retrace::train
