#include <retrace/autograd/ops/dropout.h>
#include <retrace/autograd/ops/normalization.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/random.h>

namespace retrace::catalogue {

void add_layers(std::vector<Row>& rows) {
  const auto normalized = [](const Shape& x, const Shape& over, bool affine) {
    Sample sample{{{"x", x}}};
    if (affine) sample.inputs.insert(sample.inputs.end(), {{"weight", over}, {"bias", over}});
    std::vector<double> sizes(over.begin(), over.end());
    sample.arguments = {{"normalized_shape", std::move(sizes)}};
    return sample;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "layer_norm",
           .family = "normalization",
           .question = "What is each sample relative to its own mean and spread?",
           .run = [](const Call& c) -> Results {
             return layer_norm(c["x"], c.list("normalized_shape"), c.optional("weight"),
                               c.optional("bias"), c.number("eps", 1e-5));
           },
           .samples = {normalized({3, 4}, {4}, true), normalized({2, 3, 4}, {4}, false),
                       normalized({2, 3, 4}, {3, 4}, true), normalized({4}, {4}, true),
                       normalized({0, 4}, {4}, true)},
           .second_derivatives = false},
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
      });
}

}  // namespace retrace::catalogue
