#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
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

Axis log_ratio() {
  return {.symbol = "h",
          .label = "log-ratio: policy less reference",
          .low = -20,
          .high = 20,
          .points = 41};
}
Knob of_beta() { return {"beta", "β", {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0}, 0.1}; }

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
                                       pairs({4}, {}, {{"center_coefficient", 0.1}})}),
           .card = {.topic = 31,
                    .about = "The chance of that is σ(difference of scores), after Bradley and "
                             "Terry. A model of scores learns from who was preferred.",
                    .range = "(0, ∞)",
                    .slope = "-σ(m - (w - l)): vanishes once the order is clear.",
                    .call = "losses::reward_loss(chosen, rejected, {.margin = margin, "
                            ".center_rewards_coefficient = $(center_coefficient)})",
                    .example = "reward_model",
                    .trap = "Only differences are learnt: scores of two models cannot be compared. "
                            "κ keeps them near 0. A tie costs ln 2 and counts as wrong.",
                    .scene = {.inputs = {number("chosen"), number("rejected"), number("margin")},
                              .moved = "chosen",
                              .axis = {.symbol = "w",
                                       .label = "score of the chosen less that of the rejected"},
                              .shown = {{"L"}},
                              .knobs = {{"margin", "margin", spaced(0, 3, 7), 0.0},
                                        {"center_coefficient", "κ", {0.0, 0.01, 0.1}, 0.0}}}}},
          {.name = "dpo_loss",
           .family = "preference",
           .question = "Does the policy prefer the chosen response more than its reference does?",
           .run = call_dpo,
           .samples = of_dpo(),
           .smooth = margin_is_smooth,
           .detached = {"chosen_rewards", "rejected_rewards", "accuracy", "margin"},
           .card =
               {.topic = 33,
                .about = "Preferences without a reward model: β times the log-ratio of policy and "
                         "reference is the reward. The rejected response stands still.",
                .range = "by type",
                .slope = "Of sigmoid: -β σ(-βh), largest where the order is wrong. ipo aims at h = "
                         "1 / (2β) and turns back beyond; hinge stops at βh = 1.",
                .call = "losses::dpo_loss(policy_chosen, policy_rejected, ref_chosen, "
                        "ref_rejected, {.loss_type = losses::DpoLossType::$(loss_type), .beta = "
                        "$(beta), .label_smoothing = $(label_smoothing)})",
                .example = "dpo --loss sigmoid",
                .trap = "ipo is the paper's; TRL's ipo divides by lengths and is called ipo_mean "
                        "here (responses of four tokens). Newer TRL ignores ε for sigmoid. Only "
                        "the difference is trained: both log-probabilities may fall.",
                .scene = {.inputs = {number("policy_chosen"), number("policy_rejected"),
                                     number("ref_chosen"), number("ref_rejected"),
                                     classes("len_chosen", {4}), classes("len_rejected", {4})},
                          .moved = "policy_chosen",
                          .axis = log_ratio(),
                          .shown = {{"L", 0, "losses"}},
                          .knobs = {{"loss_type",
                                     "type",
                                     {"sigmoid", "robust", "hinge", "ipo", "ipo_mean",
                                      "sigmoid_norm", "exo_pair", "nca_pair", "bco_pair",
                                      "sppo_hard", "apo_zero", "apo_down", "discopop"},
                                     "sigmoid"},
                                    of_beta(),
                                    {"label_smoothing", "ε", {0.0, 0.1, 0.2}, 0.0}}}}},
          {.name = "kto_loss",
           .family = "preference",
           .question = "Is a good response likelier than its reference says, and a bad one less?",
           .run = call_kto,
           .samples = {kto(indices(2)), kto(truths(), {{"beta", 0.5}, {"desirable_weight", 1.33}}),
                       kto(indices(2), {{"undesirable_weight", 0.8}})},
           .card = {.topic = 34,
                    .about = "Needs no pairs: a thumb up or down for each response. Losses hurt "
                             "more than gains please, after Kahneman and Tversky.",
                    .range = "(0, weight)",
                    .slope = "-β σ σ̄ of a good one: vanishes on both sides, where it is far from "
                             "the reference point z.",
                    .call = "losses::kto_loss(policy, ref, label, kl, {.beta = $(beta)})",
                    .example = "dpo --loss kto",
                    .trap = "z is estimated from mismatched pairs of the same batch, without "
                            "gradient: a batch of one has none.",
                    .scene = {.inputs = {number("policy"),
                                         number("ref"),
                                         {"label", {1}, {1}, kInt64},
                                         {"kl", {}, {0}}},
                              .moved = "policy",
                              .axis = log_ratio(),
                              .shown = {{"L", 0, "losses"}},
                              .knobs = {{"label",
                                         "label",
                                         {std::int64_t{0}, std::int64_t{1}},
                                         std::int64_t{1}},
                                        of_beta(),
                                        {"kl", "z", {0.0, 1.0, 2.0, 5.0}, 0.0}}}}},
          {.name = "kto_kl",
           .family = "preference",
           .question = "How far has the policy moved from its reference on the whole?",
           .run = [](const Call& c) -> Results {
             return losses::kto_kl(c["policy_kl"], c["ref_kl"]);
           },
           .samples = {{{constant("policy_kl", {5}), constant("ref_kl", {5})}}},
           .differentiable = false,
           .card = {.topic = 34,
                    .about = "The reference point z of kto_loss, from responses to other prompts. "
                             "Of three log-ratios the first moves.",
                    .range = "[0, ∞)",
                    .slope = "None: z counts as a constant. The value has a corner at 0.",
                    .call = "losses::kto_kl(policy_kl, ref_kl)",
                    .example = "dpo --loss kto",
                    .formula = "max(0, mean(policy - reference))",
                    .scene = {.inputs = {{"policy_kl", {3}, {0, 0.5, -1}},
                                         {"ref_kl", {3}, {0, 0, 0}}},
                              .moved = "policy_kl",
                              .axis = {.symbol = "h₁", .label = "first of three log-ratios"},
                              .shown = {{"z"}}}}},
          {.name = "orpo_loss",
           .family = "preference",
           .question = "How do the odds of the chosen response compare with those of the other?",
           .run = call_orpo,
           .samples = {pairs_and_nll(log_probabilities()),
                       pairs_and_nll(between(-3, -1), {{"beta", 1.0}}),
                       pairs_and_nll(between(-0.6, -0.05), {{"beta", 0.5}})},
           .card =
               {.topic = 34,
                .about = "Added to the loss of fine-tuning, in one stage and without a reference. "
                         "The rejected response has ¼ per token.",
                .range = "(0, ∞)",
                .slope = "-β σ(-log odds ratio) / (1 - p): never vanishes at p = 1, where the odds "
                         "are infinite.",
                .call = "losses::orpo_loss(chosen, rejected, nll, {.beta = $(beta)})",
                .example = "dpo --loss orpo",
                .trap = "The log-probabilities are means per token, not sums. Here the rejected "
                        "one has ¼, and the likelihood term is left out.",
                .scene = {.inputs = {{"chosen", {1}, {-1}},
                                     {"rejected", {1}, {-1.3862943611198906}},
                                     {"nll", {}, {0}}},
                          .moved = "chosen",
                          .axis = {.symbol = "p",
                                   .label = "probability per token of the chosen response",
                                   .low = 0.02,
                                   .high = 0.98,
                                   .points = 49,
                                   .place = logarithm,
                                   .by = "log p",
                                   .edges = {0, 1}},
                          .shown = {{"L"}},
                          .knobs = {{"beta", "β", spaced(0.1, 1, 10), 1.0}}}}},
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
                                       pairs({4}, {}, {{"label_smoothing", 0.1}})}),
           .card =
               {.topic = 34,
                .about = "DPO without a reference, and with means instead of sums, so that "
                         "long responses have no advantage.",
                .range = "(0, ∞)",
                .slope = "-β σ(γ - βΔ): vanishes once the margin is passed.",
                .call =
                    "losses::simpo_loss(chosen, rejected, {.beta = $(beta), .gamma = $(gamma), "
                    ".label_smoothing = $(label_smoothing)})",
                .example = "dpo --loss simpo",
                .trap =
                    "Its β is about 2, not DPO's 0.1: means per token are small. TRL writes "
                    "the margin as γ / β inside.",
                .scene = {.inputs = {number("chosen"), number("rejected")},
                          .moved = "chosen",
                          .axis = {.symbol = "Δ",
                                   .label = "difference of mean log-probabilities",
                                   .low = -4,
                                   .high =
                                       4},
                          .shown = {{"L"}},
                          .knobs = {{"beta", "β", {0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0}, 2.0},
                                    {"gamma", "γ", {0.0, 0.5, 1.0, 1.6}, 1.0},
                                    {"label_smoothing", "ε", {0.0, 0.1}, 0.0}}}}},
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
                       pairs_and_nll({}, {{"nll_coef", 0.5}, {"label_smoothing", 0.1}})},
           .card = {.topic = 34,
                    .about = "DPO without its reference, plus the likelihood of the chosen "
                             "response, so that it does not fall.",
                    .range = "(0, ∞)",
                    .slope = "-β σ(-βΔ), and α to the likelihood.",
                    .call = "losses::cpo_loss(chosen, rejected, nll, {.beta = $(beta), .nll_coef = "
                            "$(nll_coef)})",
                    .example = "dpo --loss cpo",
                    .trap = "Sums of log-probabilities here, means in SimPO.",
                    .scene = {.inputs = {number("chosen"), number("rejected"), {"nll", {}, {1}}},
                              .moved = "chosen",
                              .axis = {.symbol = "Δ",
                                       .label = "difference of summed log-probabilities",
                                       .low = -20,
                                       .high = 20,
                                       .points = 41},
                              .shown = {{"L"}},
                              .knobs = {of_beta(), {"nll_coef", "α", {0.0, 0.5, 1.0}, 1.0}}}}},
      });
}

}  // namespace retrace::catalogue
