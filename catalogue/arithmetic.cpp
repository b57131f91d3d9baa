#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {

void add_arithmetic(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "add",
           .family = "arithmetic",
           .question = "What are two quantities together, the second one weighted by alpha?",
           .run = [](const Call& c) -> Results {
             return add(c["a"], c["b"], c.scalar("alpha", 1));
           },
           .samples = both(of_two(), of_two({}, {}, {{"alpha", -1.5}}))},
          {.name = "sub",
           .family = "arithmetic",
           .question = "How much more is the first than the second?",
           .run = [](const Call& c) -> Results {
             return sub(c["a"], c["b"], c.scalar("alpha", 1));
           },
           .samples = both(of_two(), of_two({}, {}, {{"alpha", 2.5}}))},
          {.name = "mul",
           .family = "arithmetic",
           .question = "What is each number scaled by its partner?",
           .run = [](const Call& c) -> Results { return mul(c["a"], c["b"]); },
           .samples = of_two()},
          {.name = "div",
           .family = "arithmetic",
           .question = "How many times does the second fit into the first?",
           .run = [](const Call& c) -> Results { return div(c["a"], c["b"]); },
           .samples = of_two({}, positive())},
          {.name = "add_scalar",
           .family = "arithmetic",
           .question = "What is each number, shifted by a constant?",
           .run = [](const Call& c) -> Results { return add(c["x"], c.scalar("value")); },
           .samples = of_one({}, {{"value", 1.5}}),
           .function = "add"},
          {.name = "sub_scalar",
           .family = "arithmetic",
           .question = "What is left of each number without a constant?",
           .run = [](const Call& c) -> Results { return sub(c["x"], c.scalar("value")); },
           .samples = of_one({}, {{"value", 1.5}}),
           .function = "sub"},
          {.name = "rsub_scalar",
           .family = "arithmetic",
           .question = "What is missing to a constant?",
           .run = [](const Call& c) -> Results { return rsub(c["x"], c.scalar("value")); },
           .samples = of_one({}, {{"value", 1.0}}),
           .function = "rsub"},
          {.name = "mul_scalar",
           .family = "arithmetic",
           .question = "What is each number, scaled by a constant?",
           .run = [](const Call& c) -> Results { return mul(c["x"], c.scalar("value")); },
           .samples = of_one({}, {{"value", -0.5}}),
           .function = "mul"},
          {.name = "div_scalar",
           .family = "arithmetic",
           .question = "What is each number in units of a constant?",
           .run = [](const Call& c) -> Results { return div(c["x"], c.scalar("value")); },
           .samples = of_one({}, {{"value", 4.0}}),
           .function = "div"},
          {.name = "rdiv_scalar",
           .family = "arithmetic",
           .question = "How often does each number fit into a constant?",
           .run = [](const Call& c) -> Results { return rdiv(c["x"], c.scalar("value")); },
           .samples = of_one(positive(), {{"value", 2.0}}),
           .function = "rdiv"},
          {.name = "neg",
           .family = "arithmetic",
           .question = "What is each number mirrored at 0?",
           .run = [](const Call& c) -> Results { return neg(c["x"]); },
           .samples = of_one()},
      });
}

}  // namespace retrace::catalogue
