#include <retrace/catalogue/loss_samples.h>
#include <retrace/losses/regression.h>

namespace retrace::catalogue {

void add_regression(std::vector<Row>& rows) {
  rows.insert(rows.end(), {
                              {.name = "mse_loss",
                               .family = "regression",
                               .question = "How far is the prediction from the target, squared?",
                               .run = [](const Call& c) -> Results {
                                 return losses::mse_loss(
                                     c["input"], c["target"],
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
                          });
}

}  // namespace retrace::catalogue
