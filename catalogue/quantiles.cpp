#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/loss_samples.h>
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
           .smooth = input_differs_from_target},
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
           .smooth = columns_differ_from_target},
          {.name = "quantile_noncrossing",
           .family = "regression",
           .question = "Which ascending quantiles do these free numbers stand for?",
           .run = [](const Call& c) -> Results { return losses::quantile_noncrossing(c["raw"]); },
           .samples = {{{{"raw", {3, 4}}}},
                       {{{"raw", {2, 3, 2}}}},
                       {{{"raw", {3}}}},
                       {{{"raw", {2, 1}}}}}},
          {.name = "quantile_crossing_penalty",
           .family = "regression",
           .question = "By how much do predicted quantiles stand in the wrong order?",
           .run = [](const Call& c) -> Results {
             return losses::quantile_crossing_penalty(
                 c["input"], {.reduction = reduction_of("quantile_crossing_penalty", c)});
           },
           .samples = with_reductions(
               {{{{"input", {3, 4}}}}, {{{"input", {2, 3, 2}}}}, {{{"input", {3}}}}}),
           .smooth = neighbours_differ},
      });
}

}  // namespace retrace::catalogue
