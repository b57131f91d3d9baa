// Sorts into classes: points on a spiral, handwritten digits, or the rows of a table.

#include <retrace/retrace.h>

using namespace retrace;

struct Mlp : nn::Module {
  nn::Linear fc1, fc2, fc3;
  nn::Dropout dropout;

  Mlp(std::int64_t inputs, std::int64_t hidden, std::int64_t classes, double drop = 0)
      : fc1(inputs, hidden), fc2(hidden, hidden), fc3(hidden, classes), dropout(drop) {
    register_module("fc1", fc1);
    register_module("fc2", fc2);
    register_module("fc3", fc3);
    register_module("dropout", dropout);
  }

  Tensor forward(const Tensor& x) {
    Tensor h = dropout(gelu(fc1(x.flatten(1))));
    h = dropout(gelu(fc2(h)));
    return fc3(h);
  }
};

// How to train, where the command line does not say. On the spiral every point is fresh, and the
// rate can be high; a few thousand images or rows would be learnt by heart without some noise.
struct Recipe {
  std::int64_t hidden, epochs, batch_size;
  double lr, weight_decay, dropout;
  std::int64_t shift;  // of images, in pixels
};
constexpr Recipe kSpiralRecipe = {64, 1, 256, 1e-2, 1e-4, 0.0, 0};
constexpr Recipe kFileRecipe = {256, 30, 64, 2e-3, 1e-2, 0.2, 1};

// 3000 batches of points, and others to test on: the same ones for every seed.
data::ClassificationData sample(const data::Spiral& spiral) {
  Generator held_out(20'000);
  return {.train = spiral.sample(3000 * kSpiralRecipe.batch_size),
          .test = spiral.sample(20'000, held_out),
          .format = {.inputs = {.columns = data::TableEncoder::unchanged({"x", "y"})},
                     .outputs = data::ClassNames({"0", "1", "2"})}};
}

void learn(train::Run& run) {
  const train::Options& options = run.options();
  const bool generated = options.data.empty();
  const data::Spiral spiral;
  const data::ClassificationData data =
      generated ? sample(spiral)
                : data::load_classification({.train = options.data,
                                             .test = options.test,
                                             .test_fraction = options.test_fraction,
                                             .target = options.target,
                                             .header = !options.no_header,
                                             .seed = options.seed});
  const Recipe& recipe = generated ? kSpiralRecipe : kFileRecipe;
  for (const std::string& note : data.notes) train::log_info(note);

  data::DataLoader loader(
      data.train, {.batch_size = options.batch_size.value_or(recipe.batch_size), .shuffle = true});
  const std::int64_t steps =
      options.steps.value_or(options.epochs.value_or(recipe.epochs) * loader.batches());

  Mlp model(data.format.inputs.features(), recipe.hidden, data.format.outputs.size(),
            recipe.dropout);
  const std::string method = options.optimizer.empty() ? "AdamW" : options.optimizer;
  optim::Optimizer optimizer =
      optim::make(method, model.parameters(),
                  {.lr = options.lr.value_or(recipe.lr), .weight_decay = recipe.weight_decay});
  optim::WarmupCosineLR schedule(
      optimizer, {.warmup_steps = std::min<std::int64_t>(50, steps / 10), .total_steps = steps});

  const auto test_loss = [&](const Tensor& logits) {
    return losses::cross_entropy(logits, data.test.targets).item<double>();
  };
  train::Result result;
  result.start = test_loss(train::predict(model, data.test.inputs));

  train::Trainer trainer(run, model, optimizer, {.steps = steps, .clip_norm = 1.0});
  trainer.follow(schedule);
  trainer.keep("loader", loader);
  trainer.describe(data.format.to_metadata());
  trainer.fit([&] {
    auto [inputs, labels] = loader.next();
    if (inputs.dim() == 3) inputs = data::random_shift(inputs, recipe.shift);
    return losses::cross_entropy(model.forward(inputs), labels);
  });

  const Tensor logits = train::predict(model, data.test.inputs);
  const train::ConfusionMatrix confusion(logits, data.test.targets);
  run.show(confusion.table(data.format.outputs.names()));
  result.metrics = {{"test_loss", test_loss(logits)}, {"test_accuracy", confusion.accuracy()}};
  if (generated) {
    result.floor = spiral.oracle_loss(data.test);
    result.population_floor = spiral.population_floor();
    result.largest_gap = 0.025 * *result.floor;
  }
  run.finish(generated ? "spiral" : options.data, result);
}

// A model that was kept, used on a file without classes.
void predict(train::Run& run) {
  const train::SavedModel saved(run.options().load);
  const auto format = data::ClassificationFormat::from_metadata(saved.metadata(), saved.path());
  Mlp model(format.inputs.features(), saved.size_of("fc1.weight", 0), format.outputs.size());
  saved.load_into(model);
  const Tensor inputs = format.inputs.read(run.options().predict);
  const Tensor probabilities = softmax(train::predict(model, inputs), 1);
  run.write_predictions(train::predictions_csv(probabilities, format.outputs.names()));
}

int main(int argc, char** argv) {
  train::CommandLine command(
      "mlp_classifier",
      "A network of two hidden layers learns to tell classes apart: points on the arms of a spiral "
      "that it generates itself, with labels of which one in ten is wrong; or with --data, images "
      "or the rows of a table.",
      {"data", "test", "test-fraction", "target", "no-header", "epochs", "steps", "batch-size",
       "lr", "optimizer", "seed", "threads", "json", "csv", "check", "save", "load"});
  return train::run_program(command, argc, argv, [](train::Run& run) {
    run.options().load.empty() ? learn(run) : predict(run);
  });
}
