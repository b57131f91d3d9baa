// A small network learns from a teacher: from all that it says of each row, instead of the right
// answer alone. Two students, of either kind, and the teacher on the same test.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

#include <filesystem>

using namespace retrace;

using Model = std::function<Tensor(const Tensor&)>;  // inputs to logits

struct Choice {
  std::string task = "points", teacher;
  double temperature = 4, alpha = 1;
  std::int64_t rows = 0, layers = 2, width = 32;
};

// What students learn, and who knows it already.
struct Lesson {
  train::Rows rows;
  std::vector<data::TensorDataset> test;  // targets are labels, or probabilities
  Model teacher;
  train::Recipe recipe;
};

constexpr std::int64_t kPoints = 500;
constexpr std::int64_t kShift = 1;  // of images, in pixels
const nn::TransformerOptions kTeacherGpt = {
    .context = 128, .layers = 4, .heads = 4, .embed_dim = 128};
const train::Recipe kPointsRecipe = {.steps = 3000, .batch_size = 256, .lr = 1e-2};
const train::Recipe kLinearRecipe = {.steps = 2500, .batch_size = 256, .lr = 1e-2};
const train::Recipe kFileRecipe = {
    .steps = 4000, .batch_size = 64, .lr = 2e-3, .weight_decay = 1e-2, .validation_fraction = 0.1};
const train::Recipe kTextRecipe = {
    .steps = 1500, .batch_size = 32, .lr = 2e-3, .weight_decay = 1e-2};

// Learns from the teacher as far as alpha says, and from labels for the rest.
template <class Network>
void learn(train::Run& run, Network& model, const Lesson& lesson,
           const losses::DistillationOptions& goal, const train::FitOptions& how) {
  const train::Recipe recipe = train::asked_for(run.options(), lesson.recipe);
  const auto loss = [&](const Tensor& x, const Tensor& labels) {
    const bool shifts = x.dim() == 3 && model.is_training();
    const Tensor inputs = shifts ? data::random_shift(x, kShift) : x;
    const Tensor logits = model.forward(inputs);
    const Tensor teacher = goal.alpha > 0 ? lesson.teacher(inputs) : logits.detach();
    return losses::distillation_loss(logits, teacher, labels, goal);
  };
  train::fit(run, model, lesson.rows, recipe, loss, how);
}

// Teaches two students that are alike at first, and tests all three.
template <class Network>
train::Result teach(train::Run& run, const Choice& choice, const Lesson& lesson, Network& hard,
                    Network& soft, const Metadata& description) {
  train::Result result = {.start = train::score_labels(train::predictor(soft), lesson.test).loss,
                          .floor_of_training = false};
  learn(run, hard, lesson, {.alpha = 0}, {.stage = "labels"});
  learn(run, soft, lesson, {.temperature = choice.temperature, .alpha = choice.alpha},
        {.description = description});
  train::Table table{"All three on the same test", {"", "loss", "accuracy"}, {}, {}};
  const auto score = [&](const std::string& who, const Model& model) {
    const train::LabelScore is = train::score_labels(model, lesson.test);
    table.rows.push_back({who, fmt::format("{:.4f}", is.loss), fmt::format("{:.4f}", is.accuracy)});
    return is;
  };
  const auto teacher = score("teacher", lesson.teacher),
             by_labels = score("student of labels alone", train::predictor(hard)),
             by_teacher = score("student of the teacher", train::predictor(soft));
  run.show(table);
  result.metrics = {{"test_loss", by_teacher.loss},
                    {"test_accuracy", by_teacher.accuracy},
                    {"teacher_loss", teacher.loss},
                    {"student_hard_loss", by_labels.loss},
                    {"student_soft_loss", by_teacher.loss}};
  return result;
}

// Points whose teacher knows everything: the probability of each class ----------------------------

void learn_points(train::Run& run, const Choice& choice) {
  const data::SoftLabels points;
  Generator held_out(20'000);  // the same points for every seed
  const Tensor test = points.sample(20'000, held_out).inputs;
  const auto teacher = [&](const Tensor& x) { return points.logits(x).to(kFloat32); };
  const data::TaughtRows few = points.sample(choice.rows > 0 ? choice.rows : kPoints);
  const data::ClassificationFormat format = {
      .inputs = {.columns = data::TableEncoder::unchanged({"x", "y"})},
      .outputs = data::ClassNames(data::numbered(data::SoftLabels::kClasses, 0))};
  train::Classifier hard(format, {.hidden = {32, 32}}), soft = nn::clone(hard);
  const Lesson lesson = {.rows = data::TensorDataset{few.inputs, few.labels},
                         .test = {{test, softmax(teacher(test), 1)}},  // no noise of labels
                         .teacher = teacher,
                         .recipe = kPointsRecipe};
  train::Result result = teach(run, choice, lesson, hard, soft, soft.description());

  const Tensor x = linspace(-2.5, 2.5, 200), line = stack({x, zeros({200})}, 1);
  train::Figure figure("How probable is class 0 at the points (x, 0)?", "x", "probability");
  const auto add = [&](const std::string& name, const Model& model, train::Figure::Stroke stroke) {
    figure.line(name, x.to_vector<double>(), train::column(softmax(model(line), 1), 0), stroke);
  };
  add("teacher", teacher, train::Figure::dashed);
  add("student of labels alone", train::predictor(hard), train::Figure::solid);
  add("student of the teacher", train::predictor(soft), train::Figure::solid);
  run.show(figure);

  const double floor = points.soft_oracle_loss(test);
  result.floor = floor;
  result.population_floor = points.population_floor();
  result.largest_gap = 0.02 * floor;
  result.bounds = {{"student_hard_loss", floor + 3 * (result.metrics[0].second - floor)}};
  run.finish("soft_labels", result);
}

// A linear map of rank 4 that learns from one of rank 9, at a high temperature --------------------

void learn_linear(train::Run& run) {
  constexpr std::int64_t kRank = 4;
  constexpr double kTemperature = 100;
  const data::LinearTeacher teacher;
  const auto [classes, features] = std::pair(teacher.options().classes, teacher.options().features);
  Generator held_out(20'000);
  const data::TensorDataset test = teacher.sample(20'000, held_out);
  const nn::Sequential student{nn::Linear(features, kRank, {.bias = false}),
                               nn::Linear(kRank, classes, {.bias = false})};
  const auto loss_at = [](double temperature, const Tensor& logits, const Tensor& of_teacher) {
    return losses::distillation_loss(logits, of_teacher, zeros({logits.size(0)}, kInt64),
                                     {.temperature = temperature, .alpha = 1});
  };
  const Tensor wanted = test.targets.to(kFloat64);
  const auto learnt = [&] { return train::predict(student, test.inputs).to(kFloat64); };
  train::Result result = {.start = loss_at(kTemperature, learnt(), wanted).item<double>(),
                          .floor = teacher.oracle_loss(test.inputs, kRank),
                          .population_floor = teacher.population_floor(kRank)};
  nn::Sequential model = student;
  train::fit(
      run, model, [&](std::int64_t rows) { return teacher.sample(rows); }, kLinearRecipe,
      [&](const Tensor& x, const Tensor& z) { return loss_at(kTemperature, model(x), z); });

  const Tensor z = learnt() - learnt().mean(1, true);
  const double limit = 0.5 * (wanted - z).square().mean().item<double>();
  train::Table table{"What the student loses at other temperatures", {"T", "T^2 KL"}, {}, {}};
  for (const double t : {1.0, 2.0, 4.0, 10.0, 30.0, 100.0})
    table.rows.push_back(
        {train::number_text(t), fmt::format("{:.5f}", loss_at(t, z, wanted).item<double>())});
  table.rows.push_back({"limit |v - u|^2 / 2K", fmt::format("{:.5f}", limit)});
  run.show(table);
  result.metrics = {{"test_loss", loss_at(kTemperature, z, wanted).item<double>()}};
  result.largest_gap = 0.02 * *result.floor;
  run.finish("linear_teacher", result);
}

// Files -------------------------------------------------------------------------------------------

void learn_classes(train::Run& run, const Choice& choice) {
  data::ClassificationData data = train::load(run, data::load_classification);
  const bool is_given = !choice.teacher.empty();
  auto teacher = is_given ? train::Classifier::load(choice.teacher)
                          : train::Classifier(data.format, {.hidden = {512, 512}, .dropout = 0.2});
  require<IoError>(teacher.format().to_metadata() == data.format.to_metadata(),
                   "{}: learnt from other rows: train it with this --data, --test and --seed",
                   choice.teacher);
  Lesson lesson = {.rows = data.train,
                   .test = {data.test},
                   .teacher = train::predictor(teacher),
                   .recipe = kFileRecipe};
  if (is_given) run.relies_on(teacher.parameters());
  if (!is_given) learn(run, teacher, lesson, {.alpha = 0}, {.stage = "teacher"});
  if (choice.rows > 0 && choice.rows < data.train.size()) {
    const auto first = [&](const Tensor& x) { return x.narrow(0, 0, choice.rows); };
    lesson.rows = data::TensorDataset{first(data.train.inputs), first(data.train.targets)};
  }
  const std::vector<std::int64_t> hidden(static_cast<std::size_t>(choice.layers), choice.width);
  train::Classifier hard(data.format, {.hidden = hidden}), soft = nn::clone(hard);
  run.finish(run.options().data, teach(run, choice, lesson, hard, soft, soft.description()));
}

void learn_text(train::Run& run, const Choice& choice) {
  const train::Options& options = run.options();
  require<train::UsageError>(choice.rows == 0 && !options.epochs && options.patience == 0,
                             "--rows, --epochs and --patience are for rows; a text has none: give "
                             "--steps");
  require<train::UsageError>(options.test.empty(),
                             "--test is for rows; of a text a part is held out: give "
                             "--test-fraction");
  const auto fresh = [&]() -> train::LanguageModel {
    const auto characters = data::Tokenizer::train(data::TokenizerKind::character, options.data, 0);
    return {.gpt = nn::Gpt(characters.size(), kTeacherGpt), .tokenizer = characters};
  };
  const bool is_given = !choice.teacher.empty();
  train::LanguageModel teacher = is_given ? train::load_language_model(choice.teacher) : fresh();
  const data::Tokenizer& tokenizer = teacher.words(choice.teacher);
  const std::int64_t context = teacher.gpt.options().context, tokens = teacher.gpt.vocab_size();
  const data::TextSplit text = data::split_text(data::read_tokens(options.data, tokenizer),
                                                tokenizer, options.test_fraction, context);
  run.relies_on({text.train.tokens()});
  const Lesson lesson = {
      .rows = [&](std::int64_t rows) { return text.train.sample(rows, context); },
      .test = text.test.batches(kTextRecipe.batch_size, context),
      .teacher = train::predictor(teacher.gpt),
      .recipe = kTextRecipe};
  if (is_given) run.relies_on(teacher.gpt.parameters());
  if (!is_given) learn(run, teacher.gpt, lesson, {.alpha = 0}, {.stage = "teacher"});
  const nn::TransformerOptions size = {
      .context = context, .layers = choice.layers, .heads = 4, .embed_dim = choice.width};
  require<train::UsageError>(choice.width % size.heads == 0,
                             "--width: {} heads of attention share it, so that it must be a "
                             "multiple, and {} is none",
                             size.heads, choice.width);
  nn::Gpt hard(tokens, size), soft = nn::clone(hard);
  train::Result result =
      teach(run, choice, lesson, hard, soft, train::describe(tokens, size, &tokenizer));
  result.loss_unit = "nats per token";
  run.finish(options.data, result);
}

// A folder of images or a table has classes; anything else is a text.
bool has_classes(const train::Options& options) {
  return !options.target.empty() || std::filesystem::is_directory(options.data) ||
         options.data.ends_with(".csv") || options.data.ends_with(".csv.gz");
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "distillation",
      "Two small networks learn the same few rows, one from labels alone, the other from all that "
      "a teacher says of each: points that it generates itself, with a teacher that knows the best "
      "possible answer; or with --data images, a table or a text, with a larger network. The "
      "student of the teacher is kept as mlp_classifier and tiny_lm keep their models, and they "
      "can use it.",
      {"data", "test", "test-fraction", "target", "no-header", "epochs", "steps", "patience",
       "batch-size", "lr", "optimizer", "seed", "threads", "json", "csv", "report", "check",
       "save"});
  command
      .add("--task", choice.task, {"points", "linear"},
           "What is generated; linear shows what the loss is at a high temperature")
      .excludes({"--data"});
  command
      .add("--teacher", choice.teacher,
           "A model that mlp_classifier kept, or tiny_lm for a text, trained on the same data "
           "with the same seed; without it one is trained first")
      .needs({"--data"});
  command
      .add("--temperature", choice.temperature, "(0, inf)",
           "The higher, the more a student hears of what is improbable")
      .excludes({"--task linear"});
  command.add("--alpha", choice.alpha, "[0, 1]", "Share of the teacher; the rest is the labels'")
      .excludes({"--task linear"});
  command
      .add("--rows", choice.rows,
           "Points, or rows of a file, that students learn from; 0: 500, or all", 0)
      .excludes({"--task linear"});
  command.add("--layers", choice.layers, "Hidden layers, or blocks, of a student")
      .needs({"--data"});
  command.add("--width", choice.width, "How wide they are").needs({"--data"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    const bool has_data = !run.options().data.empty();
    train::require_kept(run, {{"--teacher", choice.teacher}});
    if (has_data)
      return has_classes(run.options()) ? learn_classes(run, choice) : learn_text(run, choice);
    choice.task == "linear" ? learn_linear(run) : learn_points(run, choice);
  });
}
