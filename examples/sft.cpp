// Teaches a language model to answer: supervised fine-tuning, in which the responses are learned
// and the prompts only read.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

using Tokens = std::vector<std::int64_t>;

struct Choice {
  std::string base = "", loss = "nll", learn = "response", prompt = "";
  bool chat = false;
  std::int64_t generate = 200;
};

const nn::TransformerOptions kForDigits = {.context = 14, .layers = 2, .heads = 4, .embed_dim = 64};
const train::Recipe kBaseRecipe = {
    .steps = 300, .batch_size = 64, .lr = 3e-3, .weight_decay = 1e-2};
const train::Recipe kDigitsRecipe = {
    .steps = 1000, .batch_size = 64, .lr = 3e-3, .weight_decay = 1e-2};
const train::Recipe kFileRecipe = {.epochs = 3, .batch_size = 16, .lr = 5e-4, .weight_decay = 1e-2};

// The mean over the tokens that the mask has, and how many those are.
train::BatchLoss loss_where(const nn::Gpt& gpt, const Tensor& tokens, const Tensor& mask,
                            const std::string& type = "nll") {
  const Tensor loss = losses::sft_loss(gpt(tokens), tokens, mask,
                                       {.loss_type = losses::sft_loss_type_from_string(type)});
  return {loss, std::max<std::int64_t>(1, mask.narrow(1, 1, mask.size(1) - 1).sum().item<int>())};
}

double mean_loss(const nn::Gpt& gpt, const data::TensorDataset& rows) {
  const train::EvalGuard eval(gpt);
  return train::mean_over_tokens(rows.batches(64),
                                 [&](const Tensor& tokens, const Tensor& mask) {
                                   return loss_where(gpt, tokens, mask);
                                 })
      .mean_nll();
}

void tune(train::Run& run, nn::Gpt& gpt, const train::Rows& rows, const train::Recipe& recipe,
          const std::string& loss_type, const train::FitOptions& how) {
  const auto loss = [&](const Tensor& tokens, const Tensor& mask) {
    return loss_where(gpt, tokens, mask, loss_type);
  };
  train::fit(run, gpt, rows, recipe, loss, how);
}

// Digits ------------------------------------------------------------------------------------------

// Like rows of the task, but what stands where answers do has nothing to do with the question.
data::TensorDataset unanswered(const data::DigitInstructions& task, std::int64_t rows) {
  const data::TensorDataset sample = task.sample(rows);
  const std::int64_t length = task.options().length;
  sample.inputs.narrow(1, task.prompt_length(), length)
      .copy_(randint(0, task.options().digits, {rows, length}));
  return {sample.inputs, ones_like(sample.targets)};
}

// How many in a hundred prompts get the right answer.
double right_answers(const nn::Gpt& gpt, const data::DigitInstructions& task, const Tensor& rows) {
  const std::int64_t count = std::min<std::int64_t>(rows.size(0), 500);
  std::vector<Tokens> prompts;
  for (std::int64_t r = 0; r < count; ++r)
    prompts.push_back(rows[r].narrow(0, 0, task.prompt_length()).to_vector<std::int64_t>());
  const auto answers = nn::generate(
      gpt, prompts, {.max_new_tokens = task.options().length, .sampling = {.greedy = true}});
  const Tensor wanted = task.answers(rows.narrow(0, 0, count));
  std::int64_t right = 0;
  for (std::int64_t r = 0; r < count; ++r)
    right += answers[static_cast<std::size_t>(r)] == wanted[r].to_vector<std::int64_t>() ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(count);
}

void print_answer(train::Run& run, const nn::Gpt& gpt, const data::DigitInstructions& task,
                  const std::string& prompt) {
  Tokens tokens = task.tokens(prompt);
  task.answers(tensor({tokens}));  // refuses what is no prompt
  const Tokens answer = nn::generate(
      gpt, {tokens}, {.max_new_tokens = task.options().length, .sampling = {.greedy = true}})[0];
  run.print(fmt::format("{} {}", prompt, task.text(answer)));
}

void learn_digits(train::Run& run, const Choice& choice) {
  const data::DigitInstructions task;
  Generator held_out(20'000);  // the same rows for every seed
  const data::TensorDataset test = task.sample(3000, held_out);
  const Tensor digits = zeros_like(test.targets);  // of the prompts
  digits.narrow(1, 1, task.options().length).fill_(true);

  // A base model knows what rows look like, and not what is asked of it.
  nn::Gpt base(task.vocab_size(), kForDigits);
  tune(run, base, [&](std::int64_t rows) { return unanswered(task, rows); }, kBaseRecipe, "nll",
       {.stage = "base"});
  const auto sample = [&](const std::string& learn) -> train::Rows {
    return [&task, learn](std::int64_t count) -> data::TensorDataset {
      const data::TensorDataset rows = task.sample(count);
      return {rows.inputs, learn == "all" ? ones_like(rows.targets) : rows.targets};
    };
  };
  const train::Recipe recipe = train::asked_for(run.options(), kDigitsRecipe);
  const std::string other = choice.learn == "all" ? "response" : "all";
  nn::Gpt otherwise = nn::clone(base), gpt = nn::clone(base);
  tune(run, otherwise, sample(other), recipe, choice.loss, {.stage = "learn-" + other});
  Metadata description = train::describe(task.vocab_size(), kForDigits);
  description["task"] = "digits";
  tune(run, gpt, sample(choice.learn), recipe, choice.loss, {.description = description});

  train::Table table{
      "Nats per token", {"model", "of answers", "of digits in prompts", "right answers"}, {}, {}};
  struct Score {
    double loss, right;
  };
  const auto score = [&](const std::string& name, const nn::Gpt& model) -> Score {
    const Score is = {mean_loss(model, test), right_answers(model, task, test.inputs)};
    table.rows.push_back({name, fmt::format("{:.4f}", is.loss),
                          fmt::format("{:.4f}", mean_loss(model, {test.inputs, digits})),
                          fmt::format("{:.1f} %", 100 * is.right)});
    return is;
  };
  const double start = score("base", base).loss;
  score("tuned, learning " + other, otherwise);
  const Score reached = score("tuned, learning " + choice.learn, gpt);
  table.rows.push_back({"the best possible", fmt::format("{:.4f}", task.population_floor()),
                        fmt::format("{:.4f}", std::log(10.0)), "100.0 %"});
  run.show(table);
  run.print(
      "Who learns the answers alone forgets what prompts look like, and that costs nothing: digits "
      "that are drawn alike cannot be foretold better than ln 10 = 2.3026. Who learns all tokens "
      "spends half of the gradient on them.");
  for (const char* prompt :
       {"copy 3 1 4 1 5 9 :", "reverse 3 1 4 1 5 9 :", "add_one 3 1 4 1 5 9 :"})
    print_answer(run, gpt, task, prompt);

  const double floor = task.oracle_loss(test.inputs);
  run.finish("digits", {.metrics = {{"test_loss", reached.loss},
                                    {"perplexity", std::exp(reached.loss)},
                                    {"test_accuracy", reached.right}},
                        .start = start,
                        .floor = floor,
                        .population_floor = task.population_floor(),
                        .largest_gap = 0.02 * floor,
                        .bounds = {{"test_accuracy", 0.99, 1}},
                        .loss_unit = "nats per token",
                        .floor_of_training = choice.loss == "nll"});
}

// Conversations -----------------------------------------------------------------------------------

nn::GenerateOptions answering(const Choice& choice) {
  return {.max_new_tokens = choice.generate, .sampling = {.greedy = true}};
}

// All conversations that the model can read, with a mask of the tokens that `learn` names, padding
// never among them; the others are counted aloud.
data::TensorDataset rows_of(const std::vector<data::Conversation>& conversations,
                            const std::vector<std::int64_t>& chosen,
                            const train::LanguageModel& model, const std::string& path,
                            const std::string& learn) {
  const data::Tokenizer& tokenizer = *model.tokenizer;
  const std::int64_t context = model.gpt.options().context;
  std::vector<data::TokenRow> rows;
  for (const std::int64_t i : chosen) {
    data::TokenRow row =
        data::encode_conversation(tokenizer, conversations[static_cast<std::size_t>(i)],
                                  tokenizer.find(train::LanguageModel::kEnd));
    if (learn == "all") row.learned.assign(row.tokens.size(), true);
    if (std::ssize(row.tokens) <= context) rows.push_back(std::move(row));
  }
  if (rows.size() < chosen.size())
    train::log_warning(
        fmt::format("{}: {} of {} conversations are left out: they have more than "
                    "the {} tokens that the model reads",
                    path, chosen.size() - rows.size(), chosen.size(), context));
  require<IoError>(!rows.empty(), "{}: no conversation is short enough for the model", path);
  const data::TokenBatch batch = data::pad(rows, 0, context);
  return {batch.tokens, batch.mask};
}

void learn_files(train::Run& run, const Choice& choice) {
  const train::Options& options = run.options();
  const auto conversations = data::read_conversations(options.data);
  const train::LanguageModel model = train::base_language_model(choice.base);
  nn::Gpt gpt = model.gpt;
  const data::RowSplit split =
      data::split_rows(std::ssize(conversations), options.test_fraction, options.seed);
  const data::TensorDataset rows =
      rows_of(conversations, split.train, model, options.data, choice.learn);
  run.relies_on({rows.inputs, rows.targets});
  const data::TensorDataset test =
      rows_of(conversations, split.test, model, options.data, "response");
  const double start = mean_loss(gpt, test);
  tune(run, gpt, rows, kFileRecipe, choice.loss,
       {.description = train::describe(gpt.vocab_size(), gpt.options(), &*model.tokenizer)});
  const double loss = mean_loss(gpt, test);
  for (std::size_t i = 0; i < std::min<std::size_t>(3, split.test.size()); ++i) {
    const auto& prompt = conversations[static_cast<std::size_t>(split.test[i])].front();
    if (std::ssize(model.tokenizer->encode(prompt.text)) > gpt.options().context) continue;
    run.print(fmt::format("\n{}[{}]", prompt.text, model.go_on(prompt.text, answering(choice))));
  }
  run.finish(options.data, {.metrics = {{"test_loss", loss}, {"perplexity", std::exp(loss)}},
                            .start = start,
                            .loss_unit = "nats per token"});
}

// A model that was kept answers the prompt.
void use(train::Run& run, const Choice& choice) {
  const train::LanguageModel model = train::load_language_model(run.options().load);
  require<train::UsageError>(!choice.prompt.empty(), "--load needs --prompt: what to answer");
  if (const auto task = model.metadata.find("task");
      task != model.metadata.end() && task->second == "digits")
    return print_answer(run, model.gpt, data::DigitInstructions(), choice.prompt);
  model.words(run.options().load);
  const std::string prompt =
      choice.chat ? fmt::format("\n\nUser: {}\n\nAssistant:", choice.prompt) : choice.prompt;
  run.print(model.go_on(prompt, answering(choice)));
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "sft",
      "A language model that knows what texts look like is taught to answer: instructions with "
      "digits that it generates itself, a tenth of the answers' tokens wrong; or with --data, "
      "conversations in JSONL, {\"prompt\", \"completion\"} or {\"messages\": [...]}.",
      {"data", "test-fraction", "epochs", "steps", "batch-size", "lr", "optimizer", "seed",
       "threads", "json", "csv", "report", "check", "save", "load"});
  command
      .add("--base", choice.base,
           "The model to begin with, of tiny_lm or in GPT-2's form; without it a fresh one that "
           "reads bytes")
      .needs({"--data"});
  command.add("--learn", choice.learn, {"response", "all"}, "Which tokens count in the loss");
  command.add("--loss", choice.loss, {"nll", "dft"},
              "dft: what the model finds unlikely counts less");
  command.add("--prompt", choice.prompt, "What to answer").needs({"--load"});
  command.add("--chat", choice.chat, "The prompt is what a user says, in the form of messages")
      .needs({"--load"});
  command.add("--generate", choice.generate, "Tokens that an answer has at most")
      .needs({"--data", "--load"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    if (!run.options().load.empty()) return use(run, choice);
    train::require_kept(run, {{"--base", choice.base}});
    run.options().data.empty() ? learn_digits(run, choice) : learn_files(run, choice);
  });
}
