#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/quantile.h>

namespace retrace::catalogue {
namespace {

bool columns_differ_from_target(const Call& c) {
  const Tensor distance = (c["input"] - c["target"].unsqueeze(-1)).abs();
  return distance.min().item<double>() > 0.01;
}

bool neighbours_differ(const Call& c) {
  const Tensor q = c["input"];
  const std::int64_t pairs = q.size(-1) - 1;
  const Tensor distance = (q.narrow(-1, 0, pairs) - q.narrow(-1, 1, pairs)).abs();
  return distance.min().item<double>() > 0.01;
}

Axis middle_quantile() {
  return {
      .symbol = "q₂", .label = "middle one of three quantiles", .low = -4, .high = 4, .points = 81};
}

}  // namespace

void add_quantiles(std::vector<Row>& rows) {
  const Arguments taus = {{"taus", list({0.1, 0.5, 0.9})}};
  rows.insert(
      rows.end(),
      {
          {.name = "quantile_loss",
           .family = "regression",
           .question = "How far is it, if being too low costs τ and being too high 1 - τ?",
           .run = [](const Call& c) -> Results {
             return losses::quantile_loss(c["input"], c["target"], c.number("tau"),
                                          {.reduction = reduction_of("quantile_loss", c)});
           },
           .samples = both(of_pairs({}, {"target", {}}, {{"tau", 0.9}}),
                           of_pairs({}, {"target", {}}, {{"tau", 0.1}})),
           .smooth = input_differs_from_target,
           .card = {.topic = 16,
                    .about = "The pinball loss. Its best constant answer is the τ-quantile of the "
                             "data: with τ = 0.9, the number that nine in ten stay below.",
                    .range = "[0, ∞)",
                    .slope = "-τ below the target, 1 - τ above; jumps at the target.",
                    .call = "losses::quantile_loss(input, target, $(tau))",
                    .example = "quantile_regression --quantiles 0.1,0.5,0.9",
                    .trap = "τ = ½ is half of l1_loss. A high τ punishes predictions that are too "
                            "low: on this axis, the left side.",
                    .scene = along_error({{"tau", "τ", spaced(0.05, 0.95, 19), 0.9}})}},
          {.name = "quantile_loss_multi",
           .family = "regression",
           .question = "How well does each of several quantiles sit in the data?",
           .run = [](const Call& c) -> Results {
             return losses::quantile_loss(c["input"], c["target"], c.numbers("taus"),
                                          {.reduction = reduction_of("quantile_loss", c)});
           },
           .samples = with_reductions({{{{"input", {4, 3}}, {"target", {4}}}, taus},
                                       {{{"input", {2, 2, 3}}, {"target", {2, 2}}}, taus},
                                       {{{"input", {3}}, {"target", {}}}, taus}}),
           .function = "quantile_loss",
           .smooth = columns_differ_from_target,
           .card = {.topic = 16,
                    .about = "The pinball losses of several quantiles of one target, averaged: one "
                             "model that says how spread the answer is.",
                    .range = "[0, ∞)",
                    .slope =
                        "Of each quantile its own, over the number of them; jumps at the target.",
                    .call = "losses::quantile_loss(input, target, {0.1, 0.5, 0.9})",
                    .example = "quantile_regression --quantiles 0.1,0.5,0.9",
                    .trap = "Nothing keeps the quantiles in order: see quantile_noncrossing.",
                    .scene = {.inputs = {{"input", {3}, {-1, 0, 1}}, {"target", {}, {0}}},
                              .moved = "input",
                              .element = 1,
                              .axis = middle_quantile(),
                              .shown = {{"L"}},
                              .arguments = {{"taus", list({0.1, 0.5, 0.9})}},
                              .watched = {{"q₁", 0}, {"q₃", 2}}}}},
          {.name = "quantile_noncrossing",
           .family = "regression",
           .question = "Which ascending quantiles do these free numbers stand for?",
           .run = [](const Call& c) -> Results { return losses::quantile_noncrossing(c["raw"]); },
           .samples =
               {{{{"raw", {3, 4}}}}, {{{"raw", {2, 3, 2}}}}, {{{"raw", {3}}}}, {{{"raw", {2, 1}}}}},
           .card = {.topic = 16,
                    .about = "Makes quantiles that cannot cross: the first is free, and each next "
                             "one lies a softplus above it.",
                    .range = "ascending",
                    .slope = "σ of the step for all that lie above it: vanishes where two "
                             "quantiles have come together.",
                    .call = "losses::quantile_noncrossing(raw)",
                    .example = "quantile_regression",
                    .scene = {.inputs = {{"raw", {3}, {-1, 0, 0.5}}},
                              .moved = "raw",
                              .element = 1,
                              .axis = {.symbol = "r₂",
                                       .label = "free number behind the second quantile"},
                              .shown = {{"q₁", 0}, {"q₂", 1}, {"q₃", 2}}}}},
          {.name = "quantile_crossing_penalty",
           .family = "regression",
           .question = "By how much do predicted quantiles stand in the wrong order?",
           .run = [](const Call& c) -> Results {
             return losses::quantile_crossing_penalty(
                 c["input"], {.reduction = reduction_of("quantile_crossing_penalty", c)});
           },
           .samples = with_reductions(
               {{{{"input", {3, 4}}}}, {{{"input", {2, 3, 2}}}}, {{{"input", {3}}}}}),
           .smooth = neighbours_differ,
           .card = {.topic = 16,
                    .about = "Added to a loss, it teaches predicted quantiles to stand in order; 0 "
                             "when they do.",
                    .range = "[0, ∞)",
                    .slope = "0 while they are in order; jumps where two meet.",
                    .call = "losses::quantile_crossing_penalty(input)",
                    .scene = {.inputs = {{"input", {3}, {-1, 0, 1}}},
                              .moved = "input",
                              .element = 1,
                              .axis = middle_quantile(),
                              .shown = {{"L"}},
                              .watched = {{"q₁", 0}, {"q₃", 2}}}}},
      });
}

}  // namespace retrace::catalogue
