#include <retrace/catalogue/loss_samples.h>
#include <retrace/catalogue/scenes.h>
#include <retrace/losses/regression.h>

namespace retrace::catalogue {
namespace {

// Mean, variance and what is observed; the variance of the input's shape, one for a row, [rows].
std::vector<Sample> of_normal(const Arguments& arguments) {
  const auto normal = [&](const Shape& sizes, const Shape& variances) {
    return Sample{{{"input", sizes}, {"target", sizes}, {"var", variances, positive()}}, arguments};
  };
  return with_reductions(
      {normal({3, 4}, {3, 4}), normal({3, 4}, {3, 1}), normal({2, 3, 4}, {2, 3}), normal({}, {})});
}

std::vector<Sample> of_counts(bool log_input) {
  const Input counts = {"target", {}, between(0, 5, {1})};
  const Domain rates = log_input ? Domain{} : positive();
  return both(of_pairs(rates, counts, {{"log_input", log_input}}),
              of_pairs(rates, counts, {{"log_input", log_input}, {"full", true}}));
}

}  // namespace

void add_regression(std::vector<Row>& rows) {
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
           .samples = of_pairs(),
           .card = {.topic = 13,
                    .about = "Twice the error costs four times as much. Its best constant answer "
                             "is the mean, so single outliers pull hard.",
                    .range = "[0, ∞)",
                    .slope =
                        "2 (x - t) / n: grows with the error, without bound; 0 only at the target.",
                    .call = "losses::mse_loss(input, target)",
                    .example = "quantile_regression --loss mse",
                    .trap = "A mean over n elements divides by n, not by rows; there is no ½.",
                    .scene = along_error()}},
          {.name = "l1_loss",
           .family = "regression",
           .question = "How far is the prediction from the target?",
           .run = [](const Call& c) -> Results {
             return losses::l1_loss(c["input"], c["target"],
                                    {.reduction = reduction_of("l1_loss", c)});
           },
           .samples = of_pairs(),
           .smooth = input_differs_from_target,
           .card = {.topic = 14,
                    .about = "Every unit costs the same, so the best constant answer is the "
                             "median, and outliers pull no harder than others.",
                    .range = "[0, ∞)",
                    .slope =
                        "±1 / n whatever the size; jumps at the target, where the engine takes 0.",
                    .call = "losses::l1_loss(input, target)",
                    .example = "quantile_regression --loss l1",
                    .trap = "The steady slope makes the last steps overshoot: lower the learning "
                            "rate in the end, or use Huber's loss.",
                    .scene = along_error()}},
          {.name = "huber_loss",
           .family = "regression",
           .question = "How far is it, if no single error may pull harder than δ?",
           .run = [](const Call& c) -> Results {
             return losses::huber_loss(
                 c["input"], c["target"],
                 {.reduction = reduction_of("huber_loss", c), .delta = c.number("delta", 1)});
           },
           .samples = both(of_pairs(), of_pairs({}, {"target", {}}, {{"delta", 0.5}})),
           .card = {.topic = 15,
                    .about = "A square for small errors and a straight line for large ones: smooth "
                             "at the target as mse_loss, calm about outliers as l1_loss.",
                    .range = "[0, ∞)",
                    .slope = "The error, cut at ±δ: never above δ.",
                    .call = "losses::huber_loss(input, target, {.delta = $(delta)})",
                    .example = "quantile_regression --loss huber",
                    .trap = "Huber(δ) = δ · SmoothL1(β = δ): the same only at 1. As δ grows, Huber "
                            "tends to ½ d², not to mse_loss.",
                    .scene = along_error({{"delta", "δ", spaced(0.25, 4, 16), 1.0}})}},
          {.name = "smooth_l1_loss",
           .family = "regression",
           .question = "How far is it, with a soft landing within β of the target?",
           .run = [](const Call& c) -> Results {
             return losses::smooth_l1_loss(
                 c["input"], c["target"],
                 {.reduction = reduction_of("smooth_l1_loss", c), .beta = c.number("beta", 1)});
           },
           .samples = both(of_pairs(), of_pairs({}, {"target", {}}, {{"beta", 0.5}})),
           .card =
               {.topic = 15,
                .about = "An absolute error with its corner rounded: within β of the target the "
                         "pull weakens. Used for the boxes of object detectors.",
                .range = "[0, ∞)",
                .slope = "The error over β, cut at ±1: as β shrinks, l1_loss.",
                .call = "losses::smooth_l1_loss(input, target, {.beta = $(beta)})",
                .trap =
                    "SmoothL1(β) = Huber(δ = β) / β. As β grows it tends to 0, and Huber does not.",
                .scene = along_error({{"beta", "β", spaced(0, 4, 17), 1.0}})}},
          {.name = "log_cosh_loss",
           .family = "regression",
           .question = "How far is it, squared near the target, straight far away, smooth "
                       "throughout?",
           .run = [](const Call& c) -> Results {
             return losses::log_cosh_loss(c["input"], c["target"],
                                          {.reduction = reduction_of("log_cosh_loss", c)});
           },
           .samples = of_pairs(),
           .card = {.topic = 15,
                    .about =
                        "About ½ d² near the target and |d| - ln 2 far away, without a parameter.",
                    .range = "[0, ∞)",
                    .slope = "tanh of the error: smooth, never above 1.",
                    .call = "losses::log_cosh_loss(input, target)",
                    .scene = along_error()}},
          {.name = "poisson_nll_loss",
           .family = "regression",
           .question = "How surprising is this count, if events come at the predicted rate?",
           .run = [](const Call& c) -> Results {
             return losses::poisson_nll_loss(c["input"], c["target"],
                                             {.log_input = c.flag("log_input", true),
                                              .full = c.flag("full", false),
                                              .eps = c.number("eps", 1e-8),
                                              .reduction = reduction_of("poisson_nll_loss", c)});
           },
           .samples = both(of_counts(true), of_counts(false)),
           .card = {.topic = 38,
                    .about = "For counts, as of calls in an hour. The prediction is the logarithm "
                             "of the rate, so it may be any number.",
                    .range = "(-∞, ∞): t! is left out",
                    .slope = "eˣ - t: 0 where the rate is the count, and steep above.",
                    .call = "losses::poisson_nll_loss(input, target)",
                    .trap = "The input is the logarithm of the rate unless log_input is false. "
                            "Without full the loss may be negative.",
                    .scene = {.inputs = {number("input"), number("target", 2)},
                              .moved = "input",
                              .axis = {.symbol = "x",
                                       .label = "logarithm of the rate",
                                       .low = -3,
                                       .high = 3},
                              .shown = {{"L"}},
                              .knobs = {{"target", "count t", spaced(0, 10, 11), 2.0},
                                        {"full", "with t!", {false, true}, false}}}}},
          {.name = "gaussian_nll_loss",
           .family = "regression",
           .question = "How surprising is the target, if the model also says how sure it is?",
           .run = [](const Call& c) -> Results {
             return losses::gaussian_nll_loss(c["input"], c["target"], c["var"],
                                              {.full = c.flag("full", false),
                                               .eps = c.number("eps", 1e-6),
                                               .reduction = reduction_of("gaussian_nll_loss", c)});
           },
           .samples = both(of_normal({}), of_normal({{"full", true}})),
           .card = {.topic = 38,
                    .about = "The model predicts a mean and a variance. Being sure and wrong is "
                             "dear; so is being right and unsure.",
                    .range = "(-∞, ∞)",
                    .slope = "(x - t) / v: an error counts less where the model admits doubt.",
                    .call = "losses::gaussian_nll_loss(input, target, var)",
                    .trap =
                        "var is a variance, not a deviation, and not its logarithm. Below eps it "
                        "is raised to eps.",
                    .scene = {.inputs = {number("input"), number("target"), number("var", 1)},
                              .moved = "input",
                              .axis = along_error().axis,
                              .shown = {{"L"}},
                              .knobs = {{"var",
                                         "variance v",
                                         {0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0,
                                          6.0, 10.0},
                                         1.0}}}}},
      });
}

}  // namespace retrace::catalogue
