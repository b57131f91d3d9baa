#include <retrace/autograd/ops/activation.h>
#include <retrace/catalogue/samples.h>
#include <retrace/catalogue/scenes.h>

namespace retrace::catalogue {
void add_rectifiers(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "relu",
           .family = "activation",
           .question = "How much of x is above 0?",
           .run = call_unary<relu>,
           .samples = of_one(away_from({0})),
           .card =
               {.topic = 4,
                .about =
                    "Passes what is positive and drops the rest. Cheap, and its slope is 1 however "
                    "deep the network; but a neuron whose inputs are all negative learns no more.",
                .range = "[0, ∞)",
                .slope = "Exactly 0 for x ≤ 0 (a dead neuron), exactly 1 for x > 0; jumps at 0, "
                         "where the engine takes 0.",
                .call = "relu(x)",
                .example = "mlp_classifier --activation relu",
                .trap = "At 0 any slope from 0 to 1 would do. The engine, like PyTorch, takes 0.",
                .scene = along_x()}},
          {.name = "relu6",
           .family = "activation",
           .question = "How much of x is above 0, up to 6?",
           .run = call_unary<relu6>,
           .samples = of_pieces({0, 6}),
           .card =
               {.topic = 4,
                .about = "A relu that stops at 6, so that its values fit into few bits. Found in "
                         "networks for small devices.",
                .range = "[0, 6]",
                .slope =
                    "0 below 0 and above 6, 1 between; jumps at both, where the engine takes 0.",
                .call = "relu6(x)",
                .example = "mlp_classifier --activation relu6",
                .scene = along_x()}},
          {.name = "leaky_relu",
           .family = "activation",
           .question = "How much of x is above 0, when a trickle passes below?",
           .run = [](const Call& c) -> Results {
             return leaky_relu(c["x"], c.number("negative_slope", 0.01));
           },
           .samples =
               both(of_one(away_from({0})), of_one(away_from({0}), {{"negative_slope", 0.2}})),
           .card = {.topic = 5,
                    .about = "A relu that lets a little of the negative side through, so that no "
                             "neuron is ever dead.",
                    .range = "(-∞, ∞)",
                    .slope = "Never 0 unless the slope is; jumps at 0, where the engine takes the "
                             "slope of the negative side.",
                    .call = "leaky_relu(x, $(negative_slope))",
                    .example = "mlp_classifier --activation leaky_relu",
                    .trap = "The default is 0.01 here and in PyTorch, 0.2 or 0.3 in Keras.",
                    .scene =
                        along_x({{"negative_slope",
                                  "slope",
                                  {0.0, 0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0},
                                  0.01}})}},
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
           .allows_same = false,
           .card = {.topic = 5,
                    .about = "A leaky relu whose slope below 0 is a weight, learnt with the "
                             "others: one for all, or one for each channel.",
                    .range = "(-∞, ∞)",
                    .slope = "1 above 0, the weight a below; the weight itself gets the sum of g · "
                             "x over x ≤ 0.",
                    .call = "prelu(x, weight)",
                    .trap =
                        "Weight decay pulls a to 0 and makes a relu of it: leave it out of decay.",
                    .scene = {.inputs = {number("x"), number("weight", 0.25)},
                              .moved = "x",
                              .axis = along_x().axis,
                              .knobs = {{"weight", "a", spaced(-0.5, 1.25, 15), 0.25}}}}},
          {.name = "elu",
           .family = "activation",
           .question = "How much of x is above 0, when the rest saturates at -α?",
           .run = [](const Call& c) -> Results { return elu(c["x"], c.number("alpha", 1)); },
           .samples = both(of_one(away_from({0})), of_one(away_from({0}), {{"alpha", 0.3}})),
           .card = {.topic = 6,
                    .about = "Like relu above 0; below, it bends smoothly towards -α, which brings "
                             "the mean of the outputs closer to 0.",
                    .range = "(-α, ∞)",
                    .slope = "Vanishes as x goes to -∞; jumps at 0 from α to 1 unless α is 1.",
                    .call = "elu(x, $(alpha))",
                    .example = "mlp_classifier --activation elu",
                    .scene = along_x({{"alpha", "α", spaced(0.2, 3, 15), 1.0}})}},
          {.name = "selu",
           .family = "activation",
           .question = "Which scaled elu keeps mean 0 and variance 1 through any depth?",
           .run = call_unary<selu>,
           .samples = of_pieces({0}),
           .card =
               {.topic = 6,
                .about = "An elu whose two constants are chosen such that, with weights of "
                         "variance 1 / inputs, mean 0 and variance 1 are kept through any depth.",
                .range = "(-1.758, ∞)",
                .slope = "Vanishes as x goes to -∞; jumps at 0 from λα = 1.758 to λ = 1.051.",
                .call = "selu(x)",
                .example = "mlp_classifier --activation selu",
                .trap = "It keeps its promise only with LeCun-normal weights and alpha_dropout in "
                        "place of dropout.",
                .scene = along_x()}},
          {.name = "celu",
           .family = "activation",
           .question = "Which elu has one slope at 0 whatever its limit -α?",
           .run = [](const Call& c) -> Results { return celu(c["x"], c.number("alpha", 1)); },
           .samples = both(of_one(away_from({0})), of_one(away_from({0}), {{"alpha", 2.5}})),
           .card = {.topic = 6,
                    .about = "Below 0 it bends towards -α, and is stretched so that no corner is "
                             "left where the sides meet.",
                    .range = "(-α, ∞)",
                    .slope = "Vanishes as x goes to -∞; jumps nowhere.",
                    .call = "celu(x, $(alpha))",
                    .example = "mlp_classifier --activation celu",
                    .scene = along_x({{"alpha", "α", spaced(0.2, 3, 15), 1.0}})}},
      });
}

}  // namespace retrace::catalogue
