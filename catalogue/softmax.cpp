#include <retrace/autograd/ops/softmax.h>
#include <retrace/catalogue/samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/tensor/random.h>

#include <cmath>

namespace retrace::catalogue {
namespace {

std::vector<Sample> over_a_dim() {
  return {shaped({3, 4}, {{"dim", -1}}),
          shaped({3, 4}, {{"dim", 0}}),
          shaped({2, 3, 4}, {{"dim", 1}}),
          shaped({2, 1}, {{"dim", 1}}),
          shaped({5}, {{"dim", 0}}, between(-30, 30)),
          shaped({}, {{"dim", 0}}),
          shaped({2, 0, 3}, {{"dim", 1}}),
          shaped({0, 3}, {{"dim", 1}})};
}

// Masks that keep something of every row.
std::vector<Sample> masked() {
  const auto of = [](const Shape& x, const Shape& mask, std::int64_t dim) {
    return Sample{{{"x", x}, {"mask", mask, truths()}}, {{"dim", dim}}};
  };
  return {of({3, 4}, {3, 4}, -1), of({3, 4}, {3, 4}, 0), of({2, 3, 4}, {3, 4}, 2), of({4}, {4}, 0),
          of({0, 3}, {0, 3}, 1)};
}

bool keeps_something(const Call& c) {
  const Tensor p = masked_softmax(c["x"], c["mask"], c.integer("dim"));
  return !std::isnan(p.sum().item<double>());
}

std::vector<Sample> with_noise() {
  const auto of = [](const Shape& sizes, double tau, std::int64_t dim) {
    return Sample{{{"x", sizes}, {"g", sizes, between(-1, 3), false}},
                  {{"tau", tau}, {"dim", dim}}};
  };
  return {of({3, 4}, 1, -1), of({2, 3, 4}, 0.5, 1), of({}, 1, 0), of({2, 0, 3}, 1, 1)};
}

Results call_gumbel_softmax(const Call& c) {
  const GumbelSoftmaxOptions options = {
      .tau = c.number("tau", 1), .hard = c.flag("hard", false), .dim = c.integer("dim", -1)};
  for (const auto& [name, tensor] : c.tensors()) {
    if (name == "g") return gumbel_softmax(c["x"], tensor, options);
  }
  Generator generator(7);  // the same noise at every call
  return gumbel_softmax(c["x"], options, &generator);
}

}  // namespace

void add_softmax(std::vector<Row>& rows) {
  const auto tempered = [](double temperature) {
    std::vector<Sample> samples = over_a_dim();
    for (Sample& sample : samples) sample.arguments.emplace_back("temperature", temperature);
    return samples;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "softmax",
           .family = "softmax",
           .question = "Which probabilities have these logits?",
           .run = [](const Call& c) -> Results { return softmax(c["x"], c.integer("dim")); },
           .samples = over_a_dim(),
           .card = {.topic = 10,
                    .about =
                        "Turns scores into probabilities that sum to 1. Only differences count: "
                        "adding a constant to all changes nothing. Raising one lowers every other.",
                    .range = "(0, 1), sum 1",
                    .slope = "p₁ (1 - p₁) of itself, -p₁ p₂ of the others: vanishes when one "
                             "probability is near 1.",
                    .call = "softmax(x, 0)",
                    .example = "mlp_classifier",
                    .trap = "A loss on top of a softmax that applies a softmax itself "
                            "(cross_entropy) still trains, badly: give it the logits.",
                    .scene = along_first_logit({{"p₁", 0}, {"p₂", 1}, {"p₃", 2}})}},
          {.name = "log_softmax",
           .family = "softmax",
           .question = "Which log-probabilities have these logits?",
           .run = [](const Call& c) -> Results { return log_softmax(c["x"], c.integer("dim")); },
           .samples = over_a_dim(),
           .card = {.topic = 10,
                    .about = "Exact where the probabilities themselves would round to 0. Half of "
                             "cross_entropy; nll_loss is the other half.",
                    .range = "(-∞, 0)",
                    .slope = "1 - p₁ of itself, -p₁ of the others: only vanishes where the "
                             "probability is near 1.",
                    .call = "log_softmax(x, 0)",
                    .example = "multi_label --head softmax",
                    .trap = "log(softmax(x)) is -∞ where softmax rounds to 0; log_softmax is not.",
                    .scene = along_first_logit({{"log p₁", 0}, {"log p₂", 1}, {"log p₃", 2}})}},
          {.name = "softmin",
           .family = "softmax",
           .question = "Which probabilities have these costs?",
           .run = [](const Call& c) -> Results { return softmin(c["x"], c.integer("dim")); },
           .samples = over_a_dim(),
           .card = {.topic = 10,
                    .about = "A softmax of costs instead of scores: the smallest gets the largest "
                             "probability.",
                    .range = "(0, 1), sum 1",
                    .slope = "That of softmax, negated.",
                    .call = "softmin(x, 0)",
                    .scene = along_first_logit({{"p₁", 0}, {"p₂", 1}, {"p₃", 2}})}},
          {.name = "softmax_temperature",
           .family = "softmax",
           .question = "Which probabilities have these logits at temperature T?",
           .run = [](const Call& c) -> Results {
             return softmax_temperature(c["x"], c.integer("dim"), c.number("temperature", 1));
           },
           .samples = both(tempered(0.5), tempered(3)),
           .card = {.topic = 10,
                    .about = "A softmax of scores divided by a temperature: cold, it picks the "
                             "largest; hot, all become alike. So language models are sampled, and "
                             "teachers are softened.",
                    .range = "(0, 1), sum 1",
                    .slope = "1 / T times that of softmax: steep and narrow when cold.",
                    .call = "softmax_temperature(x, 0, $(temperature))",
                    .example = "tiny_lm --temperature 0.8",
                    .scene = along_first_logit({{"p₁", 0}, {"p₂", 1}, {"p₃", 2}},
                                               {{"temperature",
                                                 "T",
                                                 {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5,
                                                  2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0},
                                                 1.0}})}},
          {.name = "masked_softmax",
           .family = "softmax",
           .question = "Which probabilities have the logits that a mask keeps?",
           .run = [](const Call& c) -> Results {
             return masked_softmax(c["x"], c["mask"], c.integer("dim"));
           },
           .samples = masked(),
           .smooth = keeps_something,
           .card = {.topic = 10,
                    .about = "What is dropped has probability 0. Attention uses it so that no "
                             "token sees the future.",
                    .range = "[0, 1), sum 1 of what is kept",
                    .slope = "As softmax; exactly 0 to what the mask drops.",
                    .call = "masked_softmax(x, mask, 0)",
                    .scene = {.inputs = {{"x", {3}, {0, 1, -1}}, {"mask", {3}, {1, 1, 0}, kBool}},
                              .moved = "x",
                              .axis = along_first_logit({}).axis,
                              .shown = {{"p₁", 0}, {"p₂", 1}, {"p₃", 2}},
                              .arguments = {{"dim", std::int64_t{0}}}}}},
          {.name = "gumbel_softmax",
           .family = "softmax",
           .question = "What is a random choice by these logits, with a gradient?",
           .run = call_gumbel_softmax,
           .samples = both(with_noise(), {shaped({3, 4}), shaped({2, 3, 4}, {{"dim", 1}})}),
           .card =
               {.topic = 10,
                .about = "A random choice that a gradient can pass: noise is added to the scores, "
                         "and the softmax of the sum is nearly one-hot when τ is small.",
                .range = "(0, 1), sum 1",
                .slope = "1 / τ times that of softmax.",
                .call = "gumbel_softmax(x, noise, {.tau = $(tau), .hard = $(hard), .dim = 0})",
                .trap = "hard gives exact zeros and ones forward, and the gradient of the soft "
                        "values backward: so the gradient is not that of the curve above, and "
                        "finite differences cannot confirm it. Here the noise stands still.",
                .scene = {.inputs = {{"x", {3}, {0, 1, -1}}, {"g", {3}, {0.2, -0.4, 1.1}}},
                          .moved = "x",
                          .axis = along_first_logit({}).axis,
                          .shown = {{"y₁", 0}, {"y₂", 1}, {"y₃", 2}},
                          .knobs = {{"tau",
                                     "τ",
                                     {0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0},
                                     1.0},
                                    {"hard", "hard", {false, true}, false}},
                          .arguments = {{"dim", std::int64_t{0}}}}}},
          {.name = "entropy_from_logits",
           .family = "softmax",
           .question = "How uncertain is the choice by these logits, in nats?",
           .run = [](const Call& c) -> Results {
             return entropy_from_logits(c["x"], c.integer("dim", -1), c.flag("keepdim", false));
           },
           .samples = both(over_a_dim(), {shaped({2, 3, 4}, {{"dim", 1}, {"keepdim", true}})}),
           .card = {.topic = 10,
                    .about = "How undecided a choice is, in nats: 0 when certain, ln 3 when three "
                             "are equally likely. Added to a reward, it keeps a policy curious.",
                    .range = "[0, ln n]",
                    .slope = "-p (ln p + H): 0 at the maximum and at certainty.",
                    .call = "entropy_from_logits(x, 0)",
                    .example = "ppo --entropy 0.01",
                    .scene = along_first_logit({{"H"}})}},
      });
}

}  // namespace retrace::catalogue
