#include <retrace/autograd/ops/softmax.h>
#include <retrace/catalogue/samples.h>
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
           .samples = over_a_dim()},
          {.name = "log_softmax",
           .family = "softmax",
           .question = "Which log-probabilities have these logits?",
           .run = [](const Call& c) -> Results { return log_softmax(c["x"], c.integer("dim")); },
           .samples = over_a_dim()},
          {.name = "softmin",
           .family = "softmax",
           .question = "Which probabilities have these costs?",
           .run = [](const Call& c) -> Results { return softmin(c["x"], c.integer("dim")); },
           .samples = over_a_dim()},
          {.name = "softmax_temperature",
           .family = "softmax",
           .question = "Which probabilities have these logits at temperature T?",
           .run = [](const Call& c) -> Results {
             return softmax_temperature(c["x"], c.integer("dim"), c.number("temperature", 1));
           },
           .samples = both(tempered(0.5), tempered(3))},
          {.name = "masked_softmax",
           .family = "softmax",
           .question = "Which probabilities have the logits that a mask keeps?",
           .run = [](const Call& c) -> Results {
             return masked_softmax(c["x"], c["mask"], c.integer("dim"));
           },
           .samples = masked(),
           .smooth = keeps_something},
          {.name = "gumbel_softmax",
           .family = "softmax",
           .question = "What is a random choice by these logits, with a gradient?",
           .run = call_gumbel_softmax,
           .samples = both(with_noise(), {shaped({3, 4}), shaped({2, 3, 4}, {{"dim", 1}})})},
          {.name = "entropy_from_logits",
           .family = "softmax",
           .question = "How uncertain is the choice by these logits, in nats?",
           .run = [](const Call& c) -> Results {
             return entropy_from_logits(c["x"], c.integer("dim", -1), c.flag("keepdim", false));
           },
           .samples = both(over_a_dim(), {shaped({2, 3, 4}, {{"dim", 1}, {"keepdim", true}})})},
      });
}

}  // namespace retrace::catalogue
