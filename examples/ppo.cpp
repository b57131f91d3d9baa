// Aligns a language model by reinforcement learning: it is asked, its answers are rewarded, and
// what was rewarded becomes likelier. PPO, GRPO and RLOO, beside the exact optimum.

#include <retrace/retrace.h>
#include <retrace/tensor/check.h>

#include <set>

using namespace retrace;

struct Choice {
  train::PolicyGradientOptions how;
  std::string rewards = "true";
  std::optional<std::int64_t> generate = {};
  bool frontier = false;
  train::SavedStages saved;
};

const train::Recipe kRecipe = {.steps = 600, .batch_size = 512, .lr = 3e-3, .weight_decay = 0};
const train::Recipe kFileRecipe = {.steps = 100, .batch_size = 64, .lr = 1e-4, .weight_decay = 0};

// Responses that can be listed --------------------------------------------------------------------

void learn_task(train::Run& run, const Choice& choice) {
  const data::RewardedResponses task;
  const nn::Gpt reference = train::reference_policy(run, task, choice.saved);
  const Tensor start = train::policy_table(reference, task);
  const data::TablePreferences truth(start, task.rewards());
  Tensor rewards = task.rewards();
  if (choice.rewards == "reward_model")
    rewards =
        train::reward_table(train::learned_reward(run, task, reference, truth, choice.saved), task);

  train::RewardedPrompts goal;
  goal.prompts = [&task](std::int64_t count, std::int64_t group) {
    train::Prompts prompts;
    for (std::int64_t i = 0; i < count; ++i)
      prompts.push_back({i / group % task.options().prompts});
    return prompts;
  };
  goal.rewards = [&](const data::Responses& responses) {
    return rewards.flatten().index({task.numbers(responses.tokens)}).to(kFloat32);
  };
  goal.generate = {.max_new_tokens = task.options().length};
  goal.group = choice.how.algorithm == "ppo" ? 1 : 128;
  const std::int64_t rows = run.options().batch_size.value_or(kRecipe.batch_size),
                     once = choice.how.group.value_or(goal.group) * task.options().prompts;
  require<train::UsageError>(rows % once == 0,
                             "--batch-size {} is no multiple of {}, --group answers to each of the "
                             "{} prompts",
                             rows, once, task.options().prompts);
  const auto score = [&](const nn::Gpt& policy, const Tensor& best, double beta) {
    return train::score_policy(train::policy_table(policy, task), best, start, task.rewards(),
                               beta);
  };
  const std::string name = choice.how.algorithm;
  const Metadata description = train::describe_for_task(task, reference.options());
  train::Figure::Numbers kls[2], expected[2];  // of DPO, and of the algorithm
  const auto note = [&](int which, const train::PolicyScore& s) {
    kls[which].push_back(s.kl_to_reference);
    expected[which].push_back(s.expected_reward);
  };
  train::PolicyGradient learner(choice.how, goal, reference);
  require<train::UsageError>(
      !run.options().check || learner.end_policy(start, rewards, task.options().length),
      "--check: where these options end is not known; k1 in the reward, and k2 or k3 in the loss "
      "with advantages as they are, have an end that can be computed");
  std::vector<double> betas = {choice.how.beta};
  if (choice.frontier) betas = {choice.how.beta / 2, choice.how.beta * 2, choice.how.beta};
  for (const double beta : betas) {
    const train::PreferenceLoss loss(train::PreferenceObjective({.loss = "sigmoid", .beta = beta}),
                                     task.responses(), reference);
    const std::string suffix = fmt::format("-{:g}", beta);
    note(0, score(train::tuned_by_preferences(run, task, reference, truth, loss, "dpo" + suffix),
                  start, beta));
    if (beta == choice.how.beta) continue;
    train::PolicyGradientOptions other = choice.how;
    other.beta = beta;
    train::PolicyGradient at_beta(other, goal, reference);
    at_beta.learn(run, train::asked_for(run.options(), kRecipe),
                  {.description = description, .stage = name + suffix});
    note(1, score(at_beta.policy(), start, beta));
  }
  learner.learn(run, kRecipe, {.description = description});
  const double beta = learner.beta();
  const std::optional<Tensor> end = learner.end_policy(start, rewards, task.options().length);
  const Tensor ideal = train::optimal_policy(start, task.rewards(), beta);
  const Tensor best = end.value_or(ideal);
  const train::PolicyScore is = score(learner.policy(), best, beta);
  note(1, is);
  const auto of_table = [&](const Tensor& table) {
    return train::score_policy(table, best, start, task.rewards(), beta);
  };
  const train::PolicyScore at_end = of_table(best), at_best = of_table(ideal);
  run.show(run.metrics_by_step("Reward and KL by step", "", {"reward", "kl_to_reference"}));
  run.show(train::policies_table(
      {"reference", name, end ? "where it ends" : "(best for J)", "best for J"},
      {of_table(start), is, at_end, at_best}));
  train::Figure frontier =
      train::frontier_figure(start, task.rewards(), std::min(0.2, betas.front() / 2), betas);
  run.show(frontier.dots("dpo", kls[0], expected[0]).dots(name, kls[1], expected[1]));

  train::Result result = {.metrics = {{"kl", is.kl},
                                      {"total_variation", is.total_variation},
                                      {"expected_reward", is.expected_reward},
                                      {"optimum_reward", at_end.expected_reward},
                                      {"kl_to_reference", is.kl_to_reference},
                                      {"objective", is.objective},
                                      {"objective_max", at_best.objective}},
                          .loss_unit = ""};
  if (!end)
    run.print(
        "Where this ends is not known: k1 in the reward, and k2 or k3 in the loss with advantages "
        "as they are, have an end that can be computed.");
  if (end && beta >= 1) result.bounds.push_back({"kl", 0, 0.02});
  if (end && at_end.objective > 0.9999 * at_best.objective)
    result.bounds.push_back({"objective", 0.98 * at_best.objective});
  run.finish("responses", result);
}

// Prompts in a file -------------------------------------------------------------------------------

// What sampled responses earn, and what they have moved away from the reference, in the mean.
train::Metrics measured(const nn::Gpt& policy, const nn::Gpt& reference,
                        const train::RewardedPrompts& goal, const train::Prompts& prompts) {
  Generator same(1);  // the same draws before and after
  nn::GenerateOptions options = goal.generate;
  options.sampling.generator = &same;
  const data::Responses responses = train::sample_responses(policy, prompts, options);
  const Tensor moved =
      train::response_logps(policy, responses) - train::response_logps(reference, responses);
  const Tensor rewards = goal.rewards(responses);
  return {{"expected_reward", rewards.mean().item<double>()},
          {"kl_to_reference", moved.mean().item<double>()}};
}

// Different prompts of a file that leave room for an answer; the others are counted aloud.
train::Prompts read_prompts(const std::string& path, const data::Tokenizer& tokenizer,
                            std::int64_t longest) {
  std::set<std::vector<std::int64_t>> all, fitting;
  for (const data::Preference& preference : data::read_preferences(path))
    all.insert(tokenizer.encode(preference.prompt));
  all.erase(std::vector<std::int64_t>());  // nothing was asked
  for (const auto& prompt : all)
    if (std::ssize(prompt) <= longest) fitting.insert(prompt);
  require<IoError>(fitting.size() >= 2,
                   "{}: of {} prompts {} leave room for an answer, and two are needed; ask for "
                   "shorter answers (--generate)",
                   path, all.size(), fitting.size());
  if (fitting.size() < all.size())
    train::log_warning(
        fmt::format("{}: {} of {} prompts are left out: with an answer they have "
                    "more tokens than the model reads",
                    path, all.size() - fitting.size(), all.size()));
  return {fitting.begin(), fitting.end()};
}

void learn_file(train::Run& run, const Choice& choice) {
  const std::string& path = run.options().data;
  const train::LanguageModel model = train::load_language_model(choice.saved.sft);
  const data::Tokenizer& tokenizer = model.words(choice.saved.sft);
  const train::ScoringModel judge = train::load_reward_model(choice.saved.reward);
  train::require_same_tokens(choice.saved.reward, judge.model.transformer, judge.tokenizer, model);
  const train::Prompts prompts =
      read_prompts(path, tokenizer, model.gpt.options().context - choice.generate.value_or(24));
  const data::RowSplit split =
      data::split_rows(std::ssize(prompts), run.options().test_fraction, run.options().seed);

  std::vector<Tensor> tokens;
  for (const auto& prompt : prompts) tokens.push_back(from_vector(prompt));
  run.relies_on(tokens);
  run.relies_on(model.gpt.parameters());
  run.relies_on(judge.model.parameters());

  train::RewardedPrompts goal;
  goal.prompts = [&](std::int64_t count, std::int64_t group) {
    train::Prompts drawn;
    while (std::ssize(drawn) < count) {
      const auto next = default_generator().next_below(std::ssize(split.train));
      const auto& prompt =
          prompts[static_cast<std::size_t>(split.train[static_cast<std::size_t>(next)])];
      drawn.insert(drawn.end(), static_cast<std::size_t>(group), prompt);
    }
    return drawn;
  };
  goal.rewards = [&judge](const data::Responses& responses) {
    return train::score_responses(judge.model, responses);
  };
  goal.generate = {.max_new_tokens = choice.generate.value_or(24),
                   .stop = tokenizer.find(train::LanguageModel::kEnd)};
  goal.group = choice.how.algorithm == "ppo" ? 1 : 8;
  train::Prompts held_out;
  for (const std::int64_t i : split.test) held_out.push_back(prompts[static_cast<std::size_t>(i)]);
  const train::Metrics before = measured(model.gpt, model.gpt, goal, held_out);
  train::PolicyGradient learner(choice.how, goal, model.gpt);
  learner.learn(run, kFileRecipe,
                {.description = train::describe(model.gpt.vocab_size(), learner.policy().options(),
                                                &tokenizer)});
  const train::Metrics after = measured(learner.policy(), model.gpt, goal, held_out);
  run.show(run.metrics_by_step("Reward and KL by step", "", {"reward", "kl_to_reference"}));
  run.show(
      train::metrics_table("Answers to prompts held out", {"before", "tuned"}, {before, after}));
  const train::LanguageModel tuned = {.gpt = learner.policy(), .tokenizer = tokenizer};
  for (std::size_t i = 0; i < std::min<std::size_t>(3, held_out.size()); ++i)
    run.print(train::answers_text(tokenizer.decode(held_out[i]), model, tuned,
                                  goal.generate.max_new_tokens));
  run.finish(
      path, {.metrics = {{"start_reward", before[0].second}, after[0], after[1]}, .loss_unit = ""});
}

int main(int argc, char** argv) {
  Choice choice;
  train::CommandLine command(
      "ppo",
      "A language model answers prompts, its answers are rewarded, and what was rewarded becomes "
      "likelier, at a price for leaving the reference. It generates the whole road itself: a base "
      "model, supervised fine-tuning, a reward model if wanted, DPO to compare with; the best "
      "possible policy is known exactly. Or with --data, --sft and --reward: prompts of "
      "preferences in JSONL, answered by a model of yours and judged by another.",
      {"data", "test-fraction", "steps", "batch-size", "lr", "optimizer", "seed", "threads", "json",
       "csv", "report", "check", "save"});
  command.add("--algorithm", choice.how.algorithm, {"ppo", "grpo", "rloo"},
              "ppo has a critic, the others compare answers to one prompt");
  command.add("--beta", choice.how.beta, "(0, inf)",
              "How dear it is to leave the reference, per nat");
  command.add("--kl", choice.how.kl, {"k1", "k2", "k3"}, "How the KL is estimated");
  command.add("--kl-in", choice.how.kl_in, {"reward", "loss"},
              "Where it is paid; in the loss the end is another policy than the best");
  command.add("--kl-target", choice.how.kl_target, "(0, inf)",
              "Steer beta so that the KL stays near so many nats a response");
  command
      .add("--rewards", choice.rewards, {"true", "reward_model"},
           "Who rewards what is generated: the truth, or a model of preferences")
      .excludes({"--data"});
  command.add("--clip", choice.how.clip, "(0, inf)",
              "How far a probability ratio, or a value, counts in one step");
  command
      .add("--clip-high", choice.how.clip_high, "(0, inf)",
           "The same of ratios above 1 (that of --clip)")
      .needs({"--algorithm grpo"});
  command.add("--passes", choice.how.passes, "Steps on the same answers");
  command.add("--group", choice.how.group,
              "Answers to one prompt in a step (128; with --data 8; of ppo 1)");
  command.add("--scale", choice.how.scale, {"auto", "group", "batch", "none"},
              "Advantages are divided by the deviation in the group, in the batch, or not (auto: "
              "grpo group, ppo batch; not with --kl-in loss, where it would change beta)");
  command
      .add("--loss-type", choice.how.loss_type, {"grpo", "bnpo", "dapo", "dr_grpo", "cispo"},
           "What its sum over tokens is divided by")
      .needs({"--algorithm grpo"});
  command.add("--value-coef", choice.how.value_coef, "[0, inf)", "Weight of the critic's loss")
      .needs({"--algorithm ppo"});
  command
      .add("--entropy", choice.how.entropy_coef, "[0, inf)",
           "Weight of the entropy, which moves the end")
      .needs({"--algorithm ppo"});
  command.add("--gamma", choice.how.gamma, "(0, 1]", "Discount").needs({"--algorithm ppo"});
  command.add("--lambda", choice.how.lambda, "[0, 1]", "1 trusts the rewards, 0 the critic")
      .needs({"--algorithm ppo"});
  command
      .add("--frontier", choice.frontier,
           "Train at half and twice beta, too, for the picture of reward against KL")
      .excludes({"--data"});
  choice.saved.offer(command);
  command.add("--reward", choice.saved.reward, "A model of reward_model")
      .needs({"--rewards reward_model", "--data"});
  command.add("--generate", choice.generate, "Tokens that an answer has at most (24)")
      .needs({"--data"});
  return train::run_program(command, argc, argv, [&](train::Run& run) {
    const bool has_data = !run.options().data.empty();
    require<train::UsageError>(
        !has_data || (!choice.saved.sft.empty() && !choice.saved.reward.empty()),
        "--data needs --sft, the model that answers, and --reward, the one that judges; make them "
        "with dpo or sft "
        "--save and reward_model --save");
    require<train::UsageError>(choice.how.algorithm != "ppo" || choice.how.scale != "group",
                               "--scale group is of grpo: ppo has no groups");
    require<train::UsageError>(
        choice.how.algorithm != "rloo" || choice.how.scale == "auto" || choice.how.scale == "none",
        "--scale is of ppo and grpo: rloo divides by nothing");
    train::require_kept(run, {{"--base", choice.saved.base},
                              {"--sft", choice.saved.sft},
                              {"--reward", choice.saved.reward}});
    has_data ? learn_file(run, choice) : learn_task(run, choice);
  });
}
