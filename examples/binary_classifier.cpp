// Tells two classes apart: one score a row, a loss that makes it high for one class and low for the
// other, a threshold. With classes of one size or very unlike ones.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

struct Goal {
  std::string loss = "bce";
  double pos_weight = 1;         // of class 1 in bce
  double gamma = 2, alpha = -1;  // of focal loss; alpha below 0: both classes weigh the same
  double positives = 0.5;        // the share of class 1 in what is generated

  // `scores` and `targets` (0 or 1) [rows].
  Tensor operator()(const Tensor& scores, const Tensor& targets,
                    Reduction reduction = Reduction::mean) const {
    if (loss == "hinge")
      return losses::hinge_loss(scores, 2 * targets - 1, {.reduction = reduction});
    if (loss == "focal")
      return losses::focal_loss_binary(scores, targets,
                                       {.alpha = alpha, .gamma = gamma, .reduction = reduction});
    return losses::bce_with_logits(
        scores, targets,
        {.reduction = reduction, .pos_weight = full({1}, pos_weight, scores.dtype())});
  }

  // The score with the least risk where the odds of class 1 are exp(logits).
  Tensor best_scores(const Tensor& logits) const {
    const Tensor one = ones_like(logits), p = sigmoid(logits);
    const auto risk = [&](const Tensor& s) {
      return p * (*this)(s, one, Reduction::none) + (1 - p) * (*this)(s, 0 * one, Reduction::none);
    };
    return train::smallest(risk, -40 * one, 40 * one);
  }
};

const nn::MlpOptions kForClouds = {}, kForFiles = {.hidden = {64, 64}, .dropout = 0.2};
const train::Recipe kCloudRecipe = {.steps = 1500, .batch_size = 256, .lr = 1e-2};
const train::Recipe kFileRecipe = {
    .epochs = 40, .batch_size = 64, .lr = 2e-3, .weight_decay = 1e-2, .validation_fraction = 0.1};

// Tests scores; the same for every kind of data.
train::Metrics judge(const Goal& goal, const Tensor& scores, const Tensor& targets) {
  const train::LabelCounts counts(ge(scores, 0).unsqueeze(1), targets.unsqueeze(1));
  return {{"test_loss", goal(scores, targets).item<double>()},
          {"test_accuracy", counts.exact_match()},
          {"roc_auc", train::roc_auc(scores, targets)},
          {"precision", counts.precision(0)},
          {"recall", counts.recall(0)},
          {"f1", counts.f1(0)},
          {"ece", train::Calibration(sigmoid(scores), targets).ece()}};
}

// Trains on `rows`, or on fresh ones from a function, and tests.
train::Result learn(train::Run& run, const Goal& goal, nn::Mlp& model, const train::Rows& rows,
                    const train::Recipe& recipe, const data::TensorDataset& test,
                    const data::ClassificationFormat& format) {
  const Tensor targets = test.targets.to(kFloat64);
  const auto scores = [&] { return train::predict(model, test.inputs).select(1, 0).to(kFloat64); };
  const double start = goal(scores(), targets).item<double>();
  train::fit(
      run, model, rows, recipe,
      [&](const Tensor& x, const Tensor& y) { return goal(model(x).select(1, 0), y.to(kFloat32)); },
      {.description = format.to_metadata()});
  const Tensor learnt = scores(), probabilities = sigmoid(learnt);
  run.show(train::roc_figure(learnt, targets));
  run.show(train::threshold_table(probabilities, targets));
  const train::Calibration calibration(probabilities, targets);
  run.show(calibration.figure());
  run.show(calibration.table());
  return {.metrics = judge(goal, learnt, targets),
          .start = start,
          .loss_unit = goal.loss == "bce" ? "nats" : ""};
}

void learn_clouds(train::Run& run, const Goal& goal) {
  const data::Gaussians clouds({.positives = goal.positives});
  Generator held_out(50'000);  // the same points for every seed
  const data::TensorDataset test = clouds.sample(50'000, held_out);
  const data::ClassificationFormat format = {
      .inputs = {.columns =
                     data::TableEncoder::unchanged(data::numbered(clouds.options().features))},
      .outputs = data::ClassNames(data::numbered(2, 0))};
  nn::Mlp model(clouds.options().features, 1, kForClouds);
  const auto sample = [&](std::int64_t rows) { return clouds.sample(rows); };
  train::Result result = learn(run, goal, model, sample, kCloudRecipe, test, format);

  // The best model knows the odds of each point, and says what its loss asks it to say.
  const auto best =
      judge(goal, goal.best_scores(clouds.logits(test.inputs)), test.targets.to(kFloat64));
  run.show(train::best_table(result.metrics, best));
  result.floor = best[0].second;
  result.population_floor = clouds.population_mean([&](const Tensor& logits, const Tensor& labels) {
    return goal(goal.best_scores(logits), labels, Reduction::none);
  });
  // A smooth network rounds off the step that the hinge loss asks for.
  result.largest_gap = (goal.loss == "hinge" ? 0.02 : 0.01) * *result.floor;
  for (const std::size_t i : {1, 2})  // accuracy and ROC-AUC
    result.bounds.push_back({best[i].first, best[i].second - 0.01, best[i].second + 0.01});
  run.finish("gaussians", result);
}

void learn_file(train::Run& run, const Goal& goal) {
  const data::ClassificationData data = train::load(run, data::load_classification);
  const std::vector<std::string>& classes = data.format.outputs.names();
  require<IoError>(classes.size() == 2,
                   "{}: has {} classes, and this program tells two apart: "
                   "give mlp_classifier the file",
                   run.options().data, classes.size());
  run.print(fmt::format("class 1 is {}, class 0 is {}", classes[1], classes[0]));
  nn::Mlp model(data.format.inputs.features(), 1, kForFiles);
  run.finish(run.options().data,
             learn(run, goal, model, data.train, kFileRecipe, data.test, data.format));
}

// A model that was kept, used on a file without classes.
void predict(train::Run& run) {
  const train::SavedModel saved(run.options().load);
  const auto format = data::ClassificationFormat::from_metadata(saved.metadata(), saved.path());
  const std::int64_t features = format.inputs.features();
  nn::Mlp model(features, 1, {.hidden = saved.hidden_layers(features)});
  saved.load_into(model);
  const Tensor p = sigmoid(train::predict(model, train::inputs_to_predict(run, format.inputs)));
  run.write_predictions(train::predictions_csv(cat({1 - p, p}, 1), format.outputs.names()));
}

int main(int argc, char** argv) {
  Goal goal;
  train::CommandLine command(
      "binary_classifier",
      "A network scores rows so that those of class 1 lie above those of class 0: points of two "
      "clouds that it generates itself; or with --data and --target, the rows of a table.",
      train::recipe_options({"target"}));
  command.add("--loss", goal.loss, {"bce", "hinge", "focal"}, "What is to be small");
  command.add("--pos-weight", goal.pos_weight, "(0, inf)", "How much more class 1 weighs")
      .needs({"--loss bce"});
  command.add("--gamma", goal.gamma, "[0, inf)", "How far easy rows are turned down")
      .needs({"--loss focal"});
  command.add("--alpha", goal.alpha, "[-1, 1]", "Weight of class 1; -1: none")
      .needs({"--loss focal"});
  command.add("--positives", goal.positives, "(0, 1)", "Share of class 1 among generated rows")
      .excludes({"--data"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    if (!run.options().load.empty()) return predict(run);
    run.options().data.empty() ? learn_clouds(run, goal) : learn_file(run, goal);
  });
}
