#include <retrace/autograd/ops/comparison.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/creation.h>

namespace retrace::catalogue {
namespace {

Row comparison(std::string name, std::string question, Results (*run)(const Call&)) {
  return {.name = std::move(name),
          .family = "comparison",
          .question = std::move(question),
          .run = run,
          .samples = of_two({0, 3, {}, kInt64}, {0, 3, {}, kInt64}),
          .differentiable = false};
}

Row of_numbers(std::string name, std::string question, Results (*run)(const Call&)) {
  return {.name = std::move(name),
          .family = "comparison",
          .question = std::move(question),
          .run = run,
          .samples = of_one(),
          .differentiable = false};
}

Row logical(std::string name, std::string question, Results (*run)(const Call&)) {
  return {.name = std::move(name),
          .family = "logic",
          .question = std::move(question),
          .run = run,
          .samples = of_two(truths(), truths()),
          .differentiable = false};
}

}  // namespace

void add_comparisons(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          comparison("eq", "Where are two tensors equal?", call_binary<eq>),
          comparison("ne", "Where do two tensors differ?", call_binary<ne>),
          comparison("lt", "Where is the first smaller?", call_binary<lt>),
          comparison("le", "Where is the first not larger?", call_binary<le>),
          comparison("gt", "Where is the first larger?", call_binary<gt>),
          comparison("ge", "Where is the first not smaller?", call_binary<ge>),
          logical("logical_and", "Where do both hold?", call_binary<logical_and>),
          logical("logical_or", "Where does one of both hold?", call_binary<logical_or>),
          logical("logical_xor", "Where does exactly one hold?", call_binary<logical_xor>),
          {.name = "logical_not",
           .family = "logic",
           .question = "Where does it not hold?",
           .run = [](const Call& c) -> Results { return logical_not(c["a"]); },
           .samples = {{{{"a", {3, 4}, truths()}}}, {{{"a", {}, truths()}}}},
           .differentiable = false},
          of_numbers("isnan", "Where is something not a number?", call_unary<isnan>),
          of_numbers("isinf", "Where is something infinite?", call_unary<isinf>),
          of_numbers("isfinite", "Where is something an ordinary number?", call_unary<isfinite>),
          comparison("isclose", "Where are two tensors equal but for rounding?",
                     [](const Call& c) -> Results {
                       return isclose(c["a"], c["b"], c.number("rtol", 1e-5),
                                      c.number("atol", 1e-8), c.flag("equal_nan", false));
                     }),
          comparison("allclose", "Are two tensors equal but for rounding?",
                     [](const Call& c) -> Results {
                       return full({},
                                   allclose(c["a"], c["b"], c.number("rtol", 1e-5),
                                            c.number("atol", 1e-8), c.flag("equal_nan", false)),
                                   kBool);
                     }),
      });
}

}  // namespace retrace::catalogue
