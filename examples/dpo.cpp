// Aligns a language model with preferences, without reinforcement learning: direct preference
// optimisation and its relatives, each beside the exact optimum of its own loss.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

using namespace retrace;

struct Choice {
  std::string loss = "sigmoid", prefer = "true";
  std::optional<double> beta = {}, label_smoothing = {}, flips = {};
  std::optional<double> gamma = {}, nll_coef = {}, desirable = {}, undesirable = {};
  train::SavedStages saved;
  std::string reference = "";
  std::int64_t generate = 100;
};

const train::Recipe kSftRecipe = {.epochs = 3, .batch_size = 16, .lr = 5e-4};
const train::Recipe kFileRecipe = {.epochs = 1, .batch_size = 16, .lr = 1e-4};

// Before anything is trained: it refuses numbers that the loss does not take.
train::PreferenceObjective objective_of(const Choice& choice, double beta) try {
  const bool takes_noise = choice.loss == "robust" || choice.loss == "exo_pair";
  return train::PreferenceObjective(
      {.loss = choice.loss,
       .beta = choice.beta.value_or(beta),
       .label_smoothing = choice.label_smoothing.value_or(takes_noise ? 0.1 : 0),
       .gamma = choice.gamma.value_or(0.5),
       .nll_coef = choice.nll_coef.value_or(1),
       .desirable_weight = choice.desirable.value_or(1),
       .undesirable_weight = choice.undesirable.value_or(1)});
} catch (const ValueError& error) {
  throw train::UsageError(error.what());
}

void show_logps(train::Run& run) {
  run.show(run.metrics_by_step("Log-probability of whole responses", "nats",
                               {"logps_chosen", "logps_rejected"}));
}

const char* const kTrl = "Means over pairs; TRL calls them rewards/chosen and so on";

// What a newcomer takes for a fault.
void say_why_chosen_fall(train::Run& run, const train::PreferenceObjective& objective) {
  if (!objective.has_reference()) return;
  run.print(
      "The loss sees the difference of the two alone: both may fall. Probability moves to the few "
      "responses that are best, and most chosen ones are not among them.");
}

// Responses that can be listed --------------------------------------------------------------------

void learn_task(train::Run& run, const Choice& choice) {
  // With simpo's mean over three tokens a nat is worth a third.
  const train::PreferenceObjective objective = objective_of(choice, choice.loss == "simpo" ? 3 : 1);
  const data::RewardedResponses task;
  const nn::Gpt reference = train::reference_policy(run, task, choice.saved);
  const Tensor start = train::policy_table(reference, task);
  const train::PreferenceOptions& options = objective.options();
  Tensor rewards = task.rewards();
  if (choice.prefer == "reward_model") {
    const data::TablePreferences truth(start, rewards);
    rewards =
        train::reward_table(train::learned_reward(run, task, reference, truth, choice.saved), task);
  }
  const double flips = choice.flips.value_or(choice.loss == "robust" ? options.label_smoothing : 0);
  const data::TablePreferences preferences(start, rewards, flips);
  const train::PreferenceLoss loss(objective, task.responses(), reference);
  const double first_loss = loss.score(reference, preferences.sample(512))[0].second;
  const nn::Gpt policy = train::tuned_by_preferences(run, task, reference, preferences, loss);
  show_logps(run);

  // From here on nothing is sampled: sums over all responses.
  const train::ExactPreferenceLoss exact(objective, preferences, task.options().length);
  const auto expected = [&](const Tensor& table) { return exact(table).item<double>(); };
  const Tensor reached = train::policy_table(policy, task);
  const Tensor ideal = train::optimal_policy(start, task.rewards(), options.beta);
  const Tensor optimum = exact.has_optimum() ? exact.optimum() : ideal;
  std::vector<std::string> names = {"reference", "tuned", "best for J"};
  std::vector<Tensor> policies = {start, reached, ideal};
  if (exact.has_optimum()) {
    names.emplace_back("best for this loss");
    policies.push_back(optimum);
  } else {
    run.print(
        fmt::format("{} has no finite optimum here: it falls for ever while some response becomes "
                    "less and less likely.  What it is compared with is best for J.",
                    options.loss));
  }
  std::vector<train::Metrics> metrics;
  std::vector<train::PolicyScore> scores;
  for (const Tensor& table : policies) {
    metrics.push_back(exact.metrics(table));
    scores.push_back(train::score_policy(table, optimum, start, task.rewards(), options.beta));
  }
  run.show(train::metrics_table(kTrl, names, metrics));
  say_why_chosen_fall(run, objective);
  run.show(train::policies_table(names, scores));
  const train::RewardScores implicit(options.beta * (reached - start), rewards, start.exp());
  run.show(implicit.figure({"prompt 0", "prompt 1", "prompt 2", "prompt 3"}));

  const train::PolicyScore is = scores[1], at_best = scores[2], best = scores.back();
  train::Result result = {.metrics = {{"test_loss", expected(reached)},
                                      {"first_loss", first_loss},
                                      {"pair_accuracy", train::value_of(metrics[1], "accuracy")},
                                      {"reward_margin", train::value_of(metrics[1], "margin")},
                                      {"kl", is.kl},
                                      {"total_variation", is.total_variation},
                                      {"expected_reward", is.expected_reward},
                                      {"optimum_reward", best.expected_reward},
                                      {"objective", is.objective},
                                      {"objective_max", at_best.objective}},
                          .start = expected(start)};
  if (objective.has_reference())
    result.bounds = {{"first_loss", *result.start - 1e-5, *result.start + 1e-5}};
  if (exact.has_optimum()) {
    // Hinge is linear between corners: its optimum is shallow, and steps at a corner do not shrink.
    const bool is_hinge = options.loss == "hinge";
    result.floor = expected(optimum);
    result.largest_gap = (is_hinge ? 0.02 : 0.01) * std::abs(*result.floor);
    // Where a nat is cheap the best policy is too far from where pairs are drawn.
    if (options.beta >= 1) result.bounds.push_back({"kl", 0, is_hinge ? 0.05 : 0.02});
    if (best.objective > 0.9999 * at_best.objective)
      result.bounds.push_back({"objective", 0.98 * at_best.objective});
  } else {
    result.bounds.push_back({"pair_accuracy", preferences.accuracy_ceiling() - 0.03, 1});
  }
  run.finish("responses", result);
}

// Preferences in a file ---------------------------------------------------------------------------

// The pairs, labelled anew by a reward model if one is to do that.
data::TensorDataset labelled(const Choice& choice, const data::PreferencePairs& preferences,
                             const train::LanguageModel& model) {
  const data::TensorDataset& pairs = preferences.pairs;
  if (choice.prefer == "true") return pairs;
  const train::ScoringModel judge = train::load_reward_model(choice.saved.reward);
  train::require_same_tokens(choice.saved.reward, judge.model.transformer, judge.tokenizer, model);
  const Tensor scores =
      train::score_responses(judge.model, preferences.responses).index({pairs.inputs});
  const Tensor stays = bernoulli((scores.select(1, 0) - scores.select(1, 1)).sigmoid());
  const Tensor turned = cat({pairs.inputs.narrow(1, 1, 1), pairs.inputs.narrow(1, 0, 1)}, 1);
  return {where(ne(stays, 0).unsqueeze(1), pairs.inputs, turned), pairs.targets};
}

// That of --reference; none: what the tuning begins with.
std::optional<nn::Gpt> reference_of(const Choice& choice, const train::LanguageModel& model) {
  if (choice.reference.empty()) return {};
  const train::LanguageModel reference = train::load_language_model(choice.reference);
  train::require_same_tokens(choice.reference, reference.gpt.transformer, reference.tokenizer,
                             model);
  return reference.gpt;
}

void learn_file(train::Run& run, const Choice& choice) {
  const train::PreferenceObjective objective =
      objective_of(choice, choice.loss == "simpo" ? 2 : 0.1);
  const std::string& path = run.options().data;
  const train::LanguageModel model =
      train::base_language_model(choice.saved.sft.empty() ? choice.saved.base : choice.saved.sft);
  nn::Gpt policy = nn::without_dropout(model.gpt);
  const data::Tokenizer& tokenizer = *model.tokenizer;
  const data::PreferencePairs preferences =
      train::load_preferences(path, tokenizer, policy.options().context);
  const data::Split split =
      labelled(choice, preferences, model).split(run.options().test_fraction, run.options().seed);
  const std::optional<nn::Gpt> reference = reference_of(choice, model);
  run.relies_on({preferences.responses.tokens, preferences.responses.mask, preferences.pairs.inputs,
                 preferences.pairs.targets});
  run.relies_on((reference ? *reference : model.gpt).parameters());
  const Metadata description = train::describe(policy.vocab_size(), policy.options(), &tokenizer);
  if (choice.saved.sft.empty()) {
    const data::Responses chosen = preferences.responses.take(split.train.inputs.select(1, 0));
    train::fit(run, policy, data::TensorDataset{chosen.tokens, chosen.mask}, kSftRecipe,
               [&](const Tensor& tokens, const Tensor& mask) {
                 return losses::sft_loss(policy(tokens), tokens, mask);
               },
               {.description = description, .stage = "sft"});
  }
  const train::LanguageModel untuned = {.gpt = nn::clone(policy), .tokenizer = tokenizer};
  const train::PreferenceLoss loss(objective, preferences.responses,
                                   reference ? *reference : untuned.gpt);
  const train::Metrics before = loss.score(policy, split.test.inputs);
  train::fit(run, policy, split.train, kFileRecipe,
             [&](const Tensor& pairs, const Tensor&) { return loss(policy, pairs); },
             {.description = description});
  show_logps(run);
  const train::Metrics after = loss.score(policy, split.test.inputs);
  run.show(train::metrics_table(kTrl, {"before", "tuned"}, {before, after}));
  say_why_chosen_fall(run, objective);

  const train::LanguageModel tuned = {.gpt = policy, .tokenizer = tokenizer};
  const std::int64_t shown = std::min<std::int64_t>(3, split.test.size());
  for (const std::int64_t number :
       split.test.inputs.narrow(0, 0, shown).select(1, 0).to_vector<std::int64_t>())
    run.print(train::answers_text(tokenizer.decode(preferences.responses.prompt(number)), untuned,
                                  tuned, choice.generate));
  run.finish(path, {.metrics = {{"test_loss", after[0].second},
                                {"first_loss", before[0].second},
                                {"pair_accuracy", train::value_of(after, "accuracy")},
                                {"reward_margin", train::value_of(after, "margin")}},
                    .start = before[0].second});
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "dpo",
      "A language model is tuned with preferences between two responses each. It generates the "
      "whole road itself: a base model, supervised fine-tuning, preferences by a true reward or a "
      "reward model, and compares the result with the best possible policy, which is known "
      "exactly. Or with --data: preferences in JSONL, {\"prompt\", \"chosen\", \"rejected\"}, or "
      "two dialogues that begin alike.",
      {"data", "test-fraction", "epochs", "steps", "batch-size", "lr", "optimizer", "seed",
       "threads", "json", "csv", "report", "check", "save"});
  command.add("--loss", choice.loss, train::PreferenceObjective::names(),
              "Loss of a pair of responses");
  command.add(
      "--beta", choice.beta, "(0, inf)",
      "How dear it is to leave the reference, per nat (1; with --data 0.1; of simpo 3, with "
      "--data 2)");
  command.add("--label-smoothing", choice.label_smoothing, "[0, 1]",
              "Share of labels that are thought wrong (0; robust and exo_pair 0.1)");
  command
      .add("--flips", choice.flips, "[0, 0.5)",
           "Share of the generated labels that is wrong (0; of robust that of --label-smoothing)")
      .excludes({"--data"});
  command.add("--gamma", choice.gamma, "[0, inf)", "The margin that is wanted (0.5)")
      .needs({"--loss simpo"});
  command.add("--nll-coef", choice.nll_coef, "[0, inf)", "Weight of the likelihood (1)")
      .needs({"--loss cpo"});
  command.add("--desirable", choice.desirable, "[0, inf)", "Weight of chosen responses (1)")
      .needs({"--loss kto"});
  command.add("--undesirable", choice.undesirable, "[0, inf)", "Weight of rejected responses (1)")
      .needs({"--loss kto"});
  command.add("--prefer", choice.prefer, {"true", "reward_model"},
              "Whose preferences: the true ones, or those of a reward model");
  choice.saved.offer(command);
  command.add("--reward", choice.saved.reward, "A model of reward_model")
      .needs({"--prefer reward_model"});
  command
      .add("--reference", choice.reference,
           "The reference, instead of the model before it is tuned")
      .needs({"--data"});
  command.add("--generate", choice.generate, "Tokens that an answer has at most").needs({"--data"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    const bool has_data = !run.options().data.empty();
    require<train::UsageError>(
        !has_data || choice.prefer == "true" || !choice.saved.reward.empty(),
        "--prefer reward_model needs --reward with --data: train one with reward_model --data");
    train::require_kept(run, {{"--base", choice.saved.base},
                              {"--sft", choice.saved.sft},
                              {"--reward", choice.saved.reward},
                              {"--reference", choice.reference}});
    has_data ? learn_file(run, choice) : learn_task(run, choice);
  });
}
