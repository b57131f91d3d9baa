// Learns from preferences what people like: a score for each item or response, such that of two the
// one that was preferred tends to have the higher one.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

struct Choice {
  std::string task = "features", base = "", prompt = "", response = "";
  double margin = 0, center = 0;

  // Of scores of pairs [pairs, 2], the preferred one's first, that should differ by `margins`.
  Tensor loss(const Tensor& scores, const Tensor& margins) const {
    return losses::reward_loss(scores.select(1, 0), scores.select(1, 1),
                               {.margin = margins, .center_rewards_coefficient = center});
  }
};

const train::Recipe kTaskRecipe = {.steps = 2000, .batch_size = 256, .lr = 3e-3};
const train::Recipe kFileRecipe = {.epochs = 3, .batch_size = 16, .lr = 5e-4, .weight_decay = 1e-2};

// Of scores of pairs [pairs, 2].
train::Metrics judge(const Tensor& scores) {
  return train::pair_metrics(scores.select(1, 0), scores.select(1, 1));
}

void show(train::Run& run, const train::RewardScores& scores,
          const std::vector<std::string>& names) {
  run.show(scores.figure(names));
  run.show(scores.table(names));
}

// How a task ends whose best possible result is known.
void finish(train::Run& run, const Choice& choice, std::string_view task, train::Result result,
            const train::Metrics& best) {
  run.show(train::best_table(result.metrics, best));
  result.floor = best[0].second;
  if (choice.margin > 0 || choice.center > 0) {
    result.largest_gap.reset();
    result.floor_of_training = false;
    run.print(
        "What was learned has a margin or a centre, what is tested has none: the order of the "
        "rewards stays right, their differences do not.");
  }
  run.finish(task, result);
}

// Items with features -----------------------------------------------------------------------------

// Of pairs of items, [pairs, 2, features].
Tensor score(const nn::Mlp& model, const Tensor& pairs) {
  return model(pairs.flatten(0, 1)).view({-1, 2});
}

void learn_features(train::Run& run, const Choice& choice) {
  const data::GumbelRewards task;
  Generator held_out(100'000);  // the same pairs for every seed
  const data::TensorDataset test = task.sample(100'000, held_out);
  nn::Mlp model(task.options().features, 1);
  const auto test_scores = [&] {
    const auto scores = [&](const Tensor& pairs) { return score(model, pairs); };
    return train::predict(scores, test.inputs);
  };
  const double ceiling = task.accuracy_ceiling();
  train::Result result = {.start = judge(test_scores())[0].second,
                          .population_floor = task.population_floor(),
                          .largest_gap = 0.02 * task.population_floor(),
                          .bounds = {{"pair_accuracy", ceiling - 0.01, ceiling + 0.01}}};
  const auto sample = [&](std::int64_t pairs) -> data::TensorDataset {
    return {task.sample(pairs).inputs, full({pairs}, choice.margin)};
  };
  train::fit(run, model, sample, kTaskRecipe, [&](const Tensor& x, const Tensor& margins) {
    return choice.loss(score(model, x), margins);
  });

  const Tensor learned = test_scores();
  const Tensor truth = task.rewards(test.inputs.flatten(0, 1)).view(learned.sizes());
  show(run, train::RewardScores(learned.view({1, -1}), truth.view({1, -1})), {"items"});
  run.print(
      "An item that is nearly always preferred could be better still, and preferences would hardly "
      "change: the highest rewards are learned least.");
  result.metrics = judge(learned);
  finish(run, choice, "gumbel_rewards", result, judge(truth));
}

// Responses ---------------------------------------------------------------------------------------

void learn_responses(train::Run& run, const Choice& choice) {
  const data::RewardedResponses task;
  const data::TablePreferences preferences(task.demonstration_logps(), task.rewards());
  nn::RewardModel model(task.vocab_size(), train::kTaskTransformer);
  const auto table = [&] {
    return train::score_responses(model, task.responses()).view(task.rewards().sizes());
  };
  // Exactly: all pairs, as often as they are drawn.
  const auto judged = [&](const Tensor& rewards) {
    const Tensor& shares = preferences.distribution();
    return train::pair_metrics(rewards.unsqueeze(2).expand(shares.sizes()),
                               rewards.unsqueeze(1).expand(shares.sizes()), shares);
  };
  const double ceiling = preferences.accuracy_ceiling();
  train::Result result = {.start = judged(table())[0].second,
                          .population_floor = preferences.floor(),
                          .largest_gap = 0.01 * preferences.floor(),
                          .bounds = {{"pair_accuracy", ceiling - 0.01, ceiling + 0.01}}};
  const auto sample = [&](std::int64_t pairs) -> data::TensorDataset {
    return {preferences.sample(pairs), full({pairs}, choice.margin)};
  };
  train::fit(run, model, sample, kTaskRecipe,
             [&](const Tensor& pairs, const Tensor& margins) {
               return choice.loss(train::scores_of(model, task.responses(), pairs), margins);
             },
             {.description = train::describe_for_task(task, model.options())});

  const Tensor learned = table();
  const train::RewardScores scores(learned, task.rewards(), task.demonstration_logps().exp());
  show(run, scores, {"prompt 0", "prompt 1", "prompt 2", "prompt 3"});
  result.metrics = judged(learned);
  finish(run, choice, "rewarded_responses", result, judged(task.rewards()));
}

// Files -------------------------------------------------------------------------------------------

void learn_file(train::Run& run, const Choice& choice) {
  const train::Options& options = run.options();
  const train::LanguageModel base = train::base_language_model(choice.base);
  nn::RewardModel model(base.gpt);
  const data::PreferencePairs data =
      train::load_preferences(options.data, *base.tokenizer, model.options().context);
  run.relies_on(
      {data.responses.tokens, data.responses.mask, data.pairs.inputs, data.pairs.targets});
  const data::Split split = data.pairs.split(options.test_fraction, options.seed);
  const auto judged = [&] {
    const train::EvalGuard eval(model);
    const auto scores = [&](const Tensor& pairs) {
      return train::scores_of(model, data.responses, pairs);
    };
    return judge(train::predict(scores, split.test.inputs, 64));
  };
  train::Result result = {.start = judged()[0].second};
  const data::TensorDataset rows = {split.train.inputs, split.train.targets + choice.margin};
  train::fit(
      run, model, rows, kFileRecipe,
      [&](const Tensor& pairs, const Tensor& margins) {
        return choice.loss(train::scores_of(model, data.responses, pairs), margins);
      },
      {.description = train::describe(model.vocab_size(), model.options(), &*base.tokenizer)});
  result.metrics = judged();
  run.finish(options.data, result);
}

// A model that was kept scores a response.
void use(train::Run& run, const Choice& choice) {
  const train::ScoringModel scoring = train::load_reward_model(run.options().load);
  require<IoError>(scoring.tokenizer.has_value(), "{}: has no tokenizer", run.options().load);
  const data::TokenBatch batch =
      data::pad({data::encode_conversation(*scoring.tokenizer,
                                           {{choice.prompt, false}, {choice.response, true}},
                                           scoring.tokenizer->find(train::LanguageModel::kEnd))},
                0);
  const Tensor score = train::score_responses(scoring.model, {batch.tokens, batch.mask});
  run.print(fmt::format("{:.6f}", score.item<double>()));
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "reward_model",
      "A network learns from preferences, the better of two each, what people like: items with "
      "features, or responses to prompts, that it generates itself; or with --data, preferences in "
      "JSONL, {\"prompt\", \"chosen\", \"rejected\"}.",
      {"data", "test-fraction", "epochs", "steps", "batch-size", "lr", "optimizer", "seed",
       "threads", "json", "csv", "report", "check", "save", "load"});
  command.add("--task", choice.task, {"features", "responses"}, "What is generated")
      .excludes({"--data"});
  command.add("--margin", choice.margin, "[0, inf)",
              "By how much scores should differ, besides the \"margin\" of a line of a file");
  command.add("--center", choice.center, "[0, inf)",
              "How strongly scores are held near 0, since preferences leave their mean free; 0.01 "
              "is usual");
  command
      .add("--base", choice.base,
           "The language model to begin with, of tiny_lm or sft or in GPT-2's form; without it a "
           "fresh one that reads bytes")
      .needs({"--data"});
  command.add("--prompt", choice.prompt, "To what ...").needs({"--load"});
  command.add("--response", choice.response, "... the response is that is to be scored")
      .needs({"--load"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    const train::Options& options = run.options();
    const bool has_load = !options.load.empty(), has_data = !options.data.empty();
    require<train::UsageError>(!has_load || !choice.response.empty(),
                               "--load needs --response: what is to be scored");
    if (has_load) return use(run, choice);
    train::require_kept(run, {{"--base", choice.base}});
    if (has_data) return learn_file(run, choice);
    choice.task == "responses" ? learn_responses(run, choice) : learn_features(run, choice);
  });
}
