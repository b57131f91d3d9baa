#include <retrace/catalogue/loss_samples.h>
#include <retrace/losses/preference.h>

namespace retrace::catalogue {
namespace {

Sample responses(const std::string& loss_type, Arguments arguments = {},
                 const std::vector<Input>& more = {}) {
  Sample sample{{{"policy_chosen", {4}},
                 {"policy_rejected", {4}},
                 constant("ref_chosen", {4}),
                 constant("ref_rejected", {4})},
                std::move(arguments)};
  sample.arguments.emplace_back("loss_type", loss_type);
  sample.inputs.insert(sample.inputs.end(), more.begin(), more.end());
  return sample;
}

std::vector<Sample> of_dpo() {
  const std::vector<Input> lengths = {constant("len_chosen", {4}, {1, 9, {}, kInt64}),
                                      constant("len_rejected", {4}, {1, 9, {}, kInt64})};
  std::vector<Sample> samples = {responses("sigmoid"),
                                 responses("sigmoid", {{"beta", 0.5}, {"label_smoothing", 0.1}}),
                                 responses("robust", {{"label_smoothing", 0.2}}),
                                 responses("ipo_mean", {{"beta", 0.5}}, lengths),
                                 responses("sigmoid_norm", {{"beta", 2.0}}, lengths),
                                 responses("exo_pair", {{"label_smoothing", 0.01}})};
  for (const char* type :
       {"hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down", "discopop"})
    samples.push_back(responses(type, {{"beta", 0.5}}));
  return samples;
}

Results call_dpo(const Call& c) {
  const losses::DpoResult result =
      losses::dpo_loss(c["policy_chosen"], c["policy_rejected"], c["ref_chosen"], c["ref_rejected"],
                       {.loss_type = losses::dpo_loss_type_from_string(c.text("loss_type")),
                        .beta = c.number("beta", 0.1),
                        .label_smoothing = c.number("label_smoothing", 0),
                        .reference_free = c.flag("reference_free", false),
                        .chosen_lengths = c.optional("len_chosen"),
                        .rejected_lengths = c.optional("len_rejected")});
  return Results({{"losses", result.losses},
                  {"loss", result.loss},
                  {"chosen_rewards", result.chosen_rewards},
                  {"rejected_rewards", result.rejected_rewards},
                  {"accuracy", result.accuracy},
                  {"margin", result.margin}});
}

// The hinge bends at β h = 1, and DPO's accuracy jumps at 0.
bool margin_is_smooth(const Call& c) {
  const auto w = numbers_of(c, "policy_chosen"), l = numbers_of(c, "policy_rejected"),
             rw = numbers_of(c, "ref_chosen"), rl = numbers_of(c, "ref_rejected");
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double h = w[i] - rw[i] - l[i] + rl[i];
    if (!far(h, 0) || !far(c.number("beta", 0.1) * h, 1)) return false;
  }
  return true;
}

Results call_kto(const Call& c) {
  const losses::KtoResult result =
      losses::kto_loss(c["policy"], c["ref"], c["label"], c["kl"],
                       {.beta = c.number("beta", 0.1),
                        .desirable_weight = c.number("desirable_weight", 1),
                        .undesirable_weight = c.number("undesirable_weight", 1)});
  return Results({{"losses", result.losses}, {"loss", result.loss}});
}

Results call_orpo(const Call& c) {
  const losses::OrpoResult result =
      losses::orpo_loss(c["chosen"], c["rejected"], c["nll"], {.beta = c.number("beta", 0.1)});
  return Results({{"loss", result.loss}, {"log_odds", result.log_odds}});
}

Sample pairs(const Shape& sizes, const Domain& domain, Arguments arguments = {}) {
  return {{{"chosen", sizes, domain}, {"rejected", sizes, domain}}, std::move(arguments)};
}

Sample pairs_and_nll(const Domain& domain, Arguments arguments = {}) {
  Sample sample = pairs({4}, domain, std::move(arguments));
  sample.inputs.push_back({"nll", {}, positive()});
  return sample;
}

Sample with_margin(Sample sample) {
  sample.inputs.push_back(constant("margin", sample.inputs[0].sizes, positive()));
  return sample;
}

Sample kto(const Domain& label, Arguments arguments = {}) {
  return {{{"policy", {5}},
           constant("ref", {5}),
           constant("label", {5}, label),
           constant("kl", {}, positive())},
          std::move(arguments)};
}

}  // namespace

void add_preference(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "reward_loss",
           .family = "preference",
           .question = "Does the reward model score the chosen response above the rejected one?",
           .run = [](const Call& c) -> Results {
             return losses::reward_loss(
                 c["chosen"], c["rejected"],
                 {.margin = c.optional("margin"),
                  .center_rewards_coefficient = c.number("center_coefficient", 0),
                  .reduction = reduction_of("reward_loss", c)});
           },
           .samples = with_reductions({pairs({4}, {}), with_margin(pairs({2, 3}, {})),
                                       pairs({4}, {}, {{"center_coefficient", 0.1}})})},
          {.name = "dpo_loss",
           .family = "preference",
           .question = "Does the policy prefer the chosen response more than its reference does?",
           .run = call_dpo,
           .samples = of_dpo(),
           .smooth = margin_is_smooth,
           .detached = {"chosen_rewards", "rejected_rewards", "accuracy", "margin"}},
          {.name = "kto_loss",
           .family = "preference",
           .question = "Is a good response likelier than its reference says, and a bad one less?",
           .run = call_kto,
           .samples = {kto(indices(2)), kto(truths(), {{"beta", 0.5}, {"desirable_weight", 1.33}}),
                       kto(indices(2), {{"undesirable_weight", 0.8}})}},
          {.name = "kto_kl",
           .family = "preference",
           .question = "How far has the policy moved from its reference on the whole?",
           .run = [](const Call& c) -> Results {
             return losses::kto_kl(c["policy_kl"], c["ref_kl"]);
           },
           .samples = {{{constant("policy_kl", {5}), constant("ref_kl", {5})}}},
           .differentiable = false},
          {.name = "orpo_loss",
           .family = "preference",
           .question = "How do the odds of the chosen response compare with those of the other?",
           .run = call_orpo,
           .samples = {pairs_and_nll(log_probabilities()),
                       pairs_and_nll(between(-3, -1), {{"beta", 1.0}}),
                       pairs_and_nll(between(-0.6, -0.05), {{"beta", 0.5}})}},
          {.name = "simpo_loss",
           .family = "preference",
           .question = "Is the chosen response likelier per token, by a margin?",
           .run = [](const Call& c) -> Results {
             return losses::simpo_loss(c["chosen"], c["rejected"],
                                       {.beta = c.number("beta", 2),
                                        .gamma = c.number("gamma", 1),
                                        .label_smoothing = c.number("label_smoothing", 0),
                                        .reduction = reduction_of("simpo_loss", c)});
           },
           .samples = with_reductions({pairs({4}, {}), pairs({2, 3}, {}, {{"gamma", 0.5}}),
                                       pairs({4}, {}, {{"label_smoothing", 0.1}})})},
          {.name = "cpo_loss",
           .family = "preference",
           .question = "Is the chosen response likelier than the other, and likely in itself?",
           .run = [](const Call& c) -> Results {
             return losses::cpo_loss(c["chosen"], c["rejected"], c["nll"],
                                     {.beta = c.number("beta", 0.1),
                                      .nll_coef = c.number("nll_coef", 1),
                                      .label_smoothing = c.number("label_smoothing", 0)});
           },
           .samples = {pairs_and_nll({}),
                       pairs_and_nll({}, {{"nll_coef", 0.5}, {"label_smoothing", 0.1}})}},
      });
}

}  // namespace retrace::catalogue
