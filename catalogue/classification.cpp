#include <retrace/catalogue/loss_samples.h>
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
           .second_derivatives = false},
          {.name = "cross_entropy_prob",
           .family = "classification",
           .question = "How surprised is the model on average, when classes are given as odds?",
           .run = call_cross_entropy,
           .samples = with_reductions({probabilities({5, 4}, false), probabilities({5, 4}, true),
                                       probabilities({2, 3, 2}, false)}),
           .function = "cross_entropy",
           .second_derivatives = false},
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
           .second_derivatives = false},
          {.name = "label_smoothing_ce",
           .family = "classification",
           .question = "How surprised is it, if the answer is held to be a little uncertain?",
           .run = call_label_smoothing,
           .samples = both(of_classes("", {{"epsilon", 0.1}}),
                           of_several_classes({{"epsilon", 0.25}, {"scheme", "others"}})),
           .second_derivatives = false},
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
           .second_derivatives = false},
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
           .second_derivatives = false,
           .smooth = off_the_margins,
           .allows_repeats = false},
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
           .second_derivatives = false,
           .smooth = off_the_margins},
      });
}

}  // namespace retrace::catalogue
