#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/policy_gradient.h>

#include <algorithm>
#include <cmath>

namespace retrace::catalogue {
namespace {

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
           .smooth = policy_is_smooth,
           .card = {.topic = 32,
                    .about = "What a better token gains is clipped at ρ = 1 ± ε, so that one batch "
                             "cannot carry the policy far; what a worse one loses never is.",
                    .range = "(-∞, ∞)",
                    .slope = "-A ρ; exactly 0 where a better token has already gained ε, or a "
                             "worse one lost it. Jumps there.",
                    .call = "losses::ppo_policy_loss(new_logps, old_logps, advantages, {}, {.clip "
                            "= $(clip)})",
                    .example = "ppo --algorithm ppo --clip 0.2",
                    .trap = "For A < 0 clipping stops at 1 - ε only: a bad token that became "
                            "likelier is punished without bound. The loss is minus the paper's "
                            "objective. The slope here is by log π.",
                    .scene = {.inputs = {number("new_logps"), number("old_logps"),
                                         number("advantages", 1)},
                              .moved = "new_logps",
                              .axis = probability_ratio(),
                              .shown = {{"L"}},
                              .knobs = {{"advantages",
                                         "advantage A",
                                         {-2.0, -1.0, -0.5, 0.5, 1.0, 2.0},
                                         1.0},
                                        {"clip", "ε", spaced(0.05, 0.5, 10), 0.2}}}}},
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
           .smooth = value_is_smooth,
           .card =
               {.topic = 32,
                .about = "A square, but one step may move a value by at most ε from what it was.",
                .range = "[0, ∞)",
                .slope = "v - R; exactly 0 where the step was clipped.",
                .call =
                    "losses::ppo_value_loss(values, old_values, returns, {}, {.clip = $(clip)})",
                .example = "ppo --algorithm ppo",
                .trap = "ε is in units of the value, not a ratio: with large rewards 0.2 clips "
                        "nearly everything.",
                .scene = {.inputs = {number("values"), number("old_values"), number("returns", 1)},
                          .moved = "values",
                          .axis = {.symbol = "v", .label = "value", .low = -1, .high = 2},
                          .shown = {{"L"}},
                          .knobs = {{"clip", "ε", {0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0}, 0.2},
                                    {"returns", "return R", {-1.0, 0.0, 1.0}, 1.0}}}}},
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
           .smooth = ppo_is_smooth,
           .card =
               {.topic = 32,
                .about =
                    "What one step of PPO makes small: policy loss, value loss, and less entropy.",
                .range = "(-∞, ∞)",
                .slope = "Those of its terms, times their weights.",
                .call = "losses::ppo_loss(new_logps, values, logits, batch, {.clip = $(clip), "
                        ".value_coef = $(value_coef), .entropy_coef = $(entropy_coef)})",
                .example = "ppo --algorithm ppo --entropy 0.01",
                .trap = "The entropy is subtracted: curiosity lowers the loss.",
                .scene = {.inputs = {number("new_logps"),
                                     number("old_logps"),
                                     number("advantages", 1),
                                     number("values", 0.5),
                                     number("old_values"),
                                     number("returns", 1),
                                     {"logits", {1, 3}, {0, 0.5, -1}}},
                          .moved = "new_logps",
                          .axis = probability_ratio(),
                          .shown = {{"L"}},
                          .knobs = {{"clip", "ε", {0.1, 0.2, 0.3, 0.5}, 0.2},
                                    {"value_coef", "value weight", {0.0, 0.1, 0.5}, 0.1},
                                    {"entropy_coef", "entropy weight", {0.0, 0.01, 0.1}, 0.01}}}}},
          {.name = "grpo_loss",
           .family = "policy gradient",
           .question = "Do responses better than their group become likelier?",
           .run = call_grpo,
           .samples = {grpo("dapo"), grpo("dapo", {{"eps_high", 0.28}, {"beta", 0.04}}),
                       grpo("grpo", {{"delta", 1.1}}), grpo("grpo", {{"level", "sequence"}}),
                       grpo("bnpo", {}, between(1, 1)),
                       grpo("dr_grpo", {{"max_len", std::int64_t{8}}, {"beta", 0.5}})},
           .smooth = grpo_is_smooth,
           .card = {.topic = 32,
                    .about = "PPO without a critic: the group's mean reward is the expectation. "
                             "Two responses, of three tokens and one; the first token moves.",
                    .range = "(-∞, ∞)",
                    .slope = "-A ρ over the divisor of the type, 0 where clipped; β (1 - r / π) "
                             "towards the reference.",
                    .call = "losses::grpo_loss(new_logps, old_logps, advantages, mask, ref_logps, "
                            "{.eps_high = $(eps_high), .beta = $(beta), .max_len = 4, .loss_type = "
                            "losses::GrpoLossType::$(loss_type)})",
                    .example = "ppo --algorithm grpo --loss-type dapo",
                    .trap = "The types differ in what they divide by: grpo by the tokens of each "
                            "response, so that long ones count less per token; dapo by all tokens; "
                            "dr_grpo by a constant. cispo holds its factor constant: finite "
                            "differences do not confirm it.",
                    .scene = {.inputs = {{"new_logps", {2, 3}, {0, 0, 0, 0, 0, 0}},
                                         {"old_logps", {2, 3}, {0, 0, 0, 0, 0, 0}},
                                         {"advantages", {2}, {1, 1}},
                                         {"mask", {2, 3}, {1, 1, 1, 1, 0, 0}, kBool},
                                         {"ref_logps", {2, 3}, {0, 0, 0, 0, 0, 0}}},
                              .moved = "new_logps",
                              .axis = probability_ratio(),
                              .shown = {{"L"}},
                              .knobs = {{"loss_type",
                                         "type",
                                         {"grpo", "bnpo", "dapo", "dr_grpo", "cispo"},
                                         "dapo"},
                                        {"advantages", "advantage A", {-1.0, 1.0}, 1.0},
                                        {"eps_high", "ε high", {0.2, 0.28, 0.5}, 0.2},
                                        {"beta", "β", {0.0, 0.04, 0.2}, 0.0}},
                              .arguments = {{"max_len", std::int64_t{4}}}}}},
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
               },
           .card =
               {.topic = 32,
                .about =
                    "One probability ratio for the whole response, instead of one for each token.",
                .range = "(-∞, ∞)",
                .slope = "-A ρ, exactly 0 where clipped.",
                .call = "losses::rloo_loss(new_logps, old_logps, advantages, {.clip_low = "
                        "$(clip_low), .clip_high = $(clip_high)})",
                .example = "ppo --algorithm rloo",
                .trap = "The log-probabilities are sums over the response, so ratios leave 1 fast.",
                .scene =
                    {.inputs = {number("new_logps"), number("old_logps"), number("advantages", 1)},
                     .moved = "new_logps",
                     .axis = probability_ratio(),
                     .shown = {{"L"}},
                     .knobs =
                         {{"advantages", "advantage A", {-2.0, -1.0, -0.5, 0.5, 1.0, 2.0}, 1.0},
                          {"clip_low", "ε low", {0.1, 0.2, 0.5}, 0.2},
                          {"clip_high", "ε high", {0.1, 0.2, 0.5}, 0.2}}}}},
      });
}

}  // namespace retrace::catalogue
