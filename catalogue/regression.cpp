#include <retrace/catalogue/loss_samples.h>
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
          {.name = "huber_loss",
           .family = "regression",
           .question = "How far is it, if no single error may pull harder than δ?",
           .run = [](const Call& c) -> Results {
             return losses::huber_loss(
                 c["input"], c["target"],
                 {.reduction = reduction_of("huber_loss", c), .delta = c.number("delta", 1)});
           },
           .samples = both(of_pairs(), of_pairs({}, {"target", {}}, {{"delta", 0.5}}))},
          {.name = "smooth_l1_loss",
           .family = "regression",
           .question = "How far is it, with a soft landing within β of the target?",
           .run = [](const Call& c) -> Results {
             return losses::smooth_l1_loss(
                 c["input"], c["target"],
                 {.reduction = reduction_of("smooth_l1_loss", c), .beta = c.number("beta", 1)});
           },
           .samples = both(of_pairs(), of_pairs({}, {"target", {}}, {{"beta", 0.5}}))},
          {.name = "log_cosh_loss",
           .family = "regression",
           .question = "How far is it, squared near the target, straight far away, smooth "
                       "throughout?",
           .run = [](const Call& c) -> Results {
             return losses::log_cosh_loss(c["input"], c["target"],
                                          {.reduction = reduction_of("log_cosh_loss", c)});
           },
           .samples = of_pairs()},
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
           .samples = both(of_counts(true), of_counts(false))},
          {.name = "gaussian_nll_loss",
           .family = "regression",
           .question = "How surprising is the target, if the model also says how sure it is?",
           .run = [](const Call& c) -> Results {
             return losses::gaussian_nll_loss(c["input"], c["target"], c["var"],
                                              {.full = c.flag("full", false),
                                               .eps = c.number("eps", 1e-6),
                                               .reduction = reduction_of("gaussian_nll_loss", c)});
           },
           .samples = both(of_normal({}), of_normal({{"full", true}}))},
      });
}

}  // namespace retrace::catalogue
