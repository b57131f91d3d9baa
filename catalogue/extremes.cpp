#include <retrace/autograd/ops/extremum.h>
#include <retrace/autograd/ops/sorting.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {
namespace {

Results call_amax(const Call& c) {
  return call_reduction(
      c, [](const Tensor& x) { return amax(x); },
      [](const Tensor& x, std::int64_t dim, bool keep) { return amax(x, dim, keep); },
      [](const Tensor& x, const Shape& dims, bool keep) { return amax(x, dims, keep); });
}

Results call_amin(const Call& c) {
  return call_reduction(
      c, [](const Tensor& x) { return amin(x); },
      [](const Tensor& x, std::int64_t dim, bool keep) { return amin(x, dim, keep); },
      [](const Tensor& x, const Shape& dims, bool keep) { return amin(x, dims, keep); });
}

Results call_max(const Call& c) {
  if (!c.has("dim")) return max(c["x"]);
  return max(c["x"], c.integer("dim"), c.flag("keepdim", false));
}

Results call_min(const Call& c) {
  if (!c.has("dim")) return min(c["x"]);
  return min(c["x"], c.integer("dim"), c.flag("keepdim", false));
}

// There is no extreme of nothing: dim 1 of [0, 3] is the only empty case.
std::vector<Sample> of_sorting() {
  return {shaped({3, 4}),
          shaped({3, 4}, {{"dim", 0}, {"descending", true}}),
          shaped({2, 3, 4}, {{"dim", 1}}),
          shaped({1}),
          shaped({}),
          shaped({2, 0})};
}

}  // namespace

void add_extremes(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "amax",
           .family = "extreme",
           .question = "How large is the largest?",
           .run = call_amax,
           .samples = of_reduction(),
           .smooth = all_differ},
          {.name = "amin",
           .family = "extreme",
           .question = "How large is the smallest?",
           .run = call_amin,
           .samples = of_reduction(),
           .smooth = all_differ},
          {.name = "max",
           .family = "extreme",
           .question = "How large is the largest, and where is it?",
           .run = call_max,
           .samples = of_reduction({}, false),
           .smooth = all_differ},
          {.name = "min",
           .family = "extreme",
           .question = "How large is the smallest, and where is it?",
           .run = call_min,
           .samples = of_reduction({}, false),
           .smooth = all_differ},
          {.name = "argmax",
           .family = "extreme",
           .question = "Where is the largest?",
           .run = [](const Call& c) -> Results {
             return c.has("dim") ? argmax(c["x"], c.integer("dim"), c.flag("keepdim", false))
                                 : argmax(c["x"]);
           },
           .samples = of_reduction({}, false),
           .differentiable = false},
          {.name = "argmin",
           .family = "extreme",
           .question = "Where is the smallest?",
           .run = [](const Call& c) -> Results {
             return c.has("dim") ? argmin(c["x"], c.integer("dim"), c.flag("keepdim", false))
                                 : argmin(c["x"]);
           },
           .samples = of_reduction({}, false),
           .differentiable = false},
          {.name = "sort",
           .family = "order",
           .question = "What is the order of the numbers?",
           .run = [](const Call& c) -> Results {
             return sort(c["x"], c.integer("dim", -1), c.flag("descending", false));
           },
           .samples = of_sorting(),
           .smooth = all_differ},
          {.name = "argsort",
           .family = "order",
           .question = "Which indices put the numbers in order?",
           .run = [](const Call& c) -> Results {
             return argsort(c["x"], c.integer("dim", -1), c.flag("descending", false));
           },
           .samples = of_sorting(),
           .differentiable = false},
          {.name = "topk",
           .family = "order",
           .question = "Which are the k largest or smallest?",
           .run = [](const Call& c) -> Results {
             return topk(c["x"], c.integer("k"), c.integer("dim", -1), c.flag("largest", true));
           },
           .samples = {shaped({3, 4}, {{"k", 2}}),
                       shaped({4, 3}, {{"k", 3}, {"dim", 0}, {"largest", false}}),
                       shaped({2, 5, 2}, {{"k", 5}, {"dim", 1}}), shaped({3}, {{"k", 0}}),
                       shaped({0, 3}, {{"k", 1}})},
           .smooth = all_differ},
      });
}

}  // namespace retrace::catalogue
