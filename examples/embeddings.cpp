// Learns where to put things so that those of one class lie close: a network whose outputs are unit
// vectors, a loss of pairs, and the nearest neighbours as the test.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

struct Goal {
  std::string loss = "info_nce", mining = "none";
  double temperature = 0.1, margin = 1;

  // Pairs of unit vectors [rows, 2, dims], and the class of each pair.
  Tensor operator()(const Tensor& pairs, const Tensor& classes) const {
    const Tensor a = pairs.select(1, 0), b = pairs.select(1, 1);
    if (loss == "info_nce")
      return losses::info_nce(a, b, {.temperature = temperature, .symmetric = true});
    if (loss == "nt_xent") return losses::nt_xent(a, b, {.temperature = temperature});
    const Tensor all = cat({a, b}), of = cat({classes, classes});
    if (loss == "sup_con") return losses::sup_con(all, of, {.temperature = temperature});
    const Tensor other = roll(b, 1, 0);  // of the next pair, whatever its class
    if (loss == "contrastive") {
      const Tensor similar = cat({ones_like(classes), collisions(classes).to(kInt64)});
      return losses::contrastive_loss(cat({a, a}), cat({b, other}), similar, {.margin = margin});
    }
    if (mining == "none")
      return losses::triplet_margin_with_distance_loss(
          a, b, other, {.distance_function = squared_euclidean_distance, .margin = margin});
    if (mining == "semi_hard") return losses::triplet_semihard_loss(all, of, {.margin = margin});
    // Beware of the hardest where classes are not yet apart: all vectors then fall into one.
    const auto kind =
        mining == "all" ? losses::TripletMining::all_valid : losses::TripletMining::batch_hard;
    return losses::triplet_mined_loss(all, of, {.kind = kind, .margin = margin});
  }

  // Where the next pair is of the same class.
  static Tensor collisions(const Tensor& classes) { return eq(classes, roll(classes, 1, 0)); }
  // Whether each vector is to be found, by its partner, among those of the batch.
  bool finds_partners() const { return loss != "triplet" && loss != "contrastive"; }
};

// Pairs [rows, 2, ...] to unit vectors [rows, 2, dims].
Tensor embed(const nn::Mlp& model, const Tensor& pairs) {
  return normalize(model(pairs.flatten(0, 1))).view({pairs.size(0), 2, -1});
}

const nn::MlpOptions kForClasses = {}, kForFiles = {.hidden = {512, 256}, .dropout = 0.2};
const train::Recipe kClassesRecipe = {.steps = 2000, .batch_size = 32, .lr = 3e-3};
const train::Recipe kFileRecipe = {
    .steps = 3000, .batch_size = 128, .lr = 1e-3, .weight_decay = 1e-2};
constexpr std::int64_t kShift = 1;  // of images, in pixels

// Trains on fresh pairs and tests, on others, the loss and the neighbours of single rows.
train::Result learn(train::Run& run, const Goal& goal, nn::Mlp& model, const train::Recipe& recipe,
                    const std::function<data::TensorDataset(std::int64_t)>& sample,
                    const data::TensorDataset& pairs, const data::TensorDataset& rows,
                    const data::ClassificationFormat& format) {
  const auto loss = [&](const Tensor& of, const Tensor& classes) {
    return goal(embed(model, of), classes);
  };
  const auto test_loss = [&] {
    const train::EvalGuard eval(model);
    return train::mean_over_batches(
        pairs, run.options().batch_size.value_or(recipe.batch_size),
        [&](const Tensor& of, const Tensor& classes) { return loss(of, classes).item<double>(); });
  };
  train::Result result = {.start = test_loss(), .loss_unit = goal.finds_partners() ? "nats" : ""};
  train::fit(run, model, sample, recipe, loss, {.description = format.to_metadata()});
  const Tensor vectors = normalize(train::predict(model, rows.inputs));
  run.show(train::class_figure(vectors, rows.targets, format.outputs.names()));
  result.metrics = {{"test_loss", test_loss()},
                    {"recall_at_1", train::recall_at(1, vectors, rows.targets)},
                    {"recall_at_5", train::recall_at(5, vectors, rows.targets)}};
  return result;
}

// Why the best possible loss is not known, if it is not: some classes must be too near.
std::string unknown_floor(const Goal& goal, std::int64_t dims, std::int64_t classes) {
  const double count = static_cast<double>(classes), farthest = std::sqrt(2 * count / (count - 1));
  const bool margin_counts =
      !goal.finds_partners() && !(goal.loss == "triplet" && goal.mining == "none");
  if (dims >= classes - 1 && !(margin_counts && goal.margin > farthest)) return {};
  return fmt::format(
      "the best possible loss is not known: {} classes keep a distance of {:.4f} at "
      "most, and in {} dims or more",
      classes, farthest, classes - 1);
}

void learn_classes(train::Run& run, const Goal& goal, std::int64_t dims) {
  const data::LatentClasses classes;
  const std::string unknown = unknown_floor(goal, dims, classes.options().classes);
  require<train::UsageError>(unknown.empty() || !run.options().check, "--check: {}", unknown);
  Generator held_out(20'000);  // the same samples for every seed
  const std::int64_t batch = run.options().batch_size.value_or(kClassesRecipe.batch_size);
  const data::TensorDataset pairs = classes.pairs(640 * batch, held_out);
  const data::Views single = classes.sample(2000, held_out);
  const data::ClassificationFormat format = {
      .inputs = {.columns =
                     data::TableEncoder::unchanged(data::numbered(classes.options().features))},
      .outputs = data::ClassNames(data::numbered(classes.options().classes, 0))};
  nn::Mlp model(format.inputs.features(), dims, kForClasses);
  train::Result result = learn(
      run, goal, model, kClassesRecipe, [&](std::int64_t rows) { return classes.pairs(rows); },
      pairs, {single.first, single.labels}, format);

  // At best each class is one point, as far from the others as can be. A loss that looks at the
  // classes can then be 0; others take for different what is of one class by chance.
  const data::Triplets triplets({.margin = goal.margin});
  const data::ContrastOptions contrast = {.temperature = goal.temperature,
                                          .views = goal.loss == "info_nce" ? 1 : 2};
  std::function<double(Tensor, Tensor)> oracle = [](auto&&...) { return 0.0; };
  result.bounds = {{"recall_at_1", 0.99, 1}};
  if (goal.finds_partners()) {
    oracle = [&](auto&&, const Tensor& labels) { return classes.oracle_loss(labels, contrast); };
    result.population_floor = classes.population_floor(batch, contrast);
    const auto found = [&](const Tensor& of, const Tensor&) {
      const Tensor vectors = embed(model, of);
      return train::accuracy(vectors.select(1, 0).matmul(vectors.select(1, 1).t()), arange(batch));
    };
    result.metrics.emplace_back("test_accuracy", train::mean_over_batches(pairs, batch, found));
    const double best = classes.retrieval_ceiling(batch);
    result.bounds.push_back({"test_accuracy", best - 0.012, best + 0.012});
    run.print(fmt::format("test_accuracy can be {:.4f}: which of a batch is the partner?", best));
  } else if (goal.loss == "triplet" && goal.mining == "none") {
    oracle = [&](auto&&, const Tensor& labels) {
      return triplets.oracle_loss(Goal::collisions(labels));
    };
    result.population_floor = triplets.population_floor();
  }
  if (!unknown.empty()) {
    run.print(unknown);
    result.bounds.resize(1);
    result.population_floor.reset();
    return run.finish("latent_classes", result);
  }
  result.floor = train::mean_over_batches(pairs, batch, oracle);
  result.largest_gap = goal.finds_partners() ? 0.01 * *result.floor
                                             : 0.02 * std::max(*result.floor, 0.05 * goal.margin);
  run.finish("latent_classes", result);
}

void learn_files(train::Run& run, const Goal& goal, std::int64_t dims) {
  const data::ClassificationData data = train::load(run, data::load_classification);
  require<IoError>(data.test.size() > 5, "{}: five neighbours need more than {} rows to test on",
                   run.options().data, data.test.size());
  const data::ClassPairs learnt(data.train), held_out(data.test);
  Generator generator(20'000);
  nn::Mlp model(data.format.inputs.features(), dims, kForFiles);
  const auto sample = [&](std::int64_t rows) {
    data::TensorDataset pairs = learnt.sample(rows);
    if (pairs.inputs.dim() == 4) {
      const Tensor images = pairs.inputs.flatten(0, 1);  // each of a pair moves by itself
      pairs.inputs = data::random_shift(images, kShift).view(pairs.inputs.sizes());
    }
    return pairs;
  };
  run.finish(run.options().data, learn(run, goal, model, kFileRecipe, sample,
                                       held_out.sample(5000, generator), data.test, data.format));
}

// A model that was kept, used on a file without classes: a column for each dim.
void predict(train::Run& run) {
  const train::SavedModel saved(run.options().load);
  const auto format = data::InputFormat::from_metadata(saved.metadata(), saved.path());
  const auto hidden = saved.hidden_layers(format.features());
  const auto dims = saved.size_of(fmt::format("layers.{}.bias", hidden.size()), 0);
  nn::Mlp model(format.features(), dims, {.hidden = hidden});
  saved.load_into(model);
  const Tensor vectors = normalize(train::predict(model, train::inputs_to_predict(run, format)));
  run.write_predictions(train::numbers_csv(vectors, data::numbered(dims)));
}

int main(int argc, char** argv) {
  Goal goal;
  std::int64_t dims = 16;
  train::CommandLine command(
      "embeddings",
      "A network learns to place things so that those of one class lie close: hidden classes that "
      "it generates itself; or with --data, images or the rows of a table.",
      train::recipe_options({"target"}, false));
  command.add("--loss", goal.loss, {"info_nce", "nt_xent", "sup_con", "triplet", "contrastive"},
              "What is to be small");
  command
      .add("--mining", goal.mining, {"none", "batch_hard", "semi_hard", "all"},
           "Which triplets of a batch; none: a pair and one of the next, whatever its class")
      .needs({"--loss triplet"});
  command.add("--temperature", goal.temperature, "(0, inf)", "What cosines are divided by")
      .needs({"--loss info_nce", "--loss nt_xent", "--loss sup_con"});
  command.add("--margin", goal.margin, "(0, inf)", "By how much others are to be farther away")
      .needs({"--loss triplet", "--loss contrastive"});
  command.add("--dims", dims, "Dims of the vectors, 2 or more");
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    if (!run.options().load.empty()) return predict(run);
    require<train::UsageError>(dims >= 2, "--dims: a direction needs 2 dims or more, not {}", dims);
    run.options().data.empty() ? learn_classes(run, goal, dims) : learn_files(run, goal, dims);
  });
}
