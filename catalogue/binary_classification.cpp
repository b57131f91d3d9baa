#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/loss_samples.h>
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
           .samples = both(of_pairs(probability, kOdds), weighted(probability, {{"weight", {4}}}))},
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
                                weighted({}, {{"weight", {3, 1}}, {"pos_weight", {}}})))},
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
           .samples = both(of_pairs({}, kOdds), of_pairs({}, kOdds, sharp))},
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
           .smooth = off_the_margin},
          {.name = "soft_margin_loss",
           .family = "binary classification",
           .question = "How likely does the score make the wrong sign?",
           .run = [](const Call& c) -> Results {
             return losses::soft_margin_loss(c["input"], c["target"],
                                             {.reduction = reduction_of("soft_margin_loss", c)});
           },
           .samples = of_pairs({}, kSigns)},
          {.name = "hinge_embedding_loss",
           .family = "binary classification",
           .question = "Are alike things close, and others a margin apart?",
           .run = [](const Call& c) -> Results {
             return losses::hinge_embedding_loss(
                 c["input"], c["target"],
                 {.margin = c.number("margin", 1),
                  .reduction = reduction_of("hinge_embedding_loss", c)});
           },
           .samples = of_pairs(between(-2, 2, {1}), kSigns)},
          {.name = "multilabel_soft_margin_loss",
           .family = "binary classification",
           .question = "How surprised is it by a row's labels, on average?",
           .run = [](const Call& c) -> Results {
             return losses::multilabel_soft_margin_loss(
                 c["input"], c["target"],
                 {.weight = c.optional("weight"),
                  .reduction = reduction_of("multilabel_soft_margin_loss", c)});
           },
           .samples = both(weighted({}, {}), weighted({}, {{"weight", {4}}}))},
          {.name = "margin_ranking_loss",
           .family = "binary classification",
           .question = "Does the one that should rank higher score higher, by a margin?",
           .run = [](const Call& c) -> Results {
             return losses::margin_ranking_loss(
                 c["input1"], c["input2"], c["target"],
                 {.margin = c.number("margin", 0),
                  .reduction = reduction_of("margin_ranking_loss", c)});
           },
           .samples = with_reductions({pair, square})},
      });
}

}  // namespace retrace::catalogue
