#include <retrace/autograd/ops/bilinear.h>
#include <retrace/autograd/ops/dropout.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/random.h>

namespace retrace::catalogue {

void add_layers(std::vector<Row>& rows) {
  const auto of_pair = [](const Shape& x1, const Shape& x2, const Shape& weight, bool bias) {
    Sample sample{{{"x1", x1}, {"x2", x2}, {"weight", weight}}};
    if (bias) sample.inputs.push_back({"bias", {weight[0]}});
    return sample;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "bilinear",
           .family = "linear algebra",
           .question = "How well do two vectors go together, by each of several measures?",
           .run = [](const Call& c) -> Results {
             return bilinear(c["x1"], c["x2"], c["weight"], c.optional("bias"));
           },
           .samples = {of_pair({3, 2}, {3, 4}, {5, 2, 4}, true),
                       of_pair({2, 1, 2}, {2, 1, 3}, {2, 2, 3}, false),
                       of_pair({2}, {2}, {3, 2, 2}, true),
                       of_pair({0, 2}, {0, 3}, {2, 2, 3}, true)}},
          {.name = "dropout",
           .family = "regularization",
           .question = "What is left when each number is dropped with probability p?",
           .run = [](const Call& c) -> Results {
             Generator generator(7);  // the same elements at every call
             return dropout(c["x"], c.number("p", 0.5), c.flag("training", true), &generator);
           },
           .samples = both(of_one(),
                           {shaped({3, 4}, {{"p", 0.1}}), shaped({3, 4}, {{"p", 1.0}}),
                            shaped({3, 4}, {{"p", 0.0}}), shaped({3, 4}, {{"training", false}})})},
          {.name = "alpha_dropout",
           .family = "regularization",
           .question = "What does dropout leave that keeps mean 0 and variance 1?",
           .run = [](const Call& c) -> Results {
             Generator generator(7);  // the same elements at every call
             return alpha_dropout(c["x"], c.number("p", 0.5), c.flag("training", true), &generator);
           },
           .samples = both(of_one(),
                           {shaped({3, 4}, {{"p", 0.1}}), shaped({3, 4}, {{"p", 1.0}}),
                            shaped({3, 4}, {{"p", 0.0}}), shaped({3, 4}, {{"training", false}})})},
      });
}

}  // namespace retrace::catalogue
