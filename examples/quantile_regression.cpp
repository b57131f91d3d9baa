// Predicts how a quantity is spread, not one number: its quantiles, by the pinball loss. Or one
// number, by a loss that decides which: the mean, the median, or what is between them.

#include <retrace/retrace.h>

using namespace retrace;

struct Goal {
  std::string loss = "quantile";
  std::vector<double> levels = {0.1, 0.5, 0.9};  // of quantiles, rising; none for the other losses
  double delta = 1;                              // of Huber's loss

  Tensor operator()(const Tensor& predicted, const Tensor& targets) const {
    if (loss == "quantile") return losses::quantile_loss(predicted, targets, levels);
    const Tensor number = predicted.select(1, 0);
    if (loss == "mse") return losses::mse_loss(number, targets);
    if (loss == "l1") return losses::l1_loss(number, targets);
    return losses::huber_loss(number, targets, {.delta = delta});
  }
};

// A column for each quantile: the one below it plus something positive, so that they cannot cross.
struct QuantileNet : nn::Module {
  nn::Mlp mlp;
  Tensor levels;  // in the model's file

  QuantileNet(std::int64_t features, const std::vector<double>& of_levels,
              const nn::MlpOptions& options)
      : mlp(features, std::max<std::int64_t>(1, std::ssize(of_levels)), options) {
    register_module("mlp", mlp);
    levels = register_buffer("levels", from_vector(of_levels));
  }

  Tensor forward(const Tensor& x) const {
    return levels.numel() > 0 ? losses::quantile_noncrossing(mlp(x)) : mlp(x);
  }
};

const nn::MlpOptions kForNoise = {}, kForFiles = {.hidden = {128, 128}, .dropout = 0.1};
const train::Recipe kNoiseRecipe = {.steps = 4000, .batch_size = 256, .lr = 5e-3};
const train::Recipe kFileRecipe = {
    .epochs = 60, .batch_size = 128, .lr = 2e-3, .weight_decay = 1e-2, .validation_fraction = 0.1};

// What a perfect model predicts at each point.
Tensor truth(const data::ExponentialNoise& noise, const Goal& goal, const Tensor& points) {
  if (goal.loss == "mse") return noise.mean(points).unsqueeze(1);
  if (goal.loss == "l1") return noise.quantile(points, 0.5).unsqueeze(1);
  if (goal.loss == "huber") return noise.huber(points, goal.delta).unsqueeze(1);
  std::vector<Tensor> columns;
  for (const double level : goal.levels) columns.push_back(noise.quantile(points, level));
  return stack(columns, 1);
}

void learn_noise(train::Run& run, const Goal& goal) {
  const data::ExponentialNoise noise;
  Generator held_out(50'000);  // the same points for every seed
  const data::TensorDataset test = noise.sample(50'000, held_out);
  const Tensor targets = test.targets.to(kFloat64);
  QuantileNet model(1, goal.levels, kForNoise);
  const auto learnt = [&](const Tensor& x) { return train::predict(model, x).to(kFloat64); };
  const double start = goal(learnt(test.inputs), targets).item<double>();
  const data::RegressionFormat format = {
      .inputs = {.columns = data::TableEncoder::unchanged({"x"})}};
  train::fit(
      run, model, [&](std::int64_t rows) { return noise.sample(rows); }, kNoiseRecipe,
      [&](const Tensor& x, const Tensor& y) { return goal(model.forward(x), y); },
      {.description = format.to_metadata()});

  const Tensor x = linspace(-1, 1, 200), curves = learnt(x.unsqueeze(1));
  const data::TensorDataset some = noise.sample(200);
  train::Figure figure("What was learnt, and dashed what is true", "x", "y");
  figure.band("between", x.to_vector<double>(), train::column(curves, 0),
              train::column(curves, curves.size(1) - 1));
  figure.dots("data", train::column(some.inputs, 0), some.targets.to_vector<double>());
  const std::vector<std::string> names = train::level_names(goal.levels);
  train::add_lines(figure, x, curves, names);
  train::add_lines(figure, x, truth(noise, goal, x.unsqueeze(1)), names, train::Figure::dashed);
  run.show(figure);

  const Tensor predicted = learnt(test.inputs);
  const train::RegressionScores scores(predicted, targets, goal.levels,
                                       noise.sample(20'000).targets);
  train::Result result = {.metrics = scores.metrics(),
                          .start = start,
                          .floor = goal(truth(noise, goal, test.inputs), targets).item<double>()};
  result.metrics.emplace_back("test_loss", goal(predicted, targets).item<double>());
  result.largest_gap = 0.01 * *result.floor;
  result.loss_unit = "";
  if (goal.loss == "mse") result.population_floor = noise.mse_floor();
  if (goal.loss == "l1") result.population_floor = 2 * noise.population_floor(0.5);
  if (!goal.levels.empty()) {
    run.show(scores.table());
    result.population_floor = 0;
    result.bounds = {{"crossings", 0, 0}};
  }
  for (const double level : goal.levels) {
    const std::string name = train::number_text(level);
    *result.population_floor +=
        noise.population_floor(level) / static_cast<double>(goal.levels.size());
    result.bounds.push_back({"pinball_" + name, 0, 1.02 * noise.oracle_loss(test, level)});
    result.bounds.push_back({"coverage_" + name, level - 0.015, level + 0.015});
  }
  run.finish("exponential_noise", result);
}

void learn_file(train::Run& run, const Goal& goal) {
  const data::RegressionData data = train::load(run, data::load_regression);
  const data::TargetScale& target = data.format.outputs;
  QuantileNet model(data.format.inputs.features(), goal.levels, kForFiles);
  const auto test_loss = [&] {
    return goal(train::predict(model, data.test.inputs), data.test.targets).item<double>();
  };
  const double start = test_loss();
  train::fit(run, model, data.train, kFileRecipe,
             [&](const Tensor& x, const Tensor& y) { return goal(model.forward(x), y); },
             {.description = data.format.to_metadata()});

  const train::RegressionScores scores(target.to_units(train::predict(model, data.test.inputs)),
                                       target.to_units(data.test.targets), goal.levels,
                                       target.to_units(data.train.targets));
  run.show(scores.figure(target.name()));
  if (!goal.levels.empty()) run.show(scores.table());
  train::Result result = {.metrics = scores.metrics(), .start = start, .loss_unit = ""};
  result.metrics.emplace_back("test_loss", test_loss());
  run.finish(run.options().data, result);
}

// A model that was kept, used on a file without targets.
void predict(train::Run& run) {
  const train::SavedModel saved(run.options().load);
  const auto format = data::RegressionFormat::from_metadata(saved.metadata(), saved.path());
  const std::vector<double> unknown(static_cast<std::size_t>(saved.size_of("levels", 0)));
  const std::int64_t features = format.inputs.features();
  QuantileNet model(features, unknown, {.hidden = saved.hidden_layers(features, "mlp.layers")});
  saved.load_into(model);
  const Tensor predicted = train::predict(model, train::inputs_to_predict(run, format.inputs));
  run.write_predictions(train::numbers_csv(format.outputs.to_units(predicted),
                                           train::level_names(model.levels.to_vector<double>())));
}

int main(int argc, char** argv) {
  Goal goal;
  train::CommandLine command(
      "quantile_regression",
      "A network learns the quantiles of a quantity, which tell how sure one can be of it: of "
      "noise "
      "that it generates itself; or with --data and --target, of a column of a table.",
      train::recipe_options({"target"}));
  command.add("--loss", goal.loss, {"quantile", "mse", "l1", "huber"},
              "Learns quantiles, the mean, the median, or a number between the two");
  command.add("--quantiles", goal.levels, 0, 1, "Levels of the quantiles")
      .needs({"--loss quantile"});
  command.add("--delta", goal.delta, "(0, inf)", "Errors above this count less")
      .needs({"--loss huber"});
  return train::run_program(command, argc, argv, [&goal](train::Run& run) {
    if (!run.options().load.empty()) return predict(run);
    if (goal.loss != "quantile") goal.levels.clear();
    run.options().data.empty() ? learn_noise(run, goal) : learn_file(run, goal);
  });
}
