#include <retrace/autograd/ops/selection.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {

void add_selections(std::vector<Row>& rows) {
  const auto where_sample = [](const Shape& condition, const Shape& a, const Shape& b) {
    return Sample{{{"cond", condition, truths()}, {"a", a}, {"b", b}}};
  };
  rows.insert(rows.end(),
              {
                  {.name = "where",
                   .family = "selection",
                   .question = "Which of two values counts, by a condition?",
                   .run = [](const Call& c) -> Results {
                     if (c.has("a")) return where(c["cond"], c.scalar("a"), c["b"]);
                     if (c.has("b")) return where(c["cond"], c["a"], c.scalar("b"));
                     return where(c["cond"], c["a"], c["b"]);
                   },
                   .samples = {where_sample({3, 4}, {3, 4}, {3, 4}),
                               where_sample({3, 1}, {1, 4}, {}),
                               where_sample({4}, {2, 1, 1}, {3, 1}),
                               where_sample({}, {}, {}),
                               where_sample({0, 3}, {1, 3}, {3}),
                               {{{"cond", {3, 2}, truths()}, {"a", {2}}}, {{"b", 0.5}}},
                               {{{"cond", {3, 2}, truths()}, {"b", {3, 1}}}, {{"a", 0.5}}}}},
                  {.name = "masked_fill",
                   .family = "selection",
                   .question = "What is left when masked elements become a constant?",
                   .run = [](const Call& c) -> Results {
                     return masked_fill(c["x"], c["mask"], c.scalar("value"));
                   },
                   .samples = {{{{"x", {3, 4}}, {"mask", {3, 4}, truths()}}, {{"value", -1e9}}},
                               {{{"x", {2, 3, 4}}, {"mask", {3, 1}, truths()}}, {{"value", 0.0}}},
                               {{{"x", {4}}, {"mask", {2, 1}, truths()}}, {{"value", 1.5}}},
                               {{{"x", {}}, {"mask", {}, truths()}}, {{"value", 1.5}}},
                               {{{"x", {0, 2}}, {"mask", {2}, truths()}}, {{"value", 1.5}}}}},
                  {.name = "clamp",
                   .family = "selection",
                   .question = "What is x, kept within bounds?",
                   .run = [](const Call& c) -> Results {
                     return clamp(c["x"], c.maybe_scalar("min"), c.maybe_scalar("max"));
                   },
                   .samples = both(of_one(away_from({-0.5, 1}), {{"min", -0.5}, {"max", 1.0}}),
                                   {shaped({3, 4}, {{"min", 0.25}}, away_from({0.25})),
                                    shaped({3, 4}, {{"max", 0.25}}, away_from({0.25}))})},
              });
}

}  // namespace retrace::catalogue
