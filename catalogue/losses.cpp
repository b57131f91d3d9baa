#include <retrace/catalogue/samples.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/regression.h>

#include <cmath>

namespace retrace::catalogue {
namespace {

Reduction reduction_of(std::string_view loss, const Call& c) {
  return losses::reduction_from_string(loss, c.text("reduction", "mean"));
}

// Every reduction of each of the samples.
std::vector<Sample> reduced(const std::vector<Sample>& samples) {
  std::vector<Sample> all;
  for (const char* reduction : {"mean", "sum", "none"}) {
    for (Sample sample : samples) {
      sample.arguments.emplace_back("reduction", std::string(reduction));
      all.push_back(std::move(sample));
    }
  }
  return all;
}

std::vector<Sample> of_pairs() {
  const auto pair = [](const Shape& sizes) {
    return Sample{{{"input", sizes}, {"target", sizes}}};
  };
  return reduced({pair({3, 4}), pair({2, 3, 4}), pair({}), pair({1, 3, 1})});
}

bool input_differs_from_target(const Call& c) {
  const auto x = c["input"].to_vector<double>(), t = c["target"].to_vector<double>();
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::abs(x[i] - t[i]) < 0.01) return false;
  }
  return true;
}

Sample classes(const Shape& input, const Shape& target, std::int64_t count, bool weighted,
               Arguments arguments = {}) {
  Sample sample{{{"input", input}, {"target", target, indices(count)}}, std::move(arguments)};
  if (weighted) sample.inputs.push_back({"weight", {count}, positive(), false});
  return sample;
}

std::vector<Sample> of_classes(const Arguments& arguments = {}) {
  return reduced({classes({5, 4}, {5}, 4, false, arguments),
                  classes({5, 4}, {5}, 4, true, arguments), classes({3}, {}, 3, false, arguments),
                  classes({2, 3, 4}, {2, 4}, 3, true, arguments),
                  classes({2, 1}, {2}, 1, false, arguments)});
}

Results call_cross_entropy(const Call& c) {
  return losses::cross_entropy(c["input"], c["target"],
                               {.weight = c.optional("weight"),
                                .ignore_index = c.integer("ignore_index", -100),
                                .reduction = reduction_of("cross_entropy", c),
                                .label_smoothing = c.number("label_smoothing", 0)});
}

}  // namespace

void add_losses(std::vector<Row>& rows) {
  const Domain probability = between(0.1, 0.9);
  const auto probabilities = [&](const Shape& sizes, bool weighted) {
    Sample sample{{{"input", sizes}, {"target", sizes, probability, false}},
                  {{"label_smoothing", 0.2}}};
    if (weighted) sample.inputs.push_back({"weight", {sizes[1]}, positive(), false});
    return sample;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "mse_loss",
           .family = "regression",
           .question = "How far is the prediction from the target, squared?",
           .run = [](const Call& c) -> Results {
             return losses::mse_loss(c["input"], c["target"],
                                     {.reduction = reduction_of("mse_loss", c)});
           },
           .samples = of_pairs()},
          {.name = "l1_loss",
           .family = "regression",
           .question = "How far is the prediction from the target?",
           .run = [](const Call& c) -> Results {
             return losses::l1_loss(c["input"], c["target"],
                                    {.reduction = reduction_of("l1_loss", c)});
           },
           .samples = of_pairs(),
           .smooth = input_differs_from_target},
          {.name = "cross_entropy",
           .family = "classification",
           .question = "How surprised is the model by the right class, in nats?",
           .run = call_cross_entropy,
           .samples =
               both(of_classes(), of_classes({{"label_smoothing", 0.1}, {"ignore_index", 3}})),
           .second_derivatives = false},
          {.name = "cross_entropy_prob",
           .family = "classification",
           .question = "How surprised is the model on average, when classes are given as odds?",
           .run = call_cross_entropy,
           .samples = reduced({probabilities({5, 4}, false), probabilities({5, 4}, true),
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
           .samples = both(of_classes(), of_classes({{"ignore_index", 3}})),
           .second_derivatives = false},
      });
}

}  // namespace retrace::catalogue
