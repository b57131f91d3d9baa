#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/binary_classification.h>

namespace retrace::catalogue {
namespace {

const Input kSigns = {"target", {}, labels(-1, 1), false};
const Input kOdds = {"target", {}, between(0, 1), false};

// Of a batch of three with four labels, with weights of these shapes.
std::vector<Sample> weighted(const Domain& input,
                             const std::vector<std::pair<std::string, Shape>>& weights) {
  Sample sample{{{"input", {3, 4}, input}, {"target", {3, 4}, kOdds.domain, false}}};
  for (const auto& [name, sizes] : weights)
    sample.inputs.push_back({name, sizes, positive(), false});
  return with_reductions({sample});
}

bool off_the_margin(const Call& c) {
  const Tensor signed_score = c["input"] * c["target"];
  return signed_score.numel() == 0 || (1 - signed_score).abs().min().item<double>() > 0.01;
}

}  // namespace

void add_binary_classification(std::vector<Row>& rows) {
  const Domain probability = between(0.05, 0.95);
  const Arguments sharp = {{"gamma", 1.5}, {"alpha", 0.6}};
  const Sample pair = {{{"input1", {5}}, {"input2", {5}}, {"target", {5}, labels(-1, 1), false}},
                       {{"margin", 0.5}}};
  const Sample square = {
      {{"input1", {2, 3}}, {"input2", {2, 3}}, {"target", {2, 3}, labels(-1, 1), false}}};
  rows.insert(
      rows.end(),
      {
          {.name = "bce_loss",
           .family = "binary classification",
           .question = "How surprised is a model that gives the probability of yes?",
           .run = [](const Call& c) -> Results {
             return losses::bce_loss(
                 c["input"], c["target"],
                 {.weight = c.optional("weight"), .reduction = reduction_of("bce_loss", c)});
           },
           .samples = both(of_pairs(probability, kOdds), weighted(probability, {{"weight", {4}}})),
           .card = {.topic = 17,
                    .about =
                        "-log of the probability that it gave to what happened. Being sure and "
                        "wrong costs most.",
                    .range = "[0, 100]",
                    .slope = "(p - y) / (p (1 - p)): huge where the model is sure and wrong.",
                    .call = "losses::bce_loss(input, target)",
                    .example = "multi_label --head softmax",
                    .trap =
                        "It takes probabilities. Fed by a sigmoid it loses its gradient where that "
                        "saturates: use bce_with_logits. The logarithm is cut at -100, as in "
                        "PyTorch; Keras cuts the probability at 1e-7 instead.",
                    .scene = {.inputs = {number("input", 0.5), number("target", 1)},
                              .moved = "input",
                              .axis = {.symbol = "p",
                                       .label = "predicted probability of yes",
                                       .low = 0,
                                       .high = 1,
                                       .points = 101,
                                       .edges = {-0.1, 0, 1, 1.1, std::nan("")}},
                              .shown = {{"L"}},
                              .knobs = {{"target", "target y", spaced(0, 1, 11), 1.0}}}}},
          {.name = "bce_with_logits",
           .family = "binary classification",
           .question = "How surprised is it, if it gives the log-odds of yes?",
           .run = [](const Call& c) -> Results {
             return losses::bce_with_logits(c["input"], c["target"],
                                            {.weight = c.optional("weight"),
                                             .reduction = reduction_of("bce_with_logits", c),
                                             .pos_weight = c.optional("pos_weight")});
           },
           .samples = both(of_pairs({}, kOdds),
                           both(weighted({}, {{"pos_weight", {4}}}),
                                weighted({}, {{"weight", {3, 1}}, {"pos_weight", {}}}))),
           .card =
               {.topic = 17,
                .about = "The same, from log-odds: exact for any x. A target between 0 and 1 is a "
                         "probability; pos_weight makes each yes count more.",
                .range = "[0, ∞)",
                .slope = "σ(x) - y: the mistake itself, vanishing only where the model is right.",
                .call = "losses::bce_with_logits(input, target, {.pos_weight = pos_weight})",
                .example = "binary_classifier --loss bce",
                .trap = "No sigmoid before it. pos_weight is a factor on the yes term, not a class "
                        "frequency; a mean still divides by the number of elements.",
                .scene = {.inputs = {number("input"), number("target", 1), number("pos_weight", 1)},
                          .moved = "input",
                          .axis = along_score(1).axis,
                          .shown = {{"L"}},
                          .knobs = {{"target", "target y", {0.0, 0.25, 0.5, 0.75, 1.0}, 1.0},
                                    {"pos_weight",
                                     "pos_weight",
                                     {0.25, 0.5, 1.0, 2.0, 5.0, 10.0},
                                     1.0}}}}},
          {.name = "focal_loss_binary",
           .family = "binary classification",
           .question = "How surprised is it, if what it knows already hardly counts?",
           .run = [](const Call& c) -> Results {
             // No alpha means no balance here; the function's own default is 0.25.
             return losses::focal_loss_binary(c["input"], c["target"],
                                              {.alpha = c.number("alpha", -1),
                                               .gamma = c.number("gamma", 2),
                                               .reduction = reduction_of("focal_loss_binary", c)});
           },
           .samples = both(of_pairs({}, kOdds), of_pairs({}, kOdds, sharp)),
           .card =
               {.topic = 19,
                .about = "Cross-entropy that turns down what the model knows already: with γ = 2 a "
                         "sample at p = 0.9 counts a hundredth. For detection, where nearly "
                         "everything is easy.",
                .range = "[0, ∞)",
                .slope = "Vanishes sooner than that of bce on the right side; γ = 0 is bce, "
                         "weighed by α.",
                .call = "losses::focal_loss_binary(input, target, {.alpha = $(alpha), .gamma = "
                        "$(gamma)})",
                .example = "binary_classifier --loss focal",
                .trap = "α weighs yes with α and no with 1 - α; -1 means no weights. torchvision's "
                        "default is 0.25, which makes the rare class count less: γ has already "
                        "turned the others down.",
                .scene = along_score(1, {{"gamma", "γ", spaced(0, 5, 11), 2.0},
                                         {"alpha", "α", {-1.0, 0.25, 0.5, 0.75}, 0.25},
                                         {"target", "target y", {0.0, 1.0}, 1.0}})}},
          {.name = "hinge_loss",
           .family = "binary classification",
           .question = "How far inside the margin is the score?",
           .run = [](const Call& c) -> Results {
             return losses::hinge_loss(c["input"], c["target"],
                                       {.margin = c.number("margin", 1),
                                        .squared = c.flag("squared", false),
                                        .reduction = reduction_of("hinge_loss", c)});
           },
           .samples = both(of_pairs({}, kSigns), of_pairs({}, kSigns, {{"squared", true}})),
           .smooth = off_the_margin,
           .card =
               {.topic = 20,
                .about = "Nothing is learnt from what is right by the margin. The loss of support "
                         "vector machines.",
                .range = "[0, ∞)",
                .slope = "-y inside the margin, 0 outside; jumps at the margin, where the engine "
                         "takes 0. Squared, it does not jump.",
                .call = "losses::hinge_loss(input, target, {.margin = $(margin), .squared = "
                        "$(squared)})",
                .example = "binary_classifier --loss hinge",
                .trap = "Targets are -1 and 1, not 0 and 1 (which Keras would accept). Its scores "
                        "are no log-odds: a sigmoid of them is no probability.",
                .scene = along_score(1, {{"margin", "margin", spaced(0, 2, 9), 1.0},
                                         {"squared", "squared", {false, true}, false},
                                         {"target", "target y", {-1.0, 1.0}, 1.0}})}},
          {.name = "soft_margin_loss",
           .family = "binary classification",
           .question = "How likely does the score make the wrong sign?",
           .run = [](const Call& c) -> Results {
             return losses::soft_margin_loss(c["input"], c["target"],
                                             {.reduction = reduction_of("soft_margin_loss", c)});
           },
           .samples = of_pairs({}, kSigns),
           .card =
               {.topic = 17,
                .about =
                    "The logistic loss for targets -1 and 1: bce_with_logits in other clothes.",
                .range = "(0, ∞)",
                .slope = "-y σ(-y x): vanishes where the score is right.",
                .call = "losses::soft_margin_loss(input, target)",
                .scene = along_score(1, {{"target", "target y", {-1.0, 1.0}, 1.0}})}},
          {.name = "hinge_embedding_loss",
           .family = "binary classification",
           .question = "Are alike things close, and others a margin apart?",
           .run = [](const Call& c) -> Results {
             return losses::hinge_embedding_loss(
                 c["input"], c["target"],
                 {.margin = c.number("margin", 1),
                  .reduction = reduction_of("hinge_embedding_loss", c)});
           },
           .samples = of_pairs(between(-2, 2, {1}), kSigns),
           .card = {.topic = 24,
                    .about = "Of a distance: alike things are pulled together, others are pushed "
                             "apart until the margin.",
                    .range = "[0, ∞)",
                    .slope = "1 of alike pairs, however close; -1 of others within the margin, 0 "
                             "beyond; jumps there.",
                    .call = "losses::hinge_embedding_loss(input, target, {.margin = $(margin)})",
                    .trap = "The input is a distance, not a pair of vectors.",
                    .scene = {.inputs = {number("input"), number("target", -1)},
                              .moved = "input",
                              .axis = {.symbol = "D", .label = "distance", .low = 0, .high = 3},
                              .shown = {{"L"}},
                              .knobs = {{"margin", "margin", spaced(0.25, 2.5, 10), 1.0},
                                        {"target", "target y", {-1.0, 1.0}, -1.0}}}}},
          {.name = "multilabel_soft_margin_loss",
           .family = "binary classification",
           .question = "How surprised is it by a row's labels, on average?",
           .run = [](const Call& c) -> Results {
             return losses::multilabel_soft_margin_loss(
                 c["input"], c["target"],
                 {.weight = c.optional("weight"),
                  .reduction = reduction_of("multilabel_soft_margin_loss", c)});
           },
           .samples = both(weighted({}, {}), weighted({}, {{"weight", {4}}})),
           .card = {.topic = 37,
                    .about = "A yes or no for each label: bce_with_logits, averaged over the "
                             "labels of a row.",
                    .range = "(0, ∞)",
                    .slope = "(σ(x) - y) / labels: each label learns by itself.",
                    .call = "losses::multilabel_soft_margin_loss(input, target)",
                    .trap = "Several labels may be right at once, so no softmax: raising one logit "
                            "leaves the others' probabilities alone.",
                    .scene = {.inputs = {{"input", {1, 3}, {0, 1, -1}},
                                         {"target", {1, 3}, {1, 0, 1}}},
                              .moved = "input",
                              .axis = {.symbol = "x₁",
                                       .label = "logit of the first of three labels"},
                              .shown = {{"L"}},
                              .watched = {{"x₂", 1}, {"x₃", 2}}}}},
          {.name = "margin_ranking_loss",
           .family = "binary classification",
           .question = "Does the one that should rank higher score higher, by a margin?",
           .run = [](const Call& c) -> Results {
             return losses::margin_ranking_loss(
                 c["input1"], c["input2"], c["target"],
                 {.margin = c.number("margin", 0),
                  .reduction = reduction_of("margin_ranking_loss", c)});
           },
           .samples = with_reductions({pair, square}),
           .card =
               {.topic = 23,
                .about = "Two scores and which of them is to be higher: for search results and "
                         "other orders.",
                .range = "[0, ∞)",
                .slope = "-y within the margin, 0 beyond; jumps there.",
                .call =
                    "losses::margin_ranking_loss(input1, input2, target, {.margin = $(margin)})",
                .trap = "The margin is 0 by default: equal scores then cost nothing and are "
                        "not pulled apart.",
                .scene = {.inputs = {number("input1"), number("input2"), number("target", 1)},
                          .moved = "input1",
                          .axis = {.symbol = "x₁", .label = "difference of two scores"},
                          .shown = {{"L"}},
                          .knobs = {{"margin", "margin", spaced(0, 3, 13), 0.5},
                                    {"target", "target y", {-1.0, 1.0}, 1.0}}}}},
      });
}

}  // namespace retrace::catalogue
