#include <retrace/autograd/ops/activation.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/check.h>

namespace retrace::catalogue {
namespace {

// Around the points where its pieces meet, and far from them.
std::vector<Sample> of_pieces(const std::vector<double>& kinks, const Arguments& arguments = {}) {
  return both(of_one(between(-4, 8, kinks), arguments), of_one(between(-30, 30, kinks), arguments));
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
          {.name = "relu6",
           .family = "activation",
           .question = "How much of x is above 0, up to 6?",
           .run = call_unary<relu6>,
           .samples = of_pieces({0, 6})},
          {.name = "leaky_relu",
           .family = "activation",
           .question = "How much of x is above 0, when a trickle passes below?",
           .run = [](const Call& c) -> Results {
             return leaky_relu(c["x"], c.number("negative_slope", 0.01));
           },
           .samples =
               both(of_one(away_from({0})), of_one(away_from({0}), {{"negative_slope", 0.2}}))},
          {.name = "prelu",
           .family = "activation",
           .question = "How much of x is above 0, when the trickle below is learnt?",
           .run = [](const Call& c) -> Results { return prelu(c["x"], c["weight"]); },
           .samples = {{{{"x", {3, 4}, away_from({0})}, {"weight", {1}}}},
                       {{{"x", {3, 4}, away_from({0})}, {"weight", {4}}}},
                       {{{"x", {2, 3, 4}, away_from({0})}, {"weight", {3}}}},
                       {{{"x", {5}, away_from({0})}, {"weight", {}}}},
                       {{{"x", {}, away_from({0})}, {"weight", {1}}}},
                       {{{"x", {0, 3}}, {"weight", {3}}}}},
           .allows_same = false},
          {.name = "elu",
           .family = "activation",
           .question = "How much of x is above 0, when the rest saturates at -α?",
           .run = [](const Call& c) -> Results { return elu(c["x"], c.number("alpha", 1)); },
           .samples = both(of_one(away_from({0})), of_one(away_from({0}), {{"alpha", 0.3}}))},
          {.name = "selu",
           .family = "activation",
           .question = "Which scaled elu keeps mean 0 and variance 1 through any depth?",
           .run = call_unary<selu>,
           .samples = of_pieces({0})},
          {.name = "celu",
           .family = "activation",
           .question = "Which elu has one slope at 0 whatever its limit -α?",
           .run = [](const Call& c) -> Results { return celu(c["x"], c.number("alpha", 1)); },
           .samples = both(of_one(away_from({0})), of_one(away_from({0}), {{"alpha", 2.5}}))},
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
           .run = [](const Call& c) -> Results {
             return gelu(c["x"], one_of<Approximate>(
                                     c, "approximate",
                                     {{"none", Approximate::none}, {"tanh", Approximate::tanh}}));
           },
           .samples =
               both(of_one(between(-4, 4)), of_one(between(-4, 4), {{"approximate", "tanh"}}))},
          {.name = "quick_gelu",
           .family = "activation",
           .question = "Which swish comes close to gelu?",
           .run = call_unary<quick_gelu>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "silu",
           .family = "activation",
           .question = "What is left of x when its own sigmoid lets it through?",
           .run = call_unary<silu>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "swish",
           .family = "activation",
           .question = "What is left of x when a sigmoid of steepness β lets it through?",
           .run = [](const Call& c) -> Results { return swish(c["x"], c.number("beta", 1)); },
           .samples = both(of_one(), of_one(between(-4, 4), {{"beta", 1.702}}))},
          {.name = "swish_learnable",
           .family = "activation",
           .question = "What is left of x when a sigmoid of learnt steepness lets it through?",
           .run = [](const Call& c) -> Results { return swish(c["x"], c["beta"]); },
           .samples = {{{{"x", {3, 4}}, {"beta", {}}}},
                       {{{"x", {3, 4}}, {"beta", {1}}}},
                       {{{"x", {2, 3, 4}}, {"beta", {4}}}},
                       {{{"x", {2, 3}}, {"beta", {2, 3}}}},
                       {{{"x", {}}, {"beta", {}}}},
                       {{{"x", {0, 3}}, {"beta", {3}}}}},
           .function = "swish"},
          {.name = "mish",
           .family = "activation",
           .question = "What is left of x when tanh of its softplus lets it through?",
           .run = call_unary<mish>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "hardswish",
           .family = "activation",
           .question = "Which swish is made of a parabola and two lines?",
           .run = call_unary<hardswish>,
           .samples = of_pieces({-3, 3})},
          {.name = "hardsigmoid",
           .family = "activation",
           .question = "Which sigmoid is made of three lines?",
           .run = call_unary<hardsigmoid>,
           .samples = of_pieces({-3, 3})},
          {.name = "hardtanh",
           .family = "activation",
           .question = "Which tanh is made of three lines?",
           .run = [](const Call& c) -> Results {
             return hardtanh(c["x"], c.number("min_val", -1), c.number("max_val", 1));
           },
           .samples = both(of_pieces({-1, 1}),
                           of_pieces({-0.5, 2}, {{"min_val", -0.5}, {"max_val", 2.0}}))},
          {.name = "softsign",
           .family = "activation",
           .question = "Where between -1 and 1 does x end, when it gets there slowly?",
           .run = call_unary<softsign>,
           .samples = of_pieces({0})},
          {.name = "tanhshrink",
           .family = "activation",
           .question = "What does tanh leave of x?",
           .run = call_unary<tanhshrink>,
           .samples = both(of_one(), of_one(between(-30, 30)))},
          {.name = "softshrink",
           .family = "activation",
           .question = "What is left of x when λ is taken from its size?",
           .run = [](const Call& c) -> Results {
             return softshrink(c["x"], c.number("lambd", 0.5));
           },
           .samples = both(of_one(away_from({-0.5, 0.5})),
                           of_one(away_from({-0.2, 0.2}), {{"lambd", 0.2}}))},
          {.name = "hardshrink",
           .family = "activation",
           .question = "What is left of x when all up to λ counts as noise?",
           .run = [](const Call& c) -> Results {
             return hardshrink(c["x"], c.number("lambd", 0.5));
           },
           .samples = both(of_one(away_from({-0.5, 0.5})),
                           of_one(away_from({-0.2, 0.2}), {{"lambd", 0.2}}))},
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
      });
}

}  // namespace retrace::catalogue
