#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/classification.h>

#include <cmath>

namespace retrace::catalogue {
namespace {

Results call_cross_entropy(const Call& c) {
  return losses::cross_entropy(c["input"], c["target"],
                               {.weight = c.optional("weight"),
                                .ignore_index = c.integer("ignore_index", -100),
                                .reduction = reduction_of("cross_entropy", c),
                                .label_smoothing = c.number("label_smoothing", 0)});
}

Results call_label_smoothing(const Call& c) {
  return losses::label_smoothing_ce(
      c["input"], c["target"],
      {.epsilon = c.number("epsilon", 0.1),
       .scheme = losses::smoothing_from_string(c.text("scheme", "uniform")),
       .ignore_index = c.integer("ignore_index", -100),
       .reduction = reduction_of("label_smoothing_ce", c)});
}

// No two scores differ by nearly 0 or by nearly the margin: neither which wrong class is the best
// nor who is inside the margin hangs on the last digits.
bool off_the_margins(const Call& c) {
  const std::vector<double> scores = c["input"].to_vector<double>();
  const double margin = c.number("margin", 1);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const double gap = std::abs(scores[i] - scores[k]);
      if (gap < 0.01 || std::abs(gap - margin) < 0.01) return false;
    }
  }
  return true;
}

std::vector<Sample> of_several_classes(const Arguments& arguments) {
  std::vector<Sample> samples = of_classes("", arguments);
  std::erase_if(samples, [](const Sample& s) { return s.inputs[0].sizes == Shape{2, 1}; });
  return samples;
}

}  // namespace

void add_classification(std::vector<Row>& rows) {
  const auto probabilities = [](const Shape& sizes, bool weighted) {
    Sample sample{{{"input", sizes}, {"target", sizes, between(0.1, 0.9), false}},
                  {{"label_smoothing", 0.2}}};
    if (weighted) sample.inputs.push_back({"weight", {sizes[1]}, positive(), false});
    return sample;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "cross_entropy",
           .family = "classification",
           .question = "How surprised is the model by the right class, in nats?",
           .run = call_cross_entropy,
           .samples = both(of_classes("weight"),
                           of_classes("weight", {{"label_smoothing", 0.1}, {"ignore_index", 3}})),
           .card =
               {.topic = 18,
                .about =
                    "-log of the probability that softmax gives to it. With ten classes, knowing "
                    "nothing costs ln 10. What nearly every classifier is trained with.",
                .range = "[0, ∞)",
                .slope = "p - y: to the right class p₁ - 1, to the others p; they sum to 0, and "
                         "vanish where the model is right.",
                .call =
                    "losses::cross_entropy(input, target, {.label_smoothing = $(label_smoothing)})",
                .example = "mlp_classifier",
                .trap = "It takes logits: a softmax before it is a second one. With class weights "
                        "a mean divides by the sum of the weights of the targets.",
                .scene = along_right_score(
                    {{"label_smoothing", "smoothing ε", spaced(0, 0.5, 11), 0.0}})}},
          {.name = "cross_entropy_prob",
           .family = "classification",
           .question = "How surprised is the model on average, when classes are given as odds?",
           .run = call_cross_entropy,
           .samples = with_reductions({probabilities({5, 4}, false), probabilities({5, 4}, true),
                                       probabilities({2, 3, 2}, false)}),
           .function = "cross_entropy",
           .card =
               {.topic = 18,
                .about = "Cross-entropy with the probability of every class as target, as a "
                         "teacher or several annotators give it.",
                .range = "[entropy of the target, ∞)",
                .slope = "p - q: 0 where the model says the target's probabilities.",
                .call = "losses::cross_entropy(input, target)",
                .trap =
                    "Its least value is the entropy of the target, not 0. A mean divides by rows.",
                .scene = {.inputs = {{"input", {1, 3}, {0, 0.5, -1}},
                                     {"target", {1, 3}, {0.7, 0.2, 0.1}}},
                          .moved = "input",
                          .axis = along_right_score().axis,
                          .shown = {{"L"}},
                          .watched = {{"z₂", 1}, {"z₃", 2}}}}},
          {.name = "nll_loss",
           .family = "classification",
           .question = "How small is the log-probability of the right class?",
           .run = [](const Call& c) -> Results {
             return losses::nll_loss(c["input"], c["target"],
                                     {.weight = c.optional("weight"),
                                      .ignore_index = c.integer("ignore_index", -100),
                                      .reduction = reduction_of("nll_loss", c)});
           },
           .samples = both(of_classes("weight"), of_classes("weight", {{"ignore_index", 3}})),
           .card = {.topic = 18,
                    .about = "The second half of cross_entropy, for models that give "
                             "log-probabilities already.",
                    .range = "[0, ∞) of log-probabilities",
                    .slope = "-1 to the right class, whatever its size: the rest of the gradient "
                             "comes from log_softmax.",
                    .call = "losses::nll_loss(input, target)",
                    .trap = "It takes log-probabilities and takes no logarithm itself: of logits "
                            "it falls without end.",
                    .scene = {.inputs = {{"input", {1, 3}, {-1, -1.2, -1.5}},
                                         classes("target", {0})},
                              .moved = "input",
                              .axis = {.symbol = "log p",
                                       .label = "log-probability of the right class",
                                       .low = -6,
                                       .high = 0},
                              .shown = {{"L"}}}}},
          {.name = "label_smoothing_ce",
           .family = "classification",
           .question = "How surprised is it, if the answer is held to be a little uncertain?",
           .run = call_label_smoothing,
           .samples = both(of_classes("", {{"epsilon", 0.1}}),
                           of_several_classes({{"epsilon", 0.25}, {"scheme", "others"}})),
           .card = {.topic = 22,
                    .about = "Cross-entropy with a little doubt in the answer, so that the model "
                             "is not driven to certainty: the best logit is finite.",
                    .range = "[entropy of q, ∞)",
                    .slope = "p - q: 0 at a finite logit, and of the other sign beyond.",
                    .call = "losses::label_smoothing_ce(input, target, {.epsilon = $(epsilon), "
                            ".scheme = losses::Smoothing::$(scheme)})",
                    .example = "mlp_classifier --label-smoothing 0.1",
                    .trap = "Two conventions: uniform (PyTorch, Keras) gives ε / K to all classes, "
                            "the right one too; others gives ε / (K - 1) to the K - 1 wrong ones. "
                            "uniform with ε is others with ε (K - 1) / K.",
                    .scene = along_right_score(
                        {{"epsilon", "ε", spaced(0, 0.5, 11), 0.1},
                         {"scheme", "ε goes to", {"uniform", "others"}, "uniform"}})}},
          {.name = "focal_loss_multiclass",
           .family = "classification",
           .question =
               "How surprised is it by the right class, if what it knows already hardly counts?",
           .run = [](const Call& c) -> Results {
             return losses::focal_loss_multiclass(
                 c["input"], c["target"],
                 {.alpha = c.optional("alpha"),
                  .gamma = c.number("gamma", 2),
                  .ignore_index = c.integer("ignore_index", -100),
                  .reduction = reduction_of("focal_loss_multiclass", c)});
           },
           .samples = both(of_classes("alpha"),
                           of_classes("alpha", {{"gamma", 0.5}, {"ignore_index", 3}})),
           .card = {.topic = 19,
                    .about = "Cross-entropy times (1 - p)^γ: a sample that is nearly right hardly "
                             "counts, so the hard ones are learnt.",
                    .range = "[0, ∞)",
                    .slope = "Vanishes sooner than that of cross_entropy; γ = 0 is cross_entropy.",
                    .call = "losses::focal_loss_multiclass(input, target, {.gamma = $(gamma)})",
                    .example = "mlp_classifier --loss focal",
                    .trap = "A mean divides by the number of rows, whatever their α.",
                    .scene = along_right_score({{"gamma", "γ", spaced(0, 5, 11), 2.0}})}},
          {.name = "multiclass_hinge_cs",
           .family = "classification",
           .question = "Does the right class beat the best wrong one by a margin?",
           .run = [](const Call& c) -> Results {
             return losses::multiclass_hinge_cs(
                 c["input"], c["target"],
                 {.margin = c.number("margin", 1),
                  .squared = c.flag("squared", false),
                  .reduction = reduction_of("multiclass_hinge_cs", c)});
           },
           .samples = both(of_several_classes({}), of_several_classes({{"squared", true}})),
           .smooth = off_the_margins,
           .allows_repeats = false,
           .card = {.topic = 20,
                    .about = "The support vector machine of several classes, by Crammer and "
                             "Singer: only the strongest rival counts.",
                    .range = "[0, ∞)",
                    .slope = "-1 to the right class, 1 to the best wrong one, inside the margin; 0 "
                             "to all others and outside.",
                    .call = "losses::multiclass_hinge_cs(input, target, {.margin = $(margin), "
                            ".squared = $(squared)})",
                    .example = "mlp_classifier --loss hinge",
                    .trap = "Keras' categorical_hinge never lets the best wrong score fall below "
                            "0: another loss when all wrong scores are negative.",
                    .scene = along_right_score({{"margin", "margin", spaced(0.25, 2, 8), 1.0},
                                                {"squared", "squared", {false, true}, false}})}},
          {.name = "multi_margin_loss",
           .family = "classification",
           .question = "Does the right class beat every wrong one by a margin?",
           .run = [](const Call& c) -> Results {
             return losses::multi_margin_loss(c["input"], c["target"],
                                              {.p = c.integer("p", 1),
                                               .margin = c.number("margin", 1),
                                               .weight = c.optional("weight"),
                                               .reduction = reduction_of("multi_margin_loss", c)});
           },
           .samples = both(of_classes("weight"), of_classes("weight", {{"p", 2}, {"margin", 0.5}})),
           .smooth = off_the_margins,
           .card =
               {.topic = 20,
                .about = "The support vector machine of several classes, by Weston and "
                         "Watkins: every rival within the margin counts.",
                .range = "[0, ∞)",
                .slope = "A step for each wrong class inside the margin, over K.",
                .call =
                    "losses::multi_margin_loss(input, target, {.p = $(p), .margin = $(margin)})",
                .trap = "It divides by K, the right class included. Of two classes it is half of "
                        "multiclass_hinge_cs.",
                .scene = along_right_score(
                    {{"margin", "margin", spaced(0.25, 2, 8), 1.0},
                     {"p", "power p", {std::int64_t{1}, std::int64_t{2}}, std::int64_t{1}}})}},
      });
}

}  // namespace retrace::catalogue
