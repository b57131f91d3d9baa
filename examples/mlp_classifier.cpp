// Sorts into classes: points on a spiral, handwritten digits, or the rows of a table.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

struct Goal {
  std::string loss = "cross_entropy";
  double label_smoothing = 0;
  Tensor weight = {};  // of each class in cross_entropy

  Tensor operator()(const Tensor& logits, const Tensor& labels) const {
    if (loss == "hinge") return losses::multiclass_hinge_cs(logits, labels);
    if (loss == "focal") return losses::focal_loss_multiclass(logits, labels);
    return losses::cross_entropy(logits, labels,
                                 {.weight = weight, .label_smoothing = label_smoothing});
  }
  // What that mean divides by, if it is not the number of rows.
  std::optional<double> samples(const Tensor& labels) const {
    if (loss != "cross_entropy" || !weight.defined()) return {};
    return weight.index({labels}).sum().item<double>();
  }
};

struct Choice {
  Goal goal;
  std::string model = "mlp", activation = "gelu";
  bool linear = false, class_weights = false, balance = false;

  train::Classifier network(const data::ClassificationFormat& format,
                            std::vector<std::int64_t> hidden, double dropout = 0) const {
    return {format,
            {.hidden = std::move(hidden),
             .activation = linear ? "" : activation,
             .cnn = model == "cnn",
             .dropout = dropout}};
  }
};

// Every point of the spiral is fresh, and the rate can be high; a few thousand images or rows would
// be learnt by heart without some noise.
constexpr std::int64_t kShift = 1;  // of images, in pixels
const train::Recipe kSpiralRecipe = {.steps = 3000, .batch_size = 256, .lr = 1e-2};
const train::Recipe kFileRecipe = {
    .epochs = 30, .batch_size = 64, .lr = 2e-3, .weight_decay = 1e-2, .validation_fraction = 0.1};

// Trains on `rows`, or on fresh ones from a function, and tests.
train::Result learn(train::Run& run, const Choice& choice, train::Classifier& model,
                    const train::Rows& rows, const train::Recipe& recipe,
                    const data::TensorDataset& test, train::FitOptions how = {}) {
  const auto logits = [&] { return train::predict(model, test.inputs); };
  const double start = choice.goal(logits(), test.targets).item<double>();
  how.description = model.description();
  train::fit(
      run, model, rows, recipe,
      [&](const Tensor& x, const Tensor& labels) -> train::BatchLoss {
        const bool shifts = x.dim() == 3 && model.is_training();
        const Tensor scores = model.forward(shifts ? data::random_shift(x, kShift) : x);
        return {choice.goal(scores, labels), choice.goal.samples(labels)};
      },
      how);
  const Tensor learnt = logits();
  const train::ConfusionMatrix confusion(learnt, test.targets);
  run.show(confusion.table(model.format().outputs.names()));
  return {.metrics = {{"test_loss", choice.goal(learnt, test.targets).item<double>()},
                      {"test_accuracy", confusion.accuracy()}},
          .start = start,
          .loss_unit = choice.goal.loss == "cross_entropy" ? "nats" : ""};
}

void learn_spiral(train::Run& run, const Choice& choice) {
  const data::Spiral spiral;
  Generator held_out(20'000);  // the same points for every seed
  const data::TensorDataset test = spiral.sample(20'000, held_out);
  const std::vector<std::string> arms = data::numbered(3, 0);
  const data::ClassificationFormat format = {
      .inputs = {.columns = data::TableEncoder::unchanged({"x", "y"})},
      .outputs = data::ClassNames(arms)};
  train::Classifier model = choice.network(format, {64, 64});
  const auto sample = [&](std::int64_t rows) { return spiral.sample(rows); };
  train::Result result = learn(run, choice, model, sample, kSpiralRecipe, test);

  train::Figure figure("Which arm is it, and how sure is the model?", "x", "y");
  const auto probabilities = [&](const Tensor& x) { return softmax(train::predict(model, x), 1); };
  figure.square().regions(arms, train::decision_regions(probabilities, -1.1, 1.1, -1.1, 1.1));
  train::add_points(figure, test.inputs, test.targets, arms);
  run.show(figure);

  // The best model knows the arm; by how much it should prefer it, its loss decides.
  const auto loss_of = [&](const Tensor& lead, const Tensor& arm, const Tensor& labels) {
    return choice.goal(lead * one_hot(arm, 3).to(kFloat64), labels);
  };
  const Tensor arm = tensor({0}), other = tensor({1}), none = zeros({1}, kFloat64);
  const double noise = spiral.options().noise;
  const auto risk = [&](const Tensor& lead) {
    return (1 - noise) * loss_of(lead, arm, arm) + noise * loss_of(lead, arm, other) + none;
  };
  const Tensor lead = train::smallest(risk, none, none + 40);
  result.floor = loss_of(lead, spiral.arm_of(test.inputs), test.targets).item<double>();
  result.population_floor = risk(lead).item<double>();
  // Smooth networks round off the step that the hinge loss asks for at each edge.
  result.largest_gap = (choice.goal.loss == "hinge" ? 0.12 : 0.025) * *result.floor;
  if (choice.linear) run.print("Without an activation three layers are no more than one: a line.");
  run.finish("spiral", result);
}

void learn_files(train::Run& run, Choice choice) {
  const data::ClassificationData data = train::load(run, data::load_classification);
  const std::int64_t classes = data.format.outputs.size();
  require<train::UsageError>(choice.model == "mlp" || !data.format.inputs.image.empty(),
                             "--model cnn is for images, and {} is a table", run.options().data);
  train::Classifier model = choice.network(data.format, {256, 256}, 0.2);
  if (choice.class_weights)
    choice.goal.weight = data::class_weights(data::class_counts(data.train.targets, classes));
  train::FitOptions how;
  if (choice.balance)
    how.row_weights = [=](const Tensor& labels) { return data::row_weights(labels, classes); };
  run.finish(run.options().data,
             learn(run, choice, model, data.train, kFileRecipe, data.test, how));
}

// A model that was kept, used on a file without classes.
void predict(train::Run& run) {
  const auto model = train::Classifier::load(run.options().load);
  const Tensor inputs = train::inputs_to_predict(run, model.format().inputs);
  run.write_predictions(train::predictions_csv(softmax(train::predict(model, inputs), 1),
                                               model.format().outputs.names()));
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "mlp_classifier",
      "A network of two hidden layers learns to tell classes apart: points on the arms of a spiral "
      "that it generates itself, with labels of which one in ten is wrong; or with --data, images "
      "or the rows of a table.",
      train::recipe_options({"target", "distributed"}));
  command.add("--loss", choice.goal.loss, {"cross_entropy", "hinge", "focal"},
              "What is to be small");
  command
      .add("--label-smoothing", choice.goal.label_smoothing, "[0, 1]",
           "So much of each target goes to all classes alike")
      .needs({"--loss cross_entropy"});
  command.add("--activation", choice.activation, nn::activation_names(), "Of hidden layers")
      .excludes({"--linear"});
  command.add("--linear", choice.linear, "No activation at all, to see what it is for");
  command.add("--model", choice.model, {"mlp", "cnn"}, "cnn: convolutions first, for images")
      .needs({"--data"});
  command.add("--class-weights", choice.class_weights, "Rare classes weigh more")
      .needs({"--data"})
      .needs({"--loss cross_entropy"});
  command.add("--balance", choice.balance, "Rows of rare classes are drawn more often")
      .needs({"--data"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    if (!run.options().load.empty()) return predict(run);
    run.options().data.empty() ? learn_spiral(run, choice) : learn_files(run, choice);
  });
}
