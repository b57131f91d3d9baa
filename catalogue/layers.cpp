#include <retrace/autograd/ops/dropout.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/random.h>

namespace retrace::catalogue {

void add_layers(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
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
