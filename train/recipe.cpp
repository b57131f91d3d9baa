#include <retrace/data/loader.h>
#include <retrace/optim/by_name.h>
#include <retrace/optim/schedules.h>
#include <retrace/tensor/check.h>
#include <retrace/train/predict.h>
#include <retrace/train/recipe.h>

#include <algorithm>
#include <cmath>

namespace retrace::train {
namespace {

constexpr std::int64_t kWarmup = 50;
constexpr double kClipNorm = 1.0;
constexpr std::int64_t kLargestBatch = 1024;

void fit_steps(Run& run, nn::Module& model, std::int64_t steps, const Recipe& recipe,
               const FitOptions& how, data::DataLoader* loader,
               const std::function<double()>& validation, const std::function<BatchLoss()>& loss) {
  optim::Optimizer optimizer = optim::make(recipe.optimizer, model.parameters(),
                                           {.lr = recipe.lr, .weight_decay = recipe.weight_decay});
  optim::WarmupCosineLR schedule(
      optimizer, {.warmup_steps = std::min(kWarmup, steps / 10), .total_steps = steps});
  Trainer trainer(run, model, optimizer,
                  {.steps = steps, .clip_norm = kClipNorm, .stage = how.stage});
  trainer.follow(schedule);
  if (loader != nullptr) trainer.keep("loader", *loader);
  trainer.describe(how.description);
  if (how.prepare) how.prepare(trainer);
  if (validation) trainer.validate(std::max<std::int64_t>(1, steps / how.validations), validation);
  trainer.fit(loss);
}

void fit_rows(Run& run, nn::Module& model, const data::TensorDataset& rows, const Recipe& recipe,
              const LossOfBatch& loss, const FitOptions& how) {
  const Options& options = run.options();
  data::TensorDataset training = rows;
  std::function<double()> validation;
  // Of very few rows none is held out.
  if (std::llround(recipe.validation_fraction * static_cast<double>(rows.size())) >= 1) {
    const data::Split parts = rows.split(recipe.validation_fraction, options.seed);
    training = parts.train;
    validation = [&loss, held_out = parts.test] {
      return mean_over_samples(held_out, kLargestBatch, loss);
    };
  }
  require<UsageError>(validation || options.patience == 0,
                      "--patience needs rows held out for validation; of {} there are none",
                      rows.size());
  // A rest that is too small for a part each.
  const Ranks* ranks = run.ranks();
  const bool drop_last = ranks != nullptr && training.size() > recipe.batch_size &&
                         training.size() % recipe.batch_size < ranks->count();
  data::DataLoader loader(
      training, {.batch_size = recipe.batch_size,
                 .shuffle = true,
                 .drop_last = drop_last,
                 .weights = how.row_weights ? how.row_weights(training.targets) : Tensor()});
  const std::int64_t steps = recipe.steps > 0 ? recipe.steps : recipe.epochs * loader.batches();
  fit_steps(run, model, steps, recipe, how, &loader, validation, [&] {
    const data::TensorDataset batch = run.part(loader.next());
    return loss(batch.inputs, batch.targets);
  });
}

void fit_fresh(Run& run, nn::Module& model,
               const std::function<data::TensorDataset(std::int64_t)>& sample, const Recipe& recipe,
               const LossOfBatch& loss, const FitOptions& how) {
  const Options& options = run.options();
  require<UsageError>(!options.epochs, "--epochs needs --data: what is generated has no end");
  require<UsageError>(options.patience == 0,
                      "--patience needs --data: of what is generated no rows are held out");
  fit_steps(run, model, recipe.steps, recipe, how, nullptr, {}, [&] {
    const data::TensorDataset batch = run.part(sample(recipe.batch_size));
    return loss(batch.inputs, batch.targets);
  });
}

}  // namespace

std::vector<std::string_view> recipe_options(const std::vector<std::string_view>& more,
                                             bool epochs) {
  std::vector<std::string_view> options = {
      "data",   "test",      "test-fraction", "no-header", "steps",  "batch-size",
      "lr",     "optimizer", "seed",          "threads",   "json",   "csv",
      "report", "check",     "save",          "load",      "predict"};
  options.insert(options.end(), more.begin(), more.end());
  if (epochs) options.insert(options.end(), {"epochs", "patience"});
  return options;
}

data::DataFiles data_files(const Options& options) {
  return {.train = options.data,
          .test = options.test,
          .test_fraction = options.test_fraction,
          .target = options.target,
          .labels = options.labels,
          .header = !options.no_header,
          .seed = options.seed};
}

Recipe asked_for(const Options& options, Recipe recipe) {
  if (options.steps || options.epochs) recipe.steps = options.steps.value_or(0);
  recipe.epochs = options.epochs.value_or(recipe.epochs);
  recipe.batch_size = options.batch_size.value_or(recipe.batch_size);
  recipe.lr = options.lr.value_or(recipe.lr);
  if (!options.optimizer.empty()) recipe.optimizer = options.optimizer;
  return recipe;
}

void fit(Run& run, nn::Module& model, const Rows& rows, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& how) {
  // Processes and batches of validation weigh by their samples: all that is no mean over rows has
  // said so.
  const LossOfBatch counted = [&loss](const Tensor& inputs, const Tensor& targets) {
    BatchLoss batch = loss(inputs, targets);
    if (!batch.samples) batch.samples = static_cast<double>(inputs.size(0));
    return batch;
  };
  const Recipe wanted = how.stage.empty() ? asked_for(run.options(), recipe) : recipe;
  if (const auto* fixed = std::get_if<data::TensorDataset>(&rows))
    return fit_rows(run, model, *fixed, wanted, counted, how);
  fit_fresh(run, model, std::get<1>(rows), wanted, counted, how);
}

}  // namespace retrace::train
