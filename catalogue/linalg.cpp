#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/catalogue/samples.h>
#include <retrace/catalogue/scenes.h>

namespace retrace::catalogue {
namespace {

Sample product(const Shape& a, const Shape& b) { return {{{"a", a}, {"b", b}}}; }

Results call_einsum(const Call& c) {
  std::vector<Tensor> operands;
  for (const auto& [name, tensor] : c.tensors()) operands.push_back(tensor);
  return einsum(c.text("equation"), operands);
}

Sample einsum_of(const std::string& equation, const std::vector<Shape>& shapes) {
  Sample sample{{}, {{"equation", equation}}};
  for (std::size_t i = 0; i < shapes.size(); ++i)
    sample.inputs.push_back({std::string(1, static_cast<char>('a' + i)), shapes[i]});
  return sample;
}

}  // namespace

void add_linalg(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "matmul",
           .family = "product",
           .question = "Where does a linear map take these vectors?",
           .run = call_binary<matmul>,
           .samples = {product({3, 4}, {4, 2}), product({4}, {4}), product({3, 4}, {4}),
                       product({4}, {4, 2}), product({2, 3, 4}, {2, 4, 2}),
                       product({2, 1, 3, 4}, {3, 4, 2}), product({2, 3, 4}, {4}),
                       product({4}, {2, 4, 3}), product({3, 3}, {3, 3}), product({2, 0}, {0, 3}),
                       product({0, 3}, {3, 2}), product({1, 1}, {1, 1})}},
          {.name = "mm",
           .family = "product",
           .question = "What do two linear maps do one after the other?",
           .run = call_binary<mm>,
           .samples = {product({3, 4}, {4, 2}), product({2, 2}, {2, 2}), product({2, 0}, {0, 2})}},
          {.name = "bmm",
           .family = "product",
           .question = "What do many pairs of linear maps do, each pair on its own?",
           .run = call_binary<bmm>,
           .samples = {product({2, 3, 4}, {2, 4, 2}), product({2, 2, 2}, {2, 2, 2}),
                       product({0, 2, 3}, {0, 3, 2})}},
          {.name = "mv",
           .family = "product",
           .question = "Where does a linear map take a vector?",
           .run = call_binary<mv>,
           .samples = {product({3, 4}, {4}), product({2, 0}, {0}), product({1, 1}, {1})}},
          {.name = "dot",
           .family = "product",
           .question = "How much do two vectors agree?",
           .run = call_binary<dot>,
           .samples = {product({4}, {4}), product({1}, {1}), product({0}, {0})}},
          {.name = "outer",
           .family = "product",
           .question = "What is each number of one vector times each of the other?",
           .run = call_binary<outer>,
           .samples = {product({3}, {4}), product({2}, {2}), product({0}, {2})}},
          {.name = "addmm",
           .family = "product",
           .question = "What is a product of matrices, added to what was there?",
           .run = [](const Call& c) -> Results {
             return addmm(c["c"], c["a"], c["b"], c.scalar("beta", 1), c.scalar("alpha", 1));
           },
           .samples = {{{{"c", {3, 2}}, {"a", {3, 4}}, {"b", {4, 2}}}},
                       {{{"c", {2}}, {"a", {3, 4}}, {"b", {4, 2}}}, {{"beta", 0.5}}},
                       {{{"c", {}}, {"a", {3, 4}}, {"b", {4, 2}}},
                        {{"beta", -1.5}, {"alpha", 2.0}}},
                       {{{"c", {2, 2}}, {"a", {2, 0}}, {"b", {0, 2}}}}}},
          {.name = "einsum",
           .family = "product",
           .question = "What is the sum of products over the named indices?",
           .run = call_einsum,
           .samples = {einsum_of("ij,jk->ik", {{3, 4}, {4, 2}}),
                       einsum_of("bij,bjk->bik", {{2, 3, 4}, {2, 4, 2}}),
                       einsum_of("ii->i", {{3, 3}}), einsum_of("ij->", {{2, 3}}),
                       einsum_of("bi,ij,bj->b", {{2, 3}, {3, 4}, {2, 4}}),
                       einsum_of("...i,i->...", {{2, 3, 4}, {4}}),
                       einsum_of("i,j->ij", {{0}, {2}})}},
          {.name = "linear",
           .family = "product",
           .question = "What does a layer of weights and a bias make of its inputs?",
           .run = [](const Call& c) -> Results {
             return linear(c["x"], c["weight"], c.optional("bias"));
           },
           .samples = {{{{"x", {3, 4}}, {"weight", {2, 4}}, {"bias", {2}}}},
                       {{{"x", {2, 3, 4}}, {"weight", {2, 4}}, {"bias", {2}}}},
                       {{{"x", {4}}, {"weight", {2, 4}}}},
                       {{{"x", {3, 3}}, {"weight", {3, 3}}}},
                       {{{"x", {0, 4}}, {"weight", {2, 4}}, {"bias", {2}}}},
                       {{{"x", {3, 0}}, {"weight", {2, 0}}, {"bias", {2}}}},
                       {{{"x", {3, 1}}, {"weight", {1, 1}}, {"bias", {1}}}}},
           .card =
               {.topic = 1,
                .about =
                    "Weighs its inputs, adds them up and adds a bias. Many of them in a row are no "
                    "more than one: without an activation between, depth is for nothing.",
                .range = "(-∞, ∞)",
                .slope = "The weight, everywhere: never vanishes, never jumps.",
                .call = "linear(x, weight, bias)",
                .example = "mlp_classifier --linear",
                .trap = "No straight line separates the four points of exclusive or, however many "
                        "layers make it: ./run xor.",
                .scene =
                    {.inputs = {{"x", {1, 1}, {0}}, {"weight", {1, 1}, {0.5}}, {"bias", {1}, {0}}},
                     .moved = "x",
                     .axis = along_x().axis,
                     .knobs = {{"weight", "w", {-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0}, 0.5},
                               {"bias", "b", {-2.0, -1.0, 0.0, 1.0, 2.0}, 0.0}}}}},
          {.name = "chain_diamond",
           .family = "composition",
           .question = "Does a tensor that is used on several ways get all their gradients?",
           .run = [](const Call& c) -> Results {
             const Tensor& x = c["x"];
             return sum(x * x + exp(x)) * mean(x);
           },
           .samples = {shaped({3, 4}), shaped({2})},
           .function = "exp"},
          {.name = "chain_mlp",
           .family = "composition",
           .question = "What does a small network compute?",
           .run = [](const Call& c) -> Results {
             return linear(tanh(linear(c["x"], c["w1"], c["b1"])), c["w2"], c["b2"]);
           },
           .samples = {{{{"x", {3, 2}}, {"w1", {4, 2}}, {"b1", {4}}, {"w2", {1, 4}}, {"b2", {1}}}},
                       {{{"x", {2}}, {"w1", {3, 2}}, {"b1", {3}}, {"w2", {2, 3}}, {"b2", {2}}}}},
           .function = "linear",
           .allows_same = false},
      });
}

}  // namespace retrace::catalogue
