// Learns to go on with a text, token by token: sentences of a small grammar that it generates
// itself, or any text file.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

struct Choice {
  std::string tokenizer = "char", positions = "learned";
  std::int64_t merges = 1000;
  nn::TransformerOptions size = {.activation = "gelu_tanh", .tied_head = true};
  std::int64_t generate = 300;
  std::string prompt, export_to;
  nn::SamplingOptions sampling;
};

// Of all words that a sentence of the grammar can have, and its end.
const nn::TransformerOptions kForGrammar = {
    .context = 24, .layers = 2, .heads = 4, .embed_dim = 64};
const train::Recipe kGrammarRecipe = {
    .steps = 1000, .batch_size = 64, .lr = 3e-3, .weight_decay = 1e-2};
const train::Recipe kTextRecipe = {
    .steps = 2500, .batch_size = 32, .lr = 2e-3, .weight_decay = 1e-2};

// The mean over tokens, and over how many.
train::BatchLoss loss_of(const nn::Gpt& gpt, const Tensor& inputs, const Tensor& targets) {
  const Tensor logits = gpt(inputs).flatten(0, 1);
  const auto tokens = ge(targets, 0).sum().item<std::int64_t>();
  return {losses::cross_entropy(logits, targets.flatten()), tokens};
}

losses::TokenAverage score(const nn::Gpt& gpt, const std::vector<data::TensorDataset>& batches) {
  const train::EvalGuard eval(gpt);
  return train::mean_over_tokens(batches, [&](const Tensor& inputs, const Tensor& targets) {
    return loss_of(gpt, inputs, targets);
  });
}

// Trains, and says how many tokens a second: of all processes, and none that a check reads again.
double learn(train::Run& run, nn::Gpt& gpt, const train::Rows& rows, const train::Recipe& recipe,
             const Metadata& description) {
  const auto loss = [&](const Tensor& inputs, const Tensor& targets) {
    return loss_of(gpt, inputs, targets);
  };
  train::fit(run, gpt, rows, recipe, loss, {.description = description});
  return run.training_samples() / run.training_seconds();
}

// In GPT-2's form, for other programs.
void export_model(const train::Run& run, const Choice& choice, const train::LanguageModel& model) {
  if (choice.export_to.empty() || !run.is_first()) return;
  train::save_gpt2(choice.export_to, model);
  train::log_info(fmt::format("wrote {}", choice.export_to));
}

// Sentences of the grammar ------------------------------------------------------------------------

using Tokens = std::vector<std::int64_t>;

// The beginning of a sentence, with what stands before it.
Tokens beginning(const data::AgreementGrammar& grammar, const Choice& choice) {
  Tokens tokens = grammar.tokens(choice.prompt);
  tokens.insert(tokens.begin(), grammar.eos_id());
  require<train::UsageError>(std::ssize(tokens) < kForGrammar.context,
                             "--prompt: a sentence has at most {} words here",
                             kForGrammar.context - 2);
  return tokens;
}

Tokens finished(const nn::Gpt& gpt, const data::AgreementGrammar& grammar, const Choice& choice) {
  Tokens tokens = beginning(grammar, choice);
  const std::int64_t left = gpt.options().context - std::ssize(tokens);
  const Tokens rest = nn::generate(
      gpt, {tokens},
      {.max_new_tokens = left, .stop = grammar.eos_id(), .sampling = choice.sampling})[0];
  tokens.insert(tokens.end(), rest.begin(), rest.end());
  return tokens;
}

void print_sentences(train::Run& run, const nn::Gpt& gpt, const Choice& choice) {
  constexpr int kShown = 5, kJudged = 200;
  const data::AgreementGrammar grammar;
  int right = 0;
  run.print("\nSentences that it makes:");
  for (int i = 0; i < kJudged; ++i) {
    const Tokens tokens = finished(gpt, grammar, choice);
    if (i < kShown) run.print("  " + grammar.text(tokens));
    right += grammar.is_grammatical(tokens) ? 1 : 0;
  }
  run.print(fmt::format("Of {} such sentences {} follow the grammar.", kJudged, right));
}

void learn_grammar(train::Run& run, const Choice& choice) {
  const data::AgreementGrammar grammar;
  beginning(grammar, choice);
  Generator held_out(20'000);  // the same sentences for every seed
  const data::Sentences test = grammar.sample(8000, held_out);
  const std::vector<data::TensorDataset> batches = test.rows.batches(500);
  nn::Gpt gpt(grammar.vocab_size(), kForGrammar);
  const double start = score(gpt, batches).mean_nll();
  Metadata description = train::describe(grammar.vocab_size(), kForGrammar);
  description["task"] = "grammar";
  const double speed = learn(
      run, gpt, [&](std::int64_t rows) { return grammar.sample(rows).rows; }, kGrammarRecipe,
      description);
  const losses::TokenAverage reached = score(gpt, batches);

  run.show(train::perplexity_table(
      "What is known of the next word",
      {{"how frequent each word is", grammar.ngram_loss(1)},
       {"the word before", grammar.ngram_loss(2)},
       {"the two words before", grammar.ngram_loss(3)},
       {"all before, but for agreement over a clause", grammar.agreement_blind_loss()},
       {"all before: the best possible", grammar.population_floor()},
       {"this network, on the test sentences", reached.mean_nll()}}));
  print_sentences(run, gpt, choice);
  const double floor = grammar.oracle_loss(test);
  run.finish("grammar", {.metrics = {{"test_loss", reached.mean_nll()},
                                     {"perplexity", reached.perplexity()},
                                     {"tokens_per_second", speed}},
                         .start = start,
                         .floor = floor,
                         .population_floor = grammar.population_floor(),
                         .largest_gap = 0.01 * floor,
                         .loss_unit = "nats per word"});
  export_model(run, choice, {.gpt = gpt});
}

// Texts -------------------------------------------------------------------------------------------

// "character", "byte" or "token", which all numbers of a text are per.
std::string unit_of(const data::Tokenizer& tokenizer) {
  const bool is_bpe = tokenizer.kind() == data::TokenizerKind::bpe;
  if (is_bpe) return "token";
  return tokenizer.kind() == data::TokenizerKind::byte ? "byte" : "character";
}

// What to go on with: the prompt, else a line's end, else any token. Errors come before training.
std::string prompt_for(const data::Tokenizer& tokenizer, const Choice& choice,
                       std::int64_t context) {
  std::string prompt = choice.prompt;
  if (prompt.empty()) prompt = tokenizer.find("\n") ? "\n" : tokenizer.token(0);
  const std::int64_t tokens = std::ssize(tokenizer.encode(prompt));
  require<train::UsageError>(tokens <= context, "--prompt: has {} tokens; the model reads {}",
                             tokens, context);
  return prompt;
}

void print_continuation(train::Run& run, const train::LanguageModel& model, const Choice& choice) {
  const std::string prompt = prompt_for(*model.tokenizer, choice, model.gpt.options().context);
  const nn::GenerateOptions how = {.max_new_tokens = choice.generate, .sampling = choice.sampling};
  run.print(prompt + model.go_on(prompt, how));
}

train::Result result_of(const losses::TokenAverage& average, const data::TextBlocks& text,
                        const data::Tokenizer& tokenizer) {
  return {.metrics = {{"test_loss", average.mean_nll()},
                      {"perplexity", average.perplexity()},
                      {"bits_per_byte", average.bits_per_byte(text.target_bytes(tokenizer))}},
          .loss_unit = "nats per " + unit_of(tokenizer)};
}

void learn_text(train::Run& run, const Choice& choice) {
  const train::Options& options = run.options();
  const auto tokenizer = data::Tokenizer::train(data::tokenizer_kind(choice.tokenizer),
                                                options.data, choice.merges, options.test_fraction);
  const std::int64_t context = choice.size.context;
  prompt_for(tokenizer, choice, context);
  const data::TokenFile file = data::read_tokens(options.data, tokenizer);
  const data::TextSplit text = data::split_text(file, tokenizer, options.test_fraction, context);
  run.relies_on({text.train.tokens()});
  run.print(fmt::format("{} {}s of {} kinds; the last {} are held out", file.tokens.numel(),
                        unit_of(tokenizer), tokenizer.size(), text.test.targets()));
  const train::LanguageModel model = {.gpt = nn::Gpt(tokenizer.size(), choice.size),
                                      .tokenizer = tokenizer};
  nn::Gpt gpt = model.gpt;
  const auto test = text.test.batches(kTextRecipe.batch_size, context);
  const double start = score(gpt, test).mean_nll();
  const auto sample = [&](std::int64_t rows) { return text.train.sample(rows, context); };
  const double speed = learn(run, gpt, sample, kTextRecipe,
                             train::describe(tokenizer.size(), choice.size, &tokenizer));
  train::Result result = result_of(score(gpt, test), text.test, tokenizer);
  result.start = start;
  result.metrics.emplace_back("tokens_per_second", speed);
  print_continuation(run, model, choice);
  run.finish(options.data, result);
  export_model(run, choice, model);
}

// A model that was kept, or GPT-2's: goes on with the prompt, or is tested on a text.
void use(train::Run& run, const Choice& choice) {
  const train::Options& options = run.options();
  const train::LanguageModel model = train::load_language_model(options.load);
  export_model(run, choice, model);
  if (model.metadata.contains("task")) return print_sentences(run, model.gpt, choice);
  const data::Tokenizer& tokenizer = model.words(options.load);
  if (options.data.empty()) return print_continuation(run, model, choice);
  const data::TextBlocks text(data::read_tokens(options.data, tokenizer).tokens);
  const auto batches = text.batches(8, model.gpt.options().context);
  run.finish(options.data, result_of(score(model.gpt, batches), text, tokenizer));
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "tiny_lm",
      "A small GPT learns to say what comes next: in sentences of a grammar that it generates "
      "itself, where the best possible perplexity is known; or with --data, in any text.",
      {"data", "test-fraction", "steps", "batch-size", "lr", "optimizer", "seed", "threads",
       "distributed", "json", "csv", "report", "check", "save", "load"},
      {.test_fraction = 0.1});
  command.add("--tokenizer", choice.tokenizer, {"byte", "char", "bpe"}, "What a token is")
      .needs({"--data"});
  command.add("--merges", choice.merges, "Merges that it learns: more make longer tokens")
      .needs({"--tokenizer bpe"});
  command.add("--context", choice.size.context, "Tokens that the model looks back on")
      .needs({"--data"});
  command.add("--layers", choice.size.layers, "Blocks of the model").needs({"--data"});
  command.add("--heads", choice.size.heads, "Heads of attention in each").needs({"--data"});
  command.add("--width", choice.size.embed_dim, "Numbers that stand for a token").needs({"--data"});
  command
      .add("--positions", choice.positions, {"learned", "sinusoidal", "rotary"},
           "How it knows where a token stands")
      .needs({"--data"});
  command
      .add("--activation", choice.size.activation, {"gelu", "gelu_tanh", "relu", "silu", "swiglu"},
           "Of its blocks")
      .needs({"--data"});
  command.add("--dropout", choice.size.dropout, "[0, 1)", "Share that is left out")
      .needs({"--data"});
  command.add("--generate", choice.generate, "Tokens to write").needs({"--data", "--load"});
  command.add("--prompt", choice.prompt, "What to go on with").with_load();
  command.add("--greedy", choice.sampling.greedy, "Write the most probable token each time")
      .with_load();
  command
      .add("--temperature", choice.sampling.temperature, "(0, inf)",
           "Below 1 bolder, above 1 wilder")
      .excludes({"--greedy"})
      .with_load();
  command
      .add("--top-k", choice.sampling.top_k, "Only so many of the most probable tokens; 0: all", 0)
      .excludes({"--greedy"})
      .with_load();
  command
      .add("--top-p", choice.sampling.top_p, "(0, 1]",
           "Only the most probable tokens that have this share together")
      .excludes({"--greedy"})
      .with_load();
  command.add("--export", choice.export_to, "Write the model in GPT-2's form into this folder")
      .excludes({"--positions sinusoidal", "--positions rotary", "--activation swiglu"})
      .with_load();
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    require<train::UsageError>(choice.size.embed_dim % choice.size.heads == 0,
                               "--heads: {} heads cannot share a width of {}", choice.size.heads,
                               choice.size.embed_dim);
    if (choice.positions == "sinusoidal") choice.size.positions = nn::Positions::sinusoidal;
    if (choice.positions == "rotary") choice.size.positions = nn::Positions::rotary;
    if (!run.options().load.empty()) return use(run, choice);
    run.options().data.empty() ? learn_grammar(run, choice) : learn_text(run, choice);
  });
}
