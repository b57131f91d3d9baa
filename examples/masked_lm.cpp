// Finds hidden tokens from those on both sides: a transformer that looks both ways. It learns from
// rows of a chain in which each token depends on the one before, or from any text, and then fills
// blanks.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

using Tokens = std::vector<std::int64_t>;
using Batches = std::vector<data::TensorDataset>;

struct Choice {
  std::string corruption = "isolated", fill;
  double mask_prob = 0.15;
  // What matters is how far apart tokens are, not where they stand.
  nn::TransformerOptions size = {.context = 64, .positions = nn::Positions::rotary};

  // BERT shows some of the tokens that are to be found, right or wrong, so that a model must not
  // trust what it sees: what it is used on later has no masks.
  data::Corruption how() const {
    if (corruption == "random") return {.mask_prob = mask_prob, .p_mask = 1, .p_random = 0};
    return {.mask_prob = mask_prob, .p_mask = 0.8, .p_random = 0.1};
  }

  // What the network sees, and what it is to find: -100 where that is nothing. The mask is the last
  // token of the vocabulary.
  data::TensorDataset hide(const Tensor& tokens, std::int64_t mask,
                           Generator& generator = default_generator()) const {
    const losses::MlmBatch batch = losses::mlm_corrupt(tokens, zeros(tokens.sizes(), kBool),
                                                       {.mask_id = mask,
                                                        .vocab_size = mask,
                                                        .mask_prob = how().mask_prob,
                                                        .p_mask = how().p_mask,
                                                        .p_random = how().p_random,
                                                        .generator = &generator});
    return {batch.ids, batch.labels};
  }
};

const nn::TransformerOptions kForChain = {
    .context = 32, .layers = 2, .heads = 4, .embed_dim = 64, .positions = nn::Positions::rotary};
const train::Recipe kChainRecipe = {
    .steps = 800, .batch_size = 64, .lr = 3e-3, .weight_decay = 1e-2};
const train::Recipe kTextRecipe = {
    .steps = 2000, .batch_size = 64, .lr = 2e-3, .weight_decay = 1e-2};

train::Metrics judge(const nn::Bert& model, const Batches& test) {
  const train::LabelScore score = train::score_labels(train::predictor(model), test);
  return {{"test_loss", score.loss},
          {"perplexity", std::exp(score.loss)},
          {"test_accuracy", score.accuracy}};
}

// Trains on fresh rows and tests.
train::Result learn(train::Run& run, nn::Bert& model,
                    const std::function<data::TensorDataset(std::int64_t)>& sample,
                    const Batches& test, const train::Recipe& recipe, const Metadata& description) {
  const double start = judge(model, test)[0].second;
  train::fit(run, model, sample, recipe,
             [&](const Tensor& ids, const Tensor& labels) {
               return losses::masked_lm_loss(model(ids), labels);
             },
             {.description = description});
  return {.metrics = judge(model, test), .start = start};
}

void learn_chain(train::Run& run, const Choice& choice) {
  const data::MarkovChain chain;
  const std::int64_t length = kForChain.context;
  const bool isolated = choice.corruption == "isolated";
  const auto sample = [&](std::int64_t rows, Generator& generator) {
    const Tensor tokens = chain.sample(rows, length, generator);
    return isolated ? chain.mask_every(tokens, 4, generator)
                    : choice.hide(tokens, chain.mask_id(), generator);
  };
  Generator held_out(20'000);  // the same rows for every seed
  const data::TensorDataset test = sample(2000, held_out);
  nn::Bert model(chain.vocab_size(), kForChain);
  train::Result result = learn(
      run, model, [&](std::int64_t rows) { return sample(rows, default_generator()); }, {test},
      kChainRecipe, train::describe(chain.vocab_size(), kForChain));

  result.floor = chain.oracle_loss(test, isolated ? data::Corruption() : choice.how());
  if (isolated) result.population_floor = chain.isolated_floor();
  if (choice.corruption == "random")
    result.population_floor = chain.random_floor(length, choice.mask_prob);
  // Where neighbours may be hidden or wrong, too, there is more to learn.
  const double share = isolated ? 0.02 : choice.corruption == "random" ? 0.03 : 0.04;
  result.largest_gap = share * *result.floor;
  run.show(train::perplexity_table("What is known of a hidden token",
                                   {{"how frequent each token is", chain.stationary_entropy()},
                                    {"the token before it", chain.entropy(1)},
                                    {"all that is shown: the best possible", *result.floor},
                                    {"this network", result.metrics[0].second}}));
  run.finish("markov_chain", result);
}

// Tokens of a text in which "_" stands for a blank.
Tokens with_blanks(const std::string& text, const data::Tokenizer& tokenizer, std::int64_t mask,
                   std::int64_t context) {
  Tokens tokens;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('_', begin), text.size());
    try {
      const Tokens part = tokenizer.encode(text.substr(begin, end - begin));
      tokens.insert(tokens.end(), part.begin(), part.end());
    } catch (const ValueError& error) {
      throw train::UsageError(fmt::format("--fill: {}", error.what()));
    }
    if (end < text.size()) tokens.push_back(mask);
    begin = end + 1;
  }
  require<train::UsageError>(text.find('_') != std::string::npos,
                             "--fill: {} has no blank: write _ for each character to be found",
                             data::shown(text));
  require<train::UsageError>(std::ssize(tokens) <= context,
                             "--fill: the text has {} characters, and the model looks at {}",
                             tokens.size(), context);
  return tokens;
}

void fill(train::Run& run, nn::Bert& model, const data::Tokenizer& tokenizer, Tokens tokens) {
  const std::int64_t mask = model.vocab_size() - 1;
  const Tensor logits = train::predict(model, from_vector(tokens).unsqueeze(0))[0];
  const auto best = softmax(logits.narrow(1, 0, mask), 1).topk(std::min<std::int64_t>(3, mask));
  train::Table table{"What stands in each blank?", {"place", "best", "second", "third"}, {}, {}};
  table.header.resize(static_cast<std::size_t>(best.values.size(1)) + 1);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    if (tokens[t] != mask) continue;
    const auto row = static_cast<std::int64_t>(t);
    const Tokens tops = best.indices[row].to_vector<std::int64_t>();
    const auto p = best.values[row].to_vector<double>();
    table.rows.push_back({std::to_string(t + 1)});
    for (std::size_t k = 0; k < tops.size(); ++k)
      table.rows.back().push_back(
          fmt::format("{} {:.1f} %", data::shown(tokenizer.token(tops[k])), 100 * p[k]));
    tokens[t] = tops[0];
  }
  run.show(table);
  run.print(fmt::format("\n{}", tokenizer.decode(tokens)));
}

void learn_text(train::Run& run, const Choice& choice) {
  const train::Options& options = run.options();
  const std::int64_t context = choice.size.context;
  auto tokenizer = data::Tokenizer::train(data::TokenizerKind::character, options.data, 0);
  const data::TokenFile file = data::read_tokens(options.data, tokenizer);
  const data::TextSplit text = data::split_text(file, tokenizer, options.test_fraction, context);
  run.relies_on({text.train.tokens()});
  const std::int64_t mask = tokenizer.add_special("<mask>");
  Tokens blanks;  // looked at before a long training
  if (!choice.fill.empty()) blanks = with_blanks(choice.fill, tokenizer, mask, context);
  run.print(fmt::format("{} characters of {} kinds; the last {} are held out", file.tokens.numel(),
                        mask, text.test.targets()));

  nn::Bert model(tokenizer.size(), choice.size);
  Generator held_out(20'000);  // the same characters for every seed
  Batches test = text.test.batches(kTextRecipe.batch_size, context);
  // Their targets are what is held out; inputs begin a character before it.
  for (auto& batch : test) batch = choice.hide(batch.targets, mask, held_out);
  const auto sample = [&](std::int64_t rows) {
    return choice.hide(text.train.sample(rows, context).inputs, mask);
  };
  train::Result result = learn(run, model, sample, test, kTextRecipe,
                               train::describe(tokenizer.size(), choice.size, &tokenizer));
  if (!blanks.empty()) fill(run, model, tokenizer, blanks);
  result.loss_unit = "nats per hidden character";
  run.finish(options.data, result);
}

// A model that was kept fills blanks.
void use(train::Run& run, const Choice& choice) {
  const train::SavedModel saved(run.options().load);
  const auto described = train::TransformerDescription::of(saved);
  const auto& tokenizer = described.tokenizer;
  require<IoError>(tokenizer && tokenizer->find("<mask>") == described.vocab_size - 1,
                   "{}: is another kind of model: it did not learn to fill blanks in texts",
                   saved.path());
  nn::Bert model(described.vocab_size, described.options);
  saved.load_into(model);
  fill(run, model, *tokenizer,
       with_blanks(choice.fill, *tokenizer, described.vocab_size - 1, described.options.context));
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "masked_lm",
      "A small BERT learns to find hidden tokens from those on both sides: in rows that it "
      "generates itself, where the best possible loss is known; or with --data, in any text, in "
      "which it can then fill blanks.",
      {"data", "test-fraction", "steps", "batch-size", "lr", "optimizer", "seed", "threads", "json",
       "csv", "report", "check", "save", "load"});
  command.add("--corruption", choice.corruption, {"isolated", "random", "bert"},
              "Every fourth token is hidden; or any; or any, and some are shown, right or wrong. "
              "With --data bert, unless random");
  command
      .add("--mask-prob", choice.mask_prob, "(0, 1)", "Of each token to be hidden, if any may be")
      .needs({"--corruption random", "--corruption bert", "--data"});
  command.add("--fill", choice.fill, "A text with _ for each character that is to be found")
      .needs({"--data", "--load"});
  command.add("--context", choice.size.context, "Characters that the model looks at")
      .needs({"--data"});
  command.add("--layers", choice.size.layers, "Blocks of the model").needs({"--data"});
  command.add("--heads", choice.size.heads, "Heads of attention in each").needs({"--data"});
  command.add("--width", choice.size.embed_dim, "Numbers that stand for a character")
      .needs({"--data"});
  command.add("--dropout", choice.size.dropout, "[0, 1)", "Share that is left out")
      .needs({"--data"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    const bool has_load = !run.options().load.empty(), has_data = !run.options().data.empty();
    require<train::UsageError>(!has_load || !has_data,
                               "--load and --data exclude each other: a model that is loaded fills "
                               "blanks");
    require<train::UsageError>(!has_load || !choice.fill.empty(),
                               "--load needs --fill: a text with blanks");
    require<train::UsageError>(choice.size.embed_dim % choice.size.heads == 0,
                               "--heads: {} heads cannot share a width of {}", choice.size.heads,
                               choice.size.embed_dim);
    if (has_load) return use(run, choice);
    has_data ? learn_text(run, choice) : learn_chain(run, choice);
  });
}
