#include <retrace/catalogue/loss_samples.h>
#include <retrace/losses/classification.h>

namespace retrace::catalogue {
namespace {

Results call_cross_entropy(const Call& c) {
  return losses::cross_entropy(c["input"], c["target"],
                               {.weight = c.optional("weight"),
                                .ignore_index = c.integer("ignore_index", -100),
                                .reduction = reduction_of("cross_entropy", c),
                                .label_smoothing = c.number("label_smoothing", 0)});
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
      });
}

}  // namespace retrace::catalogue
