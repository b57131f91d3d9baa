#include <retrace/data/loader.h>
#include <retrace/optim/by_name.h>
#include <retrace/optim/schedules.h>
#include <retrace/tensor/check.h>
#include <retrace/train/recipe.h>

#include <algorithm>

namespace retrace::train {
namespace {

constexpr std::int64_t kWarmup = 50;
constexpr double kClipNorm = 1.0;

void fit_steps(Run& run, nn::Module& model, std::int64_t steps, const Recipe& recipe,
               const FitOptions& how, data::DataLoader* loader,
               const std::function<BatchLoss()>& loss) {
  const Options& options = run.options();
  optim::Optimizer optimizer = optim::make(
      options.optimizer.empty() ? recipe.optimizer : options.optimizer, model.parameters(),
      {.lr = options.lr.value_or(recipe.lr), .weight_decay = recipe.weight_decay});
  optim::WarmupCosineLR schedule(
      optimizer, {.warmup_steps = std::min(kWarmup, steps / 10), .total_steps = steps});
  Trainer trainer(run, model, optimizer, {.steps = steps, .clip_norm = kClipNorm});
  trainer.follow(schedule);
  if (loader != nullptr) trainer.keep("loader", *loader);
  trainer.describe(how.description);
  if (how.validation)
    trainer.validate(std::max<std::int64_t>(1, steps / how.validations), how.validation);
  trainer.fit(loss);
}

}  // namespace

void fit(Run& run, nn::Module& model, const data::TensorDataset& rows, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& how) {
  const Options& options = run.options();
  data::DataLoader loader(
      rows, {.batch_size = options.batch_size.value_or(recipe.batch_size), .shuffle = true});
  const std::int64_t steps =
      options.steps.value_or(options.epochs.value_or(recipe.epochs) * loader.batches());
  fit_steps(run, model, steps, recipe, how, &loader, [&] {
    const data::TensorDataset batch = loader.next();
    return loss(batch.inputs, batch.targets);
  });
}

void fit(Run& run, nn::Module& model,
         const std::function<data::TensorDataset(std::int64_t rows)>& sample, const Recipe& recipe,
         const LossOfBatch& loss, const FitOptions& how) {
  const Options& options = run.options();
  require<UsageError>(!options.epochs, "--epochs needs --data: what is generated has no end");
  const std::int64_t batch_size = options.batch_size.value_or(recipe.batch_size);
  fit_steps(run, model, options.steps.value_or(recipe.steps), recipe, how, nullptr, [&] {
    const data::TensorDataset batch = sample(batch_size);
    return loss(batch.inputs, batch.targets);
  });
}

}  // namespace retrace::train
