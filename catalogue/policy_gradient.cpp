#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/losses/advantages.h>
#include <retrace/losses/policy_gradient.h>

#include <algorithm>
#include <cmath>

namespace retrace::catalogue {
namespace {

// Policies ----------------------------------------------------------------------------------------

const Shape kTokens = {2, 5};

std::vector<Input> policy_inputs() {
  return {{"new_logps", kTokens, log_probabilities()},
          constant("old_logps", kTokens, log_probabilities()),
          constant("advantages", kTokens)};
}
std::vector<Input> value_inputs() {
  return {{"values", kTokens}, constant("old_values", kTokens), constant("returns", kTokens)};
}

Sample masked(std::vector<Input> inputs, const Domain& mask, Arguments arguments = {}) {
  inputs.push_back(constant("mask", kTokens, mask));
  return {std::move(inputs), std::move(arguments)};
}

Sample whole_ppo(const Domain& mask, Arguments arguments = {}) {
  std::vector<Input> inputs = policy_inputs();
  for (Input& input : value_inputs()) inputs.push_back(input);
  inputs.push_back({"logits", {2, 5, 3}});
  return masked(std::move(inputs), mask, std::move(arguments));
}

// No ratio lies at a bound of its clipping.
bool ratio_is_smooth(const Call& c, double low, double high) {
  const auto now = numbers_of(c, "new_logps"), old = numbers_of(c, "old_logps");
  for (std::size_t i = 0; i < now.size(); ++i) {
    const double ratio = std::exp(now[i] - old[i]);
    if (!far(ratio, low) || !far(ratio, high)) return false;
  }
  return true;
}
bool policy_is_smooth(const Call& c) {
  const double clip = c.number("clip", 0.2);
  return ratio_is_smooth(c, 1 - clip, 1 + clip);
}
// Nor is a value at a bound, or both errors alike beyond it.
bool value_is_smooth(const Call& c, double clip) {
  const auto v = numbers_of(c, "values"), old = numbers_of(c, "old_values"),
             target = numbers_of(c, "returns");
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double d = v[i] - old[i], bound = std::clamp(v[i], old[i] - clip, old[i] + clip);
    if (!far(std::abs(d), clip)) return false;
    if (bound != v[i] && !far(std::abs(v[i] - target[i]), std::abs(bound - target[i])))
      return false;
  }
  return true;
}
bool value_is_smooth(const Call& c) { return value_is_smooth(c, c.number("clip", 0.2)); }
bool ppo_is_smooth(const Call& c) {
  return policy_is_smooth(c) && value_is_smooth(c, c.number("clip_value", 0.2));
}

Sample grpo(const std::string& loss_type, Arguments arguments = {}, const Domain& mask = truths()) {
  Sample sample = masked({{"new_logps", kTokens, log_probabilities()},
                          constant("old_logps", kTokens, log_probabilities()),
                          constant("advantages", {2})},
                         mask, std::move(arguments));
  sample.arguments.emplace_back("loss_type", loss_type);
  if (Call({}, sample.arguments).number("beta", 0) > 0)
    sample.inputs.push_back(constant("ref_logps", kTokens, log_probabilities()));
  return sample;
}

// Of each token and of each sequence; CISPO's constant factor shows no slope, so is not compared.
bool grpo_is_smooth(const Call& c) {
  const double low = 1 - c.number("eps_low", 0.2), high = 1 + c.number("eps_high", 0.2);
  if (!ratio_is_smooth(c, low, high) || !ratio_is_smooth(c, low, c.number("delta", high)))
    return false;
  if (c.text("level", "token") != "sequence") return true;
  const Tensor keep = c["mask"].to(kFloat64);
  const Tensor d = (c["new_logps"] - c["old_logps"]).to(kFloat64) * keep;
  for (const double mean : (d.sum(-1) / keep.sum(-1).clamp(1)).to_vector<double>())
    if (!far(std::exp(mean), low) || !far(std::exp(mean), high)) return false;
  return true;
}

Results call_grpo(const Call& c) {
  return losses::grpo_loss(
      c["new_logps"], c["old_logps"], c["advantages"], c.optional("mask"), c.optional("ref_logps"),
      {.eps_low = c.number("eps_low", 0.2),
       .eps_high = c.number("eps_high", 0.2),
       .beta = c.number("beta", 0),
       .delta = c.maybe_number("delta"),
       .max_len = c.maybe_integer("max_len"),
       .loss_type = losses::grpo_loss_type_from_string(c.text("loss_type", "dapo")),
       .level = losses::ratio_level_from_string(c.text("level", "token"))});
}

// Advantages --------------------------------------------------------------------------------------

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

bool three_kept(const Call& c) {
  const auto mask = numbers_of(c, "mask");
  return std::count_if(mask.begin(), mask.end(), [](double m) { return m != 0; }) >= 3;
}

}  // namespace

void add_policy_gradient(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "ppo_policy_loss",
           .family = "policy gradient",
           .question = "Do better tokens than expected become likelier, but not too fast?",
           .run = [](const Call& c) -> Results {
             return losses::ppo_policy_loss(c["new_logps"], c["old_logps"], c["advantages"],
                                            c.optional("mask"), {.clip = c.number("clip", 0.2)});
           },
           .samples = {masked(policy_inputs(), truths()),
                       masked(policy_inputs(), between(1, 1), {{"clip", 0.5}}),
                       {policy_inputs(), {}}},
           .smooth = policy_is_smooth},
          {.name = "ppo_value_loss",
           .family = "policy gradient",
           .question = "How far are the values from the returns, moving with care?",
           .run = [](const Call& c) -> Results {
             return losses::ppo_value_loss(c["values"], c["old_values"], c["returns"],
                                           c.optional("mask"), {.clip = c.number("clip", 0.2)});
           },
           .samples = {masked(value_inputs(), truths()),
                       masked(value_inputs(), between(1, 1), {{"clip", 0.5}}),
                       {value_inputs(), {}}},
           .smooth = value_is_smooth},
          {.name = "ppo_loss",
           .family = "policy gradient",
           .question = "How good are policy, values and curiosity together?",
           .run = [](const Call& c) -> Results {
             return losses::ppo_loss(c["new_logps"], c["values"], c["logits"],
                                     {.old_logps = c["old_logps"],
                                      .advantages = c["advantages"],
                                      .old_values = c["old_values"],
                                      .returns = c["returns"],
                                      .mask = c.optional("mask")},
                                     {.clip = c.number("clip", 0.2),
                                      .clip_value = c.number("clip_value", 0.2),
                                      .value_coef = c.number("value_coef", 0.1),
                                      .entropy_coef = c.number("entropy_coef", 0.01)});
           },
           .samples = {whole_ppo(truths()),
                       whole_ppo(between(1, 1), {{"value_coef", 0.5}, {"entropy_coef", 0.1}})},
           .smooth = ppo_is_smooth},
          {.name = "grpo_loss",
           .family = "policy gradient",
           .question = "Do responses better than their group become likelier?",
           .run = call_grpo,
           .samples = {grpo("dapo"), grpo("dapo", {{"eps_high", 0.28}, {"beta", 0.04}}),
                       grpo("grpo", {{"delta", 1.1}}), grpo("grpo", {{"level", "sequence"}}),
                       grpo("bnpo", {}, between(1, 1)),
                       grpo("dr_grpo", {{"max_len", std::int64_t{8}}, {"beta", 0.5}})},
           .smooth = grpo_is_smooth},
          {.name = "rloo_loss",
           .family = "policy gradient",
           .question = "Do responses better than the others of their group become likelier?",
           .run = [](const Call& c) -> Results {
             return losses::rloo_loss(
                 c["new_logps"], c["old_logps"], c["advantages"],
                 {.clip_low = c.number("clip_low", 0.2), .clip_high = c.number("clip_high", 0.2)});
           },
           .samples = {{policy_inputs(), {}},
                       {policy_inputs(), {{"clip_low", 0.3}, {"clip_high", 0.5}}}},
           .smooth =
               [](const Call& c) {
                 return ratio_is_smooth(c, 1 - c.number("clip_low", 0.2),
                                        1 + c.number("clip_high", 0.2));
               }},
          {.name = "kl_estimate",
           .family = "policy gradient",
           .question = "How far is the policy from the reference, judged by its samples?",
           .run = [](const Call& c) -> Results {
             return losses::kl_estimate(c["logps"], c["ref_logps"], estimator_of(c));
           },
           .samples = {kl(kTokens, "k1"), kl(kTokens, "k2"), kl(kTokens, "k3"), kl({}, "k3")}},
          {.name = "kl_shaped_rewards",
           .family = "policy gradient",
           .question = "What is each token rewarded for: the score, less the way from home?",
           .run = [](const Call& c) -> Results {
             return losses::kl_shaped_rewards(
                 c["logps"], c["ref_logps"], c["scores"], c["last"],
                 {.kl_coef = c.number("kl_coef", 0.05), .estimator = estimator_of(c)});
           },
           .samples = {shaped_rewards("k1"), shaped_rewards("k3")},
           .differentiable = false},
          {.name = "gae",
           .family = "policy gradient",
           .question = "How much better than expected was what happened?",
           .run = call_gae,
           .samples = {{{constant("rewards", kTokens), constant("values", kTokens)}},
                       {{constant("rewards", kTokens), constant("values", kTokens),
                         constant("last_value", {2}), constant("dones", kTokens, truths())},
                        {{"gamma", 0.99}, {"lam", 0.9}}}},
           .differentiable = false},
          {.name = "masked_whiten",
           .family = "policy gradient",
           .question = "How do the kept values compare, in units of their spread?",
           .run = [](const Call& c) -> Results {
             return losses::masked_whiten(
                 c["values"], c.optional("mask"),
                 {.shift_mean = c.flag("shift_mean", true), .eps = c.number("eps", 1e-8)});
           },
           .samples = {masked({{"values", kTokens}}, truths()),
                       masked({{"values", kTokens}}, between(1, 1), {{"shift_mean", false}})},
           .smooth = three_kept},
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
           .differentiable = false},
          {.name = "rloo_advantages",
           .family = "policy gradient",
           .question = "How much better than the others of its group is each response?",
           .run = [](const Call& c) -> Results {
             return losses::rloo_advantages(c["rewards"], c.integer("group"));
           },
           .samples = {rewards({{"group", 3}})},
           .differentiable = false},
      });
}

}  // namespace retrace::catalogue
