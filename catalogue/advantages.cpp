#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/advantages.h>

#include <algorithm>

namespace retrace::catalogue {
namespace {

const Shape kTokens = {2, 5};

Results call_gae(const Call& c) {
  const losses::GaeResult result =
      losses::gae(c["rewards"], c["values"], c.optional("last_value"), c.optional("dones"),
                  {.gamma = c.number("gamma", 1), .lam = c.number("lam", 0.95)});
  return Results({{"advantages", result.advantages}, {"returns", result.returns}});
}

losses::KlEstimator estimator_of(const Call& c) {
  return losses::kl_estimator_from_string(c.text("estimator", "k1"));
}

Sample kl(const Shape& sizes, const std::string& estimator) {
  return {
      {{"logps", sizes, log_probabilities()}, constant("ref_logps", sizes, log_probabilities())},
      {{"estimator", estimator}}};
}

Sample shaped_rewards(const std::string& estimator) {
  return {{constant("logps", kTokens), constant("ref_logps", kTokens), constant("scores", {2}),
           constant("last", {2}, indices(5))},
          {{"estimator", estimator}, {"kl_coef", 0.05}}};
}

Sample rewards(Arguments arguments) { return {{constant("rewards", {6})}, std::move(arguments)}; }

Sample whitened(const Domain& mask, Arguments arguments = {}) {
  return {{{"values", kTokens}, constant("mask", kTokens, mask)}, std::move(arguments)};
}

bool three_kept(const Call& c) {
  const auto mask = numbers_of(c, "mask");
  return std::count_if(mask.begin(), mask.end(), [](double m) { return m != 0; }) >= 3;
}

// The rewards of a group of four, of which the first moves.
Scene along_first_reward(Knobs knobs = {}) {
  return {.inputs = {{"rewards", {4}, {0, 1, 0, -1}}},
          .moved = "rewards",
          .axis = {.symbol = "r₁", .label = "first of four rewards", .low = -3, .high = 3},
          .shown = {{"A₁", 0}, {"A₂", 1}, {"A₃", 2}, {"A₄", 3}},
          .knobs = std::move(knobs),
          .arguments = {{"group", std::int64_t{4}}}};
}

}  // namespace

void add_advantages(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "kl_estimate",
           .family = "policy gradient",
           .question = "How far is the policy from the reference, judged by its samples?",
           .run = [](const Call& c) -> Results {
             return losses::kl_estimate(c["logps"], c["ref_logps"], estimator_of(c));
           },
           .samples = {kl(kTokens, "k1"), kl(kTokens, "k2"), kl(kTokens, "k3"), kl({}, "k3")},
           .card = {.topic = 32,
                    .about = "Of one sample. k1 is right on average but may be negative; k2 is "
                             "never negative, but biased; k3 is right and never negative.",
                    .range = "by estimator",
                    .slope = "1, δ and 1 - e^(-δ): as losses they differ, and only k2's gradient "
                             "is that of the KL.",
                    .call =
                        "losses::kl_estimate(logps, ref_logps, losses::KlEstimator::$(estimator))",
                    .example = "ppo --kl k3",
                    .trap = "As a loss, k1 has the gradient 1 everywhere, which on average moves "
                            "nothing. As a part of the reward it is the right one.",
                    .scene = {.inputs = {number("logps"), number("ref_logps")},
                              .moved = "logps",
                              .axis = {.symbol = "δ",
                                       .label = "log π - log r of a sample",
                                       .low = -3,
                                       .high = 3},
                              .shown = {{"k"}},
                              .knobs = {{"estimator", "estimator", {"k1", "k2", "k3"}, "k1"}}}}},
          {.name = "kl_shaped_rewards",
           .family = "policy gradient",
           .question = "What is each token rewarded for: the score, less the way from home?",
           .run = [](const Call& c) -> Results {
             return losses::kl_shaped_rewards(
                 c["logps"], c["ref_logps"], c["scores"], c["last"],
                 {.kl_coef = c.number("kl_coef", 0.05), .estimator = estimator_of(c)});
           },
           .samples = {shaped_rewards("k1"), shaped_rewards("k3")},
           .differentiable = false,
           .card =
               {.topic = 32,
                .about = "The score comes at the end of the response; at every token, leaving the "
                         "reference costs.",
                .range = "(-∞, ∞)",
                .slope = "None: rewards are data.",
                .call = "losses::kl_shaped_rewards(logps, ref_logps, scores, last, {.kl_coef = "
                        "$(kl_coef), .estimator = losses::KlEstimator::$(estimator)})",
                .example = "ppo --kl-in reward",
                .trap =
                    "The score is added at the last token of the response, whose place you give.",
                .formula = "r = -weight · k, and the score at the last token",
                .scene = {.inputs = {{"logps", {1, 3}, {0, -0.5, -1}},
                                     {"ref_logps", {1, 3}, {0, -1, -0.5}},
                                     {"scores", {1}, {1}},
                                     classes("last", {2})},
                          .moved = "logps",
                          .axis = {.symbol = "δ",
                                   .label = "log π - log r of the first of three tokens",
                                   .low = -3,
                                   .high = 3},
                          .shown = {{"r₁", 0}, {"r₂", 1}, {"r₃", 2}},
                          .knobs = {{"kl_coef", "weight", {0.0, 0.05, 0.2, 1.0}, 0.05},
                                    {"estimator", "estimator", {"k1", "k2", "k3"}, "k1"}}}}},
          {.name = "gae",
           .family = "policy gradient",
           .question = "How much better than expected was what happened?",
           .run = call_gae,
           .samples = {{{constant("rewards", kTokens), constant("values", kTokens)}},
                       {{constant("rewards", kTokens), constant("values", kTokens),
                         constant("last_value", {2}), constant("dones", kTokens, truths())},
                        {{"gamma", 0.99}, {"lam", 0.9}}}},
           .differentiable = false,
           .card = {.topic = 32,
                    .about = "Looks ahead as far as λ says. Four steps, a value of ½ at each; the "
                             "last reward moves.",
                    .range = "(-∞, ∞)",
                    .slope = "None: advantages are data.",
                    .call =
                        "losses::gae(rewards, values, {}, {}, {.gamma = $(gamma), .lam = $(lam)})",
                    .example = "ppo --lambda 0.95",
                    .trap = "λ = 0 trusts the critic one step ahead, λ = 1 only the rewards. An "
                            "episode that is cut off needs the value of what follows, not 0.",
                    .formula = "A(t) = δ(t) + γ λ A(t+1), δ(t) = r(t) + γ V(t+1) - V(t)",
                    .scene = {.inputs = {{"rewards", {1, 4}, {0, 0, 0, 0}},
                                         {"values", {1, 4}, {0.5, 0.5, 0.5, 0.5}}},
                              .moved = "rewards",
                              .element = 3,
                              .axis = {.symbol = "r₄",
                                       .label = "reward at the last of four steps",
                                       .low = -3,
                                       .high = 3},
                              .shown = {{"A₁", 0}, {"A₂", 1}, {"A₃", 2}, {"A₄", 3}},
                              .knobs = {{"gamma", "γ", {0.5, 0.9, 0.99, 1.0}, 1.0},
                                        {"lam",
                                         "λ",
                                         {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95,
                                          1.0},
                                         0.95}}}}},
          {.name = "masked_whiten",
           .family = "policy gradient",
           .question = "How do the kept values compare, in units of their spread?",
           .run = [](const Call& c) -> Results {
             return losses::masked_whiten(
                 c["values"], c.optional("mask"),
                 {.shift_mean = c.flag("shift_mean", true), .eps = c.number("eps", 1e-8)});
           },
           .samples = {whitened(truths()), whitened(between(1, 1), {{"shift_mean", false}})},
           .smooth = three_kept,
           .card = {.topic = 32,
                    .about = "Mean 0 and variance 1, so that the size of rewards does not change "
                             "the size of steps.",
                    .range = "(-∞, ∞)",
                    .slope = "Passes through mean and deviation; 0 to what the mask drops.",
                    .call = "losses::masked_whiten(values, mask, {.shift_mean = $(shift_mean)})",
                    .example = "ppo --algorithm ppo",
                    .trap = "The variance is that with n - 1. One kept value has none: refused.",
                    .scene = {.inputs = {{"values", {1, 4}, {0, 1, -1, 5}},
                                         {"mask", {1, 4}, {1, 1, 1, 0}, kBool}},
                              .moved = "values",
                              .axis = {.symbol = "v₁", .label = "first of three kept values"},
                              .shown = {{"y₁", 0}, {"y₂", 1}, {"y₃", 2}},
                              .knobs = {{"shift_mean", "to mean 0", {false, true}, true}}}}},
          {.name = "group_advantages",
           .family = "policy gradient",
           .question = "How much better than its group is each response?",
           .run = [](const Call& c) -> Results {
             return losses::group_advantages(
                 c["rewards"], c.integer("group"),
                 {.scale = losses::advantage_scale_from_string(c.text("scale", "group")),
                  .eps = c.number("eps", 1e-4)});
           },
           .samples = {rewards({{"group", 3}}), rewards({{"group", 2}, {"scale", "batch"}}),
                       rewards({{"group", 3}, {"scale", "none"}})},
           .differentiable = false,
           .card = {.topic = 32,
                    .about = "What GRPO has in place of a critic. Four responses to one prompt; "
                             "the reward of the first moves.",
                    .range = "(-∞, ∞)",
                    .slope = "None: advantages are data.",
                    .call = "losses::group_advantages(rewards, 4, {.scale = "
                            "losses::AdvantageScale::$(scale)})",
                    .example = "ppo --algorithm grpo --scale group",
                    .trap = "Dividing by the group's deviation makes prompts that are nearly "
                            "always right or wrong count as much as others: none avoids that.",
                    .formula = "(r - mean of the group) / (deviation + 1e-4)",
                    .scene = along_first_reward(
                        {{"scale", "divided by", {"group", "batch", "none"}, "group"}})}},
          {.name = "rloo_advantages",
           .family = "policy gradient",
           .question = "How much better than the others of its group is each response?",
           .run = [](const Call& c) -> Results {
             return losses::rloo_advantages(c["rewards"], c.integer("group"));
           },
           .samples = {rewards({{"group", 3}})},
           .differentiable = false,
           .card = {.topic = 32,
                    .about = "Leaving itself out keeps the estimate unbiased. Four responses to "
                             "one prompt; the reward of the first moves.",
                    .range = "(-∞, ∞)",
                    .slope = "None: advantages are data.",
                    .call = "losses::rloo_advantages(rewards, 4)",
                    .example = "ppo --algorithm rloo",
                    .trap = "It is the group's mean that is subtracted, times G / (G - 1).",
                    .formula = "r - mean of the others of its group",
                    .scene = along_first_reward()}},
      });
}

}  // namespace retrace::catalogue
