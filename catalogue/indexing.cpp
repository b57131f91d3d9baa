#include <retrace/autograd/ops/indexing.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/index.h>

namespace retrace::catalogue {
namespace {

Sample indexed(const Shape& x, const Shape& index, std::int64_t size, Arguments arguments) {
  return {{{"x", x}, {"index", index, indices(size)}}, std::move(arguments)};
}

Sample scattered(const Shape& x, const Shape& index, const Shape& source, std::int64_t dim,
                 std::int64_t size) {
  return {{{"x", x}, {"index", index, indices(size)}, {"src", source}}, {{"dim", dim}}};
}

}  // namespace

void add_indexing(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "index_select",
           .family = "indexing",
           .question = "What stands at these indices of a dim?",
           .run = [](const Call& c) -> Results {
             return index_select(c["x"], c.integer("dim"), c["index"]);
           },
           .samples = {indexed({4, 3}, {6}, 4, {{"dim", 0}}),
                       indexed({2, 3, 4}, {2}, 3, {{"dim", 1}}), indexed({3}, {}, 3, {{"dim", 0}}),
                       indexed({3, 2}, {0}, 3, {{"dim", 0}}),
                       indexed({0, 2}, {3}, 2, {{"dim", 1}})}},
          {.name = "gather",
           .family = "indexing",
           .question = "What stands at each row's own index?",
           .run = [](const Call& c) -> Results {
             return gather(c["x"], c.integer("dim"), c["index"]);
           },
           .samples = {indexed({3, 4}, {3, 2}, 4, {{"dim", 1}}),
                       indexed({4, 3}, {5, 2}, 4, {{"dim", 0}}),
                       indexed({2, 3, 4}, {2, 2, 4}, 3, {{"dim", 1}}),
                       indexed({3}, {0}, 3, {{"dim", 0}})}},
          {.name = "take_along_dim",
           .family = "indexing",
           .question = "What stands at each row's own index, rows repeated where needed?",
           .run = [](const Call& c) -> Results {
             return take_along_dim(c["x"], c["index"], c.integer("dim", -1));
           },
           .samples = {indexed({3, 4}, {3, 2}, 4, {{"dim", 1}}),
                       indexed({3, 4}, {1, 2}, 4, {{"dim", 1}}),
                       indexed({1, 4}, {3, 2}, 4, {{"dim", 1}})}},
          {.name = "take_along_last",
           .family = "composition",
           .question = "Which one element does each row choose?",
           .run = [](const Call& c) -> Results {
             return take_along_dim(c["x"], c["index"].unsqueeze(-1), -1).squeeze(-1);
           },
           .samples = {indexed({3, 4}, {3}, 4, {}), indexed({2, 3, 5}, {2, 3}, 5, {})},
           .function = "take_along_dim"},
          {.name = "scatter_add",
           .family = "indexing",
           .question = "What gathers when each number is added at its index?",
           .run = [](const Call& c) -> Results {
             return scatter_add(c["x"], c.integer("dim"), c["index"], c["src"]);
           },
           .samples = {scattered({4, 3}, {5, 3}, {5, 3}, 0, 4),
                       scattered({3, 4}, {2, 3}, {3, 5}, 1, 4), scattered({3}, {7}, {7}, 0, 3),
                       scattered({3, 2}, {0, 2}, {1, 2}, 0, 3)}},
          {.name = "scatter",
           .family = "indexing",
           .question = "What is left when numbers are written at their indices?",
           .run = [](const Call& c) -> Results {
             return c.has("value")
                        ? scatter(c["x"], c.integer("dim"), c["index"], c.scalar("value"))
                        : scatter(c["x"], c.integer("dim"), c["index"], c["src"]);
           },
           .samples = {scattered({4, 3}, {5, 3}, {5, 3}, 0, 4),
                       scattered({3, 4}, {2, 3}, {3, 5}, 1, 4),
                       indexed({4, 3}, {2, 3}, 4, {{"dim", 0}, {"value", 0.5}})}},
          {.name = "index_add",
           .family = "indexing",
           .question = "What gathers when each slice is added at its index?",
           .run = [](const Call& c) -> Results {
             return index_add(c["x"], c.integer("dim"), c["index"], c["src"], c.scalar("alpha", 1));
           },
           .samples = {scattered({4, 3}, {6}, {6, 3}, 0, 4),
                       scattered({2, 3, 2}, {2}, {2, 2, 2}, 1, 3),
                       {{{"x", {3, 2}}, {"index", {2}, indices(3)}, {"src", {2, 2}}},
                        {{"dim", 0}, {"alpha", -0.5}}}}},
          {.name = "embedding",
           .family = "indexing",
           .question = "Which vector stands for each token?",
           .run = [](const Call& c) -> Results {
             return embedding(c["weight"], c["index"], c.maybe_integer("padding_idx"));
           },
           .samples = {{{{"weight", {5, 3}}, {"index", {2, 3}, indices(5)}}},
                       {{{"weight", {4, 2}}, {"index", {7}, indices(4)}}},
                       {{{"weight", {4, 2}}, {"index", {}, indices(4)}}},
                       {{{"weight", {4, 2}}, {"index", {0}, indices(4)}}}}},
          {.name = "masked_select",
           .family = "indexing",
           .question = "Which elements does a mask keep?",
           .run = [](const Call& c) -> Results { return masked_select(c["x"], c["mask"]); },
           .samples = {{{{"x", {3, 4}}, {"mask", {3, 4}, truths()}}},
                       {{{"x", {3, 1}}, {"mask", {2, 3, 4}, truths()}}},
                       {{{"x", {2, 3, 4}}, {"mask", {4}, truths()}}},
                       {{{"x", {0, 2}}, {"mask", {0, 2}, truths()}}}}},
          {.name = "nonzero",
           .family = "indexing",
           .question = "Where is something not zero?",
           .run = call_unary<nonzero>,
           .samples = {shaped({3, 4}, {}, truths()), shaped({}, {}, truths()),
                       shaped({0, 2}, {}, truths())},
           .differentiable = false},
          {.name = "one_hot",
           .family = "indexing",
           .question = "How is a class written as a vector with a single 1?",
           .run = [](const Call& c) -> Results {
             return one_hot(c["index"], c.integer("num_classes", -1));
           },
           .samples = {{{{"index", {2, 3}, indices(5)}}, {{"num_classes", 5}}},
                       {{{"index", {}, indices(3)}}, {{"num_classes", 4}}},
                       {{{"index", {0}, indices(3)}}, {{"num_classes", 4}}}},
           .differentiable = false},
          {.name = "index_put",
           .family = "indexing",
           .question = "What is left when values are written at indices, slices or a mask?",
           .run = [](const Call& c) -> Results {
             // Each place once, or the gradient of the value is that of a choice.
             return index_put(c["x"], {indexing::Slice(1, {}, 2), TensorIndex(c["mask"])},
                              c["value"]);
           },
           .samples = {{{{"x", {4, 3}}, {"mask", {3}, truths()}, {"value", {}}}},
                       {{{"x", {5, 2}}, {"mask", {2}, truths()}, {"value", {2, 1}}}}}},
      });
}

}  // namespace retrace::catalogue
