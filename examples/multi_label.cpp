// Gives each row any number of labels: one score a label, each a yes or no of its own. A softmax
// head, which shares one probability out among the labels, shows why that matters.

#include <retrace/retrace.h>

using namespace retrace;

struct Head {
  std::string kind = "sigmoid";

  // `logits` and `targets` (0 or 1) [rows, labels]. Sums over labels, mean over rows.
  Tensor loss(const Tensor& logits, const Tensor& targets) const {
    if (kind == "sigmoid")
      return losses::bce_with_logits(logits, targets) * static_cast<double>(logits.size(1));
    const Tensor share = targets / targets.sum(1, true).clamp(1);
    return -(share * log_softmax(logits, 1)).sum(1).mean();
  }
  // The probability of each label.
  Tensor probabilities(const Tensor& logits) const {
    return kind == "sigmoid" ? sigmoid(logits) : softmax(logits, 1);
  }
};

const nn::MlpOptions kForDiscs = {}, kForFiles = {.hidden = {256}, .dropout = 0.5};
const train::Recipe kDiscRecipe = {.steps = 6000, .batch_size = 256, .lr = 1e-2};
const train::Recipe kFileRecipe = {
    .epochs = 40, .batch_size = 64, .lr = 2e-3, .weight_decay = 1e-2, .validation_fraction = 0.1};

// Tests probabilities, whatever head they come from: in float64, which holds those near 1.
train::Metrics judge(const Tensor& probabilities, const Tensor& targets) {
  const train::LabelCounts counts(probabilities, targets);
  const double loss = losses::bce_loss(probabilities, targets.to(kFloat64)).item<double>();
  return {{"test_loss", loss * static_cast<double>(targets.size(1))},
          {"micro_f1", counts.micro_f1()},
          {"macro_f1", counts.macro_f1()},
          {"exact_match", counts.exact_match()}};
}

// Trains on `rows`, or on fresh ones from a function, and tests.
train::Result learn(train::Run& run, const Head& head, nn::Mlp& model, const train::Rows& rows,
                    const train::Recipe& recipe, const data::TensorDataset& test,
                    const data::MultiLabelFormat& format) {
  const auto probabilities = [&] {
    return head.probabilities(train::predict(model, test.inputs).to(kFloat64));
  };
  const double start = judge(probabilities(), test.targets)[0].second;
  Metadata description = format.to_metadata();
  description["head"] = head.kind;
  train::fit(run, model, rows, recipe,
             [&](const Tensor& x, const Tensor& y) { return head.loss(model(x), y); },
             {.description = description});
  const Tensor learnt = probabilities();
  run.show(train::LabelCounts(learnt, test.targets).table(format.outputs.names()));
  return {.metrics = judge(learnt, test.targets), .start = start};
}

void learn_discs(train::Run& run, const Head& head) {
  const data::Discs discs;
  Generator held_out(20'000);  // the same points for every seed
  const data::TensorDataset test = discs.sample(20'000, held_out);
  const data::MultiLabelFormat format = {
      .inputs = {.columns = data::TableEncoder::unchanged({"x", "y"})},
      .outputs = data::LabelNames(data::numbered(discs.labels()))};
  nn::Mlp model(2, discs.labels(), kForDiscs);
  const auto sample = [&](std::int64_t rows) { return discs.sample(rows); };
  train::Result result = learn(run, head, model, sample, kDiscRecipe, test, format);

  train::Figure figure("Where each label begins, and dashed where it should", "x", "y");
  figure.square();
  for (std::int64_t k = 0; k < discs.labels(); ++k) {
    const std::string& name = format.outputs.names()[static_cast<std::size_t>(k)];
    const auto p = [&](const Tensor& x) {
      return head.probabilities(train::predict(model, x)).select(1, k);
    };
    train::add_edge(figure, name, p, -1, 1, -1, 1);
    const data::Disc& disc = discs.options().discs[static_cast<std::size_t>(k)];
    train::add_circle(figure, name, disc.x, disc.y, disc.radius);
  }
  run.show(figure);

  // The best model knows the disc, and how often its label is wrong.
  const auto best = judge(discs.probabilities(test.inputs).to(kFloat64), test.targets);
  run.show(train::best_table(result.metrics, best));
  result.floor = best[0].second;
  result.population_floor = discs.population_floor();
  result.largest_gap = 0.02 * *result.floor;
  result.floor_of_training = head.kind == "sigmoid";
  for (std::size_t i = 1; i < best.size(); ++i)
    result.bounds.push_back({best[i].first, best[i].second - 0.02, best[i].second + 0.02});
  run.finish("discs", result);
}

void learn_file(train::Run& run, const Head& head) {
  const data::MultiLabelData data = train::load(run, data::load_multi_label);
  nn::Mlp model(data.format.inputs.features(), data.format.outputs.size(), kForFiles);
  run.finish(run.options().data,
             learn(run, head, model, data.train, kFileRecipe, data.test, data.format));
}

// A model that was kept, used on a file without labels: the probability of each.
void predict(train::Run& run) {
  const train::SavedModel saved(run.options().load);
  const auto format = data::MultiLabelFormat::from_metadata(saved.metadata(), saved.path());
  const Head head = {saved.description("head")};
  const std::int64_t features = format.inputs.features();
  nn::Mlp model(features, format.outputs.size(), {.hidden = saved.hidden_layers(features)});
  saved.load_into(model);
  const Tensor inputs = train::inputs_to_predict(run, format.inputs);
  run.write_predictions(train::numbers_csv(head.probabilities(train::predict(model, inputs)),
                                           format.outputs.names()));
}

int main(int argc, char** argv) {
  Head head;
  train::CommandLine command(
      "multi_label",
      "A network learns which of several labels a row has: which of four discs a point lies in, a "
      "task that it generates itself, with noise; or with --data and --labels, the last columns of "
      "a table.",
      train::recipe_options({"labels"}));
  command.add("--head", head.kind, {"sigmoid", "softmax"},
              "softmax: labels compete for one probability, the wrong recipe");
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    if (!run.options().load.empty()) return predict(run);
    run.options().data.empty() ? learn_discs(run, head) : learn_file(run, head);
  });
}
