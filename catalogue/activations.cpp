#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/check.h>

namespace retrace::catalogue {
namespace {

Approximate approximate_of(const Call& c) {
  const std::string text = c.text("approximate", "none");
  require<ValueError>(text == "none" || text == "tanh",
                      "gelu: approximate is \"{}\"; give none or tanh", text);
  return text == "tanh" ? Approximate::tanh : Approximate::none;
}

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

}  // namespace

void add_activations(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "relu",
           .family = "activation",
           .question = "How much of x is above 0?",
           .run = call_unary<relu>,
           .samples = of_one(away_from({0}))},
          {.name = "sigmoid",
           .family = "activation",
           .question = "Which probability has log-odds x?",
           .run = call_unary<sigmoid>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "tanh",
           .family = "activation",
           .question = "Where between -1 and 1 does x saturate?",
           .run = call_unary<tanh>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "gelu",
           .family = "activation",
           .question = "What is left of x when it stays with probability Φ(x)?",
           .run = [](const Call& c) -> Results { return gelu(c["x"], approximate_of(c)); },
           .samples =
               both(of_one(between(-4, 4)), of_one(between(-4, 4), {{"approximate", "tanh"}}))},
          {.name = "silu",
           .family = "activation",
           .question = "What is left of x when its own sigmoid lets it through?",
           .run = call_unary<silu>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "softplus",
           .family = "activation",
           .question = "How much of x is above 0, with a rounded corner?",
           .run = [](const Call& c) -> Results {
             return softplus(c["x"], c.number("beta", 1), c.number("threshold", 20));
           },
           .samples =
               both(of_one(), of_one(between(-3, 3, {1}), {{"beta", 2.0}, {"threshold", 2.0}}))},
          {.name = "logsigmoid",
           .family = "activation",
           .question = "What is the logarithm of the probability with log-odds x?",
           .run = call_unary<logsigmoid>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
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
      });
}

}  // namespace retrace::catalogue
