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

// On the spiral every point is fresh, and the rate can be high; a few thousand images or rows would
// be learnt by heart without some noise.
constexpr std::int64_t kHidden = 64, kHiddenOfFiles = 256;
constexpr double kDropout = 0.2;
constexpr std::int64_t kShift = 1;  // of images, in pixels
const train::Recipe kSpiralRecipe = {.steps = 3000, .batch_size = 256, .lr = 1e-2};
const train::Recipe kFileRecipe = {
    .epochs = 30, .batch_size = 64, .lr = 2e-3, .weight_decay = 1e-2};

Tensor loss_of(const Tensor& logits, const Tensor& labels) {
  return losses::cross_entropy(logits, labels);
}

// Tests the model; the same for every kind of data.
train::Result judge(train::Run& run, const Tensor& logits, const Tensor& labels,
                    const std::vector<std::string>& classes) {
  const train::ConfusionMatrix confusion(logits, labels);
  run.show(confusion.table(classes));
  return {.metrics = {{"test_loss", loss_of(logits, labels).item<double>()},
                      {"test_accuracy", confusion.accuracy()}}};
}

void learn_spiral(train::Run& run) {
  const data::Spiral spiral;
  Generator held_out(20'000);  // the same points for every seed
  const data::TensorDataset test = spiral.sample(20'000, held_out);
  const std::vector<std::string> arms = {"0", "1", "2"};
  Mlp model(2, kHidden, 3);
  const double start = loss_of(train::predict(model, test.inputs), test.targets).item<double>();
  const data::ClassificationFormat format = {
      .inputs = {.columns = data::TableEncoder::unchanged({"x", "y"})},
      .outputs = data::ClassNames(arms)};
  train::fit(
      run, model, [&](std::int64_t rows) { return spiral.sample(rows); }, kSpiralRecipe,
      [&](const Tensor& points, const Tensor& labels) {
        return loss_of(model.forward(points), labels);
      },
      {.description = format.to_metadata()});

  train::Figure figure("Which arm is it, and how sure is the model?", "x", "y");
  figure.square().regions(
      arms,
      train::decision_regions([&](const Tensor& x) { return softmax(train::predict(model, x), 1); },
                              -1.1, 1.1, -1.1, 1.1));
  train::add_points(figure, test.inputs, test.targets, arms);
  run.show(figure);

  train::Result result = judge(run, train::predict(model, test.inputs), test.targets, arms);
  result.start = start;
  result.floor = spiral.oracle_loss(test);
  result.population_floor = spiral.population_floor();
  result.largest_gap = 0.025 * *result.floor;
  run.finish("spiral", result);
}

void learn_files(train::Run& run) {
  const train::Options& options = run.options();
  const data::ClassificationData data =
      data::load_classification({.train = options.data,
                                 .test = options.test,
                                 .test_fraction = options.test_fraction,
                                 .target = options.target,
                                 .header = !options.no_header,
                                 .seed = options.seed});
  for (const std::string& note : data.notes) train::log_info(note);
  Mlp model(data.format.inputs.features(), kHiddenOfFiles, data.format.outputs.size(), kDropout);
  const double start =
      loss_of(train::predict(model, data.test.inputs), data.test.targets).item<double>();
  train::fit(run, model, data.train, kFileRecipe,
             [&](const Tensor& inputs, const Tensor& labels) {
               const Tensor x = inputs.dim() == 3 ? data::random_shift(inputs, kShift) : inputs;
               return loss_of(model.forward(x), labels);
             },
             {.description = data.format.to_metadata()});
  train::Result result = judge(run, train::predict(model, data.test.inputs), data.test.targets,
                               data.format.outputs.names());
  result.start = start;
  run.finish(options.data, result);
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
       "lr", "optimizer", "seed", "threads", "json", "csv", "report", "check", "save", "load"});
  return train::run_program(command, argc, argv, [](train::Run& run) {
    if (!run.options().load.empty()) {
      predict(run);
    } else {
      run.options().data.empty() ? learn_spiral(run) : learn_files(run);
    }
  });
}
