// Wrong calls, with the numbers of the list that they come from: each throws a documented type
// whose message names the op, what does not fit and what to do; changes nothing; leaves nothing
// behind; and the next call works. Calls that Retrace does not have are left out of the numbers:
// B063 (a reduction that is no word of ours does not compile), B094 and B118.
#include <retrace/tests/files.h>
#include <retrace/tests/reliability/refusal.h>

#include <cmath>
#include <limits>

using namespace retrace;
using testing::Arguments;
using testing::BadCall;

namespace {

const std::type_index kShape = typeid(ShapeError), kDType = typeid(DTypeError),
                      kIndex = typeid(IndexError), kValue = typeid(ValueError),
                      kTape = typeid(AutogradError);

Arguments two_by_three() { return {ones({2, 3})}; }
Arguments int64_row() { return {arange(2)}; }
Tensor leaf(const NestedList& values) { return tensor(values).requires_grad_(); }
Arguments leaf_of_two() { return {leaf({1.0, 2.0})}; }

void check(const std::vector<BadCall>& calls) {
  for (const BadCall& bad : calls) {
    const std::string objection = testing::objection(bad);
    CHECK_MESSAGE(objection.empty(), bad.number << ": " << objection);
  }
}

}  // namespace

TEST_CASE("bad calls: arithmetic and products") {
  check({
      {"B001",
       [] {
         return Arguments{ones({2, 3}), ones({4})};
       },
       [](const Arguments& a) { a[0] + a[1]; },
       kShape,
       {"add: cannot broadcast [2, 3] with [4] (axis 1: 3 vs 4)"}},
      {"B002",
       [] {
         return Arguments{ones({2, 3}), ones({2, 4})};
       },
       [](const Arguments& a) { a[0] + a[1]; },
       kShape,
       {"add: cannot broadcast [2, 3] with [2, 4] (axis 1: 3 vs 4)"}},
      {"B003",
       two_by_three,
       [](const Arguments& a) { a[0].matmul(a[0]); },
       kShape,
       {"matmul: inner sizes differ, [2, 3] @ [2, 3] (3 vs 2); transpose the right operand"}},
      {"B004",
       [] {
         return Arguments{ones({3}), ones({4})};
       },
       [](const Arguments& a) { a[0].matmul(a[1]); },
       kShape,
       {"matmul: inner sizes differ, [3] @ [4] (3 vs 4)"}},
      {"B005",
       [] { return Arguments{ones({})}; },
       [](const Arguments& a) { a[0].matmul(a[0]); },
       kShape,
       {"matmul: [] @ []", "0 dims", "mul"}},
      {"B006",
       [] {
         return Arguments{ones({2, 3, 4}), ones({4, 5})};
       },
       [](const Arguments& a) { mm(a[0], a[1]); },
       kShape,
       {"mm: operands are [2, 3, 4] and [4, 5]", "2 and 2 dims", "matmul"}},
      {"B007",
       [] {
         return Arguments{ones({2, 3, 4}), ones({3, 4, 5})};
       },
       [](const Arguments& a) { bmm(a[0], a[1]); },
       kShape,
       {"bmm: batch sizes differ, [2, 3, 4] @ [3, 4, 5] (2 vs 3)"}},
      {"B008",
       [] {
         return Arguments{ones({2, 3}), ones({3, 2}, kFloat64)};
       },
       [](const Arguments& a) { a[0].matmul(a[1]); },
       kDType,
       {"matmul: ", "float32 [2, 3]", "float64 [3, 2]", ".to(float32)"}},
      {"B009",
       [] {
         return Arguments{ones({2, 3}, kInt64), ones({3, 2})};
       },
       [](const Arguments& a) { a[0].matmul(a[1]); },
       kDType,
       {"matmul: ", "int64 [2, 3]", "float32 [3, 2]", ".to("}},
      {"B115",
       [] {
         return Arguments{arange(2), tensor({1, 0})};
       },
       [](const Arguments& a) { a[0] / a[1]; },
       kValue,
       {"div: [2] / [2] (int64)", "0 at element 1"}},
      {"B116",
       [] {
         return Arguments{arange(2), tensor({1, -2})};
       },
       [](const Arguments& a) { a[0].pow(a[1]); },
       kValue,
       {"pow: ", "-2 at element 1", "float32"}},
      {"B114",
       two_by_three,
       [](const Arguments& a) { a[0].clamp({}, {}); },
       kValue,
       {"clamp: no bound", "float32 [2, 3]", "min, max, or both"}},
  });
}

TEST_CASE("bad calls: views and joining") {
  check({
      {"B010",
       two_by_three,
       [](const Arguments& a) {
         a[0].view({4, 2});
       },
       kShape,
       {"view: shape [2, 3] has 6 elements, [4, 2] has 8"}},
      {"B011",
       two_by_three,
       [](const Arguments& a) {
         a[0].reshape({4, 2});
       },
       kShape,
       {"reshape: shape [2, 3] has 6 elements, [4, 2] has 8"}},
      {"B012",
       two_by_three,
       [](const Arguments& a) {
         a[0].reshape({-1, -1});
       },
       kShape,
       {"reshape: [-1, -1] has two unknown sizes"}},
      {"B013",
       [] {
         return Arguments{ones({0, 3})};
       },
       [](const Arguments& a) {
         a[0].reshape({-1, 0});
       },
       kShape,
       {"reshape: the size for -1 in [-1, 0] is ambiguous"}},
      {"B014",
       two_by_three,
       [](const Arguments& a) { a[0].t().view({6}); },
       kShape,
       {"view: ", "[3, 2]", "strides [1, 3]", "[6]", "use reshape"}},
      {"B015",
       two_by_three,
       [](const Arguments& a) {
         a[0].permute({0, 0});
       },
       kIndex,
       {"permute: dim 0 is named twice in [0, 0] for shape [2, 3]"}},
      {"B016",
       two_by_three,
       [](const Arguments& a) { a[0].permute({0}); },
       kShape,
       {"permute: [0] names 1 dims, shape [2, 3] has 2"}},
      {"B017",
       two_by_three,
       [](const Arguments& a) { a[0].transpose(0, 2); },
       kIndex,
       {"transpose: dim 2 is out of range for shape [2, 3]; give one in [-2, 1]"}},
      {"B018",
       two_by_three,
       [](const Arguments& a) { a[0].squeeze(5); },
       kIndex,
       {"squeeze: dim 5 is out of range for shape [2, 3]; give one in [-2, 1]"}},
      {"B019",
       two_by_three,
       [](const Arguments& a) { a[0].unsqueeze(4); },
       kIndex,
       {"unsqueeze: dim 4 is out of range for shape [2, 3]; give one in [-3, 2]"}},
      {"B020",
       two_by_three,
       [](const Arguments& a) {
         a[0].expand({4, 3});
       },
       kShape,
       {"expand: shape [2, 3] cannot become [4, 3] (axis 0: 2 to 4)"}},
      {"B021",
       two_by_three,
       [](const Arguments& a) { a[0].expand({3}); },
       kShape,
       {"expand: [3] has fewer dims than shape [2, 3]"}},
      {"B022",
       [] {
         return Arguments{ones({2, 3}), ones({2, 4})};
       },
       [](const Arguments& a) {
         cat({a[0], a[1]});
       },
       kShape,
       {"cat: tensor 1 is [2, 4], the first [2, 3]", "dim 0"}},
      {"B023",
       two_by_three,
       [](const Arguments&) { cat({}); },
       kValue,
       {"cat: the list of tensors is empty"}},
      {"B024",
       [] {
         return Arguments{ones({2, 3}), ones({3})};
       },
       [](const Arguments& a) {
         cat({a[0], a[1]});
       },
       kShape,
       {"cat: tensor 1 is [3], the first [2, 3]"}},
      {"B025",
       [] {
         return Arguments{ones({2}), ones({3})};
       },
       [](const Arguments& a) {
         stack({a[0], a[1]});
       },
       kShape,
       {"stack: tensor 1 is [3], the first [2]"}},
      {"B026",
       [] { return Arguments{ones({5})}; },
       [](const Arguments& a) {
         a[0].split(Shape{2, 2});
       },
       kShape,
       {"split: sizes [2, 2] add up to 4, dim 0 of shape [5] has 5"}},
      {"B027",
       two_by_three,
       [](const Arguments& a) { a[0].chunk(0); },
       kValue,
       {"chunk: 0 chunks of shape [2, 3]; give 1 or more"}},
  });
}

TEST_CASE("bad calls: reductions, softmax, order") {
  check({
      {"B028",
       two_by_three,
       [](const Arguments& a) { a[0].sum(2); },
       kIndex,
       {"sum: dim 2 is out of range for shape [2, 3]; give one in [-2, 1]"}},
      {"B029",
       two_by_three,
       [](const Arguments& a) {
         a[0].sum(Shape{0, -2});
       },
       kIndex,
       {"sum: dim 0 is named twice in [0, -2]"}},
      {"B030",
       [] { return Arguments{ones({0})}; },
       [](const Arguments& a) { a[0].max(); },
       kShape,
       {"max: shape [0] has no elements"}},
      {"B031",
       [] { return Arguments{ones({0})}; },
       [](const Arguments& a) { a[0].argmax(); },
       kShape,
       {"argmax: shape [0] has no elements"}},
      {"B032",
       int64_row,
       [](const Arguments& a) { a[0].mean(); },
       kDType,
       {"mean: needs float32 or float64, got int64", ".to("}},
      {"B033",
       two_by_three,
       [](const Arguments& a) { a[0].softmax(2); },
       kIndex,
       {"softmax: dim 2 is out of range for shape [2, 3]; give one in [-2, 1]"}},
      {"B034",
       int64_row,
       [](const Arguments& a) { a[0].softmax(0); },
       kDType,
       {"softmax: needs float32 or float64, got int64", ".to("}},
      {"B117",
       two_by_three,
       [](const Arguments& a) { a[0].topk(4); },
       kIndex,
       {"topk: k = 4 of 3 elements along dim 1 of shape [2, 3]"}},
  });
}

TEST_CASE("bad calls: indices and masks") {
  check({
      {"B035",
       two_by_three,
       [](const Arguments& a) { a[0][5]; },
       kIndex,
       {"select: index 5 is out of range for dim 0 of shape [2, 3]; give one in [-2, 1]"}},
      {"B036",
       two_by_three,
       [](const Arguments& a) { a[0].select(1, 3); },
       kIndex,
       {"select: index 3 is out of range for dim 1 of shape [2, 3]; give one in [-3, 2]"}},
      {"B037",
       two_by_three,
       [](const Arguments& a) { a[0].slice(0, 0, 2, 0); },
       kValue,
       {"slice: step is 0 for dim 0 of shape [2, 3]; it must be 1 or more"}},
      {"B038",
       two_by_three,
       [](const Arguments& a) { a[0].index({indexing::Slice(2, 0, -1)}); },
       kValue,
       {"slice: step is -1 for dim 0 of shape [2, 3]; it must be 1 or more"}},
      {"B039",
       [] { return Arguments{ones({5})}; },
       [](const Arguments& a) { a[0].narrow(0, 3, 4); },
       kIndex,
       {"narrow: start 3 and length 4 exceed dim 0 of shape [5]"}},
      {"B040",
       [] { return Arguments{ones({})}; },
       [](const Arguments& a) { a[0][0]; },
       kIndex,
       {"select: a 0-d tensor", "item()"}},
      {"B041",
       two_by_three,
       [](const Arguments& a) {
         a[0].index({0, 0, 0});
       },
       kIndex,
       {"index: 3 indices for shape [2, 3], which has 2 dims"}},
      {"B042",
       [] {
         return Arguments{ones({2, 3}), tensor({0, 5})};
       },
       [](const Arguments& a) { a[0].index_select(0, a[1]); },
       kIndex,
       {"index_select: index 5 at [1] is out of range for dim 0 of shape [2, 3]", "[0, 2)"}},
      {"B043",
       [] {
         return Arguments{ones({2, 3}), ones({1})};
       },
       [](const Arguments& a) { a[0].index_select(0, a[1]); },
       kDType,
       {"index_select: indices must be int64, got float32", "[1]", ".to(kInt64)"}},
      {"B044",
       [] {
         return Arguments{ones({2, 3}), tensor({{0, 3}})};
       },
       [](const Arguments& a) { a[0].gather(1, a[1]); },
       kIndex,
       {"gather: index 3 at [0, 1] is out of range for dim 1 of shape [2, 3]"}},
      {"B045",
       [] {
         return Arguments{ones({2, 3}), tensor({0})};
       },
       [](const Arguments& a) { a[0].gather(1, a[1]); },
       kShape,
       {"gather: indices of shape [1] for a tensor of shape [2, 3]"}},
      {"B046",
       [] {
         return Arguments{ones({2, 3}), tensor({{3}}), ones({1, 1})};
       },
       [](const Arguments& a) { scatter(a[0], 1, a[1], a[2]); },
       kIndex,
       {"scatter: index 3 at [0, 0] is out of range for dim 1 of shape [2, 3]"}},
      {"B047",
       [] {
         return Arguments{ones({4, 2}), tensor({{0, 4}})};
       },
       [](const Arguments& a) { embedding(a[0], a[1]); },
       kIndex,
       {"embedding: index 4 at [0, 1] is out of range for a table of 4 rows [4, 2]"}},
      {"B048",
       [] {
         return Arguments{ones({4, 2}), tensor({-1})};
       },
       [](const Arguments& a) { embedding(a[0], a[1]); },
       kIndex,
       {"embedding: index -1 at [0] is out of range for a table of 4 rows [4, 2]"}},
      {"B049",
       [] {
         return Arguments{ones({4, 2}), ones({1})};
       },
       [](const Arguments& a) { embedding(a[0], a[1]); },
       kDType,
       {"embedding: indices must be int64, got float32", "[1]"}},
      {"B050",
       [] {
         return Arguments{tensor({0, -1})};
       },
       [](const Arguments& a) { one_hot(a[0], 3); },
       kIndex,
       {"one_hot: class -1 at [1] of [2] is out of range", "[0, 3)"}},
      {"B051",
       [] {
         return Arguments{tensor({0, 3})};
       },
       [](const Arguments& a) { one_hot(a[0], 3); },
       kIndex,
       {"one_hot: class 3 at [1] of [2] is out of range", "[0, 3)"}},
      {"B052",
       [] {
         return Arguments{ones({5, 4}), ones({1}, kBool)};
       },
       [](const Arguments& a) { a[0].index({a[1]}); },
       kShape,
       {"index: a mask of shape [1]", "[5, 4]"}},
      {"B053",
       [] {
         return Arguments{ones({2}), ones({2})};
       },
       [](const Arguments& a) { where(a[0], a[0], a[1]); },
       kDType,
       {"where: the mask [2] is float32, it must be bool"}},
  });
}

TEST_CASE("bad calls: losses and layers") {
  using namespace losses;
  check({
      {"B054",
       [] {
         return Arguments{zeros({2, 3}), tensor({0, 3})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kIndex,
       {"cross_entropy: target 3 (element 1 of [2]) is outside [0, 3)", "[2, 3]"}},
      {"B055",
       [] {
         return Arguments{zeros({2, 3}), tensor({-1, 0})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kIndex,
       {"cross_entropy: target -1 (element 0 of [2]) is outside [0, 3)"}},
      {"B056",
       [] {
         return Arguments{zeros({2, 3}), tensor({0, 1, 2})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kShape,
       {"cross_entropy: targets are [3] for an input [2, 3]", "[2]"}},
      {"B057",
       [] {
         return Arguments{zeros({2, 3}), ones({2})};
       },
       [](const Arguments& a) { cross_entropy(a[0], a[1]); },
       kDType,
       {"cross_entropy: targets are float32 [2]", "[2, 3]", "int64", ".to(kInt64)"}},
      {"B058",
       [] {
         return Arguments{zeros({2, 3}), ones({2}, kBool)};
       },
       [](const Arguments& a) { nll_loss(a[0], a[1]); },
       kDType,
       {"nll_loss: class targets must be int64", "bool [2]", ".to(kInt64)"}},
      {"B059",
       [] {
         return Arguments{full({5, 1}, 0.5), ones({5})};
       },
       [](const Arguments& a) { bce_loss(a[0], a[1]); },
       kShape,
       {"bce_loss: ", "[5, 1]", "[5]"}},
      {"B060",
       [] {
         return Arguments{tensor({0.5, 1.5}), ones({2})};
       },
       [](const Arguments& a) { bce_loss(a[0], a[1]); },
       kValue,
       {"bce_loss: ", "1.5", "[0, 1]"}},
      {"B061",
       [] {
         return Arguments{ones({5, 1}), ones({5})};
       },
       [](const Arguments& a) { bce_with_logits(a[0], a[1]); },
       kShape,
       {"bce_with_logits: ", "[5, 1]", "[5]"}},
      {"B062",
       [] {
         return Arguments{ones({5}), ones({4})};
       },
       [](const Arguments& a) { mse_loss(a[0], a[1]); },
       kShape,
       {"mse_loss: ", "[5]", "[4]"}},
      {"B064",
       [] {
         return Arguments{ones({3, 4}), ones({2, 5})};
       },
       [](const Arguments& a) { linear(a[0], a[1]); },
       kShape,
       {"linear: x is [3, 4], weight [2, 5]"}},
      {"B065",
       [] {
         return Arguments{ones({3, 4}, kInt64), ones({2, 4})};
       },
       [](const Arguments& a) { linear(a[0], a[1]); },
       kDType,
       {"linear: x is int64 [3, 4], weight float32 [2, 4]", ".to(float32)"}},
      {"B066",
       [] {
         return Arguments{ones({1, 2, 8, 8}), ones({4, 3, 3, 3})};
       },
       [](const Arguments& a) { conv2d(a[0], a[1]); },
       kShape,
       {"conv2d: x is [1, 2, 8, 8] with 2 channels, weight [4, 3, 3, 3] with 3"}},
      {"B067",
       [] {
         return Arguments{ones({1, 1, 3, 3}), ones({1, 1, 5, 5})};
       },
       [](const Arguments& a) { conv2d(a[0], a[1]); },
       kShape,
       {"conv2d: x is [1, 1, 3, 3], weight [1, 1, 5, 5]", "fit into the padded input"}},
      {"B068",
       two_by_three,
       [](const Arguments&) { nn::Conv2d(3, 4, 3, {.groups = 2}); },
       kValue,
       {"Conv2d: in_channels is 3, out_channels 4, groups 2"}},
      {"B069",
       [] {
         return Arguments{ones({1, 2, 2})};
       },
       [](const Arguments& a) { max_pool2d(a[0], 3); },
       kShape,
       {"max_pool2d: ", "kernel_size 3", "give a smaller window"}},
      {"B070",
       [] {
         return Arguments{ones({1, 4, 4})};
       },
       [](const Arguments& a) { max_pool2d(a[0], 2, {.padding = 2}); },
       kValue,
       {"max_pool2d: kernel_size is 2, stride 2, padding 2", "half a window"}},
      {"B071",
       two_by_three,
       [](const Arguments& a) { layer_norm(a[0], {4}); },
       kShape,
       {"layer_norm: x is [2, 3], normalized_shape [4]"}},
      {"B072",
       [] {
         return Arguments{ones({1, 3})};
       },
       [](const Arguments& a) { nn::BatchNorm1d(3)(a[0]); },
       kValue,
       {"batch_norm: x is [1, 3], 1 values per channel", "at least two in training"}},
      {"B073",
       [] {
         return Arguments{ones({2, 4})};
       },
       [](const Arguments& a) { nn::BatchNorm1d(3)(a[0]); },
       kShape,
       {"batch_norm: x is [2, 4]", "[3]", "[4]"}},
      {"B074",
       [] {
         return Arguments{ones({2, 3})};
       },
       [](const Arguments& a) { nn::BatchNorm2d(3)(a[0]); },
       kShape,
       {"BatchNorm2d: ", "[2, 3]"}},
      {"B075",
       [] {
         return Arguments{ones({2, 5, 3})};
       },
       [](const Arguments& a) { group_norm(a[0], 2); },
       kValue,
       {"group_norm: x is [2, 5, 3], num_groups 2", "5 channels"}},
      {"B076",
       two_by_three,
       [](const Arguments&) { nn::MultiheadAttention(10, 3); },
       kValue,
       {"MultiheadAttention: embed_dim is 10, num_heads 3"}},
      {"B077",
       two_by_three,
       [](const Arguments& a) { dropout(a[0], 1.5); },
       kValue,
       {"dropout: p is 1.5; give a probability in [0, 1]"}},
      {"V01",
       [] {
         return Arguments{ones({3}), ones({3})};
       },
       [](const Arguments& a) { a[0].masked_fill(a[1], 1.0); },
       kDType,
       {"masked_fill: the mask [3] is float32, it must be bool"}},
      {"V02",
       [] {
         return Arguments{ones({5, 1}), ones({5})};
       },
       [](const Arguments& a) { mse_loss(a[0], a[1]); },
       kShape,
       {"mse_loss: ", "[5, 1]", "[5]"}},
      {"V03",
       [] {
         return Arguments{tensor({1.0, 0.0})};
       },
       [](const Arguments& a) { multinomial(a[0], 2); },
       kValue,
       {"multinomial: 2 samples without replacement", "1 weights above 0"}},
      {"V04",
       two_by_three,
       [](const Arguments& a) { a[0].clamp(2.0, 1.0); },
       kValue,
       {"clamp: min 2 is not at most max 1"}},
  });
}

TEST_CASE("bad calls: the tape") {
  check({
      {"B078",
       leaf_of_two,
       [](const Arguments& a) { (a[0] * 2.0).backward(); },
       kTape,
       {"backward: only a scalar", "[2]", ".sum() or .mean()"}},
      {"B079",
       two_by_three,
       [](const Arguments& a) { a[0].sum().backward(); },
       kTape,
       {"backward: the tensor of shape [] has no history", "requires_grad_()"}},
      {"B080",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         const Tensor y = (x * x).sum();
         y.backward();
         return Arguments{x, y};
       },
       [](const Arguments& a) { a[1].backward(); },
       kTape,
       {"backward: the graph was freed by an earlier backward (at sum)", "retain_graph = true"}},
      {"B081",
       [] {
         const Tensor x = leaf({1.0, 2.0, 3.0});
         Tensor y = x.exp();
         const Tensor z = y.sum();
         const NoGradGuard guard;
         y.add_(1);
         return Arguments{x, y, z};
       },
       [](const Arguments& a) { a[2].backward(); },
       kTape,
       {"exp: its output", "float32 [3]", "version 1, saved at 0", "clone()"}},
      {"B082",
       [] {
         const Tensor x = leaf({1.0, 2.0, 3.0});
         const Tensor y = (x * x).sum();
         const NoGradGuard guard;
         Tensor(x).add_(1);
         return Arguments{x, y};
       },
       [](const Arguments& a) { a[1].backward(); },
       kTape,
       {"mul: input 0", "float32 [3]", "version 1, saved at 0"}},
      {"B083",
       leaf_of_two,
       [](const Arguments& a) { Tensor(a[0]).add_(1); },
       kTape,
       {"add_: a leaf of shape [2] that wants a gradient", "NoGradGuard"}},
      {"B084",
       leaf_of_two,
       [](const Arguments& a) { a[0][0] = 1.0; },
       kTape,
       {"fill_: ", "[]", "view", "clone()"}},
      {"B085",
       [] { return Arguments{ones({1}).expand({3})}; },
       [](const Arguments& a) { Tensor(a[0]).add_(1); },
       kValue,
       {"add_: ", "[3]", "strides [0]", "clone()"}},
      {"B086",
       [] {
         return Arguments{ones({2, 3}), ones({4, 2, 3})};
       },
       [](const Arguments& a) { Tensor(a[0]).add_(a[1]); },
       kShape,
       {"add_: the result would be [4, 2, 3], the tensor is [2, 3]"}},
      {"B087",
       int64_row,
       [](const Arguments& a) { Tensor(a[0]).add_(0.5); },
       kDType,
       {"add_: 0.5 is not a whole number", "int64", ".to(kFloat32)"}},
      {"B087",
       [] {
         return Arguments{arange(2), ones({2})};
       },
       [](const Arguments& a) { Tensor(a[0]).add_(a[1]); },
       kDType,
       {"add_: ", "int64 [2]", "float32 [2]", ".to("}},
      {"B088",
       int64_row,
       [](const Arguments& a) { Tensor(a[0]).requires_grad_(); },
       kDType,
       {"requires_grad_: only float32 and float64", "[2]", "int64"}},
      {"B089",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         return Arguments{x, x * 2.0};
       },
       [](const Arguments& a) { Tensor(a[1]).requires_grad_(false); },
       kTape,
       {"requires_grad_: a tensor [2]", "detach()"}},
      {"B090",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         return Arguments{x, x.sum(), ones({3})};
       },
       [](const Arguments& a) { a[1].backward(a[2]); },
       kShape,
       {"backward: the gradient is [3], the tensor []"}},
      {"B091",
       [] {
         return Arguments{leaf({1.0, 2.0}), ones({3})};
       },
       [](const Arguments& a) { a[0].set_grad(a[1]); },
       kShape,
       {"set_grad: the gradient has shape [3], the tensor [2]"}},
      {"B092",
       [] {
         return Arguments{leaf({1.0, 2.0}), ones({2}, kFloat64)};
       },
       [](const Arguments& a) { a[0].set_grad(a[1]); },
       kDType,
       {"set_grad: the gradient is float64, the tensor float32"}},
      {"B093",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         return Arguments{x, leaf({3.0}), (x * x).sum()};
       },
       [](const Arguments& a) { grad({a[2]}, {a[1]}, {}, /*retain_graph=*/true); },
       kTape,
       {"grad: the outputs do not depend on input 0 of shape [1]", "allow_unused = true"}},
      {"B095",
       two_by_three,
       [](const Arguments& a) { a[0].item<float>(); },
       kValue,
       {"item: a tensor of shape [2, 3] has 6 elements"}},
      {"B096",
       two_by_three,
       [](const Arguments& a) { static_cast<void>(static_cast<bool>(a[0])); },
       kValue,
       {"bool: a tensor of shape [2, 3]", ".any() or .all()"}},
      {"B097",
       two_by_three,
       [](const Arguments& a) { a[0].retain_grad(); },
       kTape,
       {"retain_grad: the tensor of shape [2, 3] wants no gradient", "requires_grad_()"}},
      {"B098",
       two_by_three,
       [](const Arguments& a) { a[0].register_hook([](const Tensor&) {}); },
       kTape,
       {"register_hook: the tensor of shape [2, 3] wants no gradient", "requires_grad_()"}},
      {"B099",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         x.register_hook([](const Tensor&) { return ones({3}); });
         return Arguments{x, (x * 2.0).sum()};
       },
       [](const Arguments& a) { a[1].backward({}, /*retain_graph=*/true); },
       kShape,
       {"hook: ", "[2]", "[3]", "return the same shape"}},
      {"B138",
       [] { return Arguments{leaf(0.0)}; },
       [](const Arguments& a) {
         const AnomalyMode anomaly;
         (a[0].sqrt() * 0.0).backward();
       },
       kTape,
       {"backward of sqrt: the gradient of input 0 [] is NaN at element 0"}},
  });
}

TEST_CASE("bad calls: sizes, ranges and random numbers") {
  const auto nothing = [] { return Arguments{}; };
  check({
      {"B100",
       nothing,
       [](const Arguments&) {
         zeros({-1, 3});
       },
       kShape,
       {"shape: [-1, 3] has a negative size"}},
      {"B101",
       nothing,
       [](const Arguments&) {
         zeros({std::int64_t{1} << 40, std::int64_t{1} << 40});
       },
       kShape,
       {"shape: ", "[1099511627776, 1099511627776]", "does not fit 63 bits"}},
      {"B102",
       nothing,
       [](const Arguments&) { zeros({std::int64_t{1} << 44}); },
       kValue,
       {"memory: cannot allocate 70368744177664 bytes for float32 [17592186044416]"}},
      {"B103",
       nothing,
       [](const Arguments&) {
         zeros({std::int64_t{1} << 31, std::int64_t{1} << 31, std::int64_t{1} << 31});
       },
       kShape,
       {"shape: ", "[2147483648, 2147483648, 2147483648]"}},
      {"B104",
       [] { return Arguments{ones({1})}; },
       [](const Arguments& a) { a[0].expand({std::int64_t{1} << 44}).contiguous(); },
       kValue,
       {"memory: cannot allocate 70368744177664 bytes for float32 [17592186044416]"}},
      {"B105",
       nothing,
       [](const Arguments&) { arange(0, 5, 0); },
       kValue,
       {"arange: step is 0", "from 0 to 5"}},
      {"B106",
       nothing,
       [](const Arguments&) { arange(0, 5, -1); },
       kValue,
       {"arange: step -1 leads away from the end, 0 to 5"}},
      {"B107",
       nothing,
       [](const Arguments&) { linspace(0, 1, -1); },
       kValue,
       {"linspace: -1 steps; give 0 or more"}},
      {"B108",
       nothing,
       [](const Arguments&) {
         tensor({{1, 2}, {3}});
       },
       kShape,
       {"tensor: ragged list, 1 items at depth 1 where 2 are expected"}},
      {"B109",
       nothing,
       [](const Arguments&) { randint(5, 5, {2}); },
       kValue,
       {"randint: low 5", "high 5"}},
      {"B110",
       [] {
         return Arguments{tensor({0.5, 1.5})};
       },
       [](const Arguments& a) { bernoulli(a[0]); },
       kValue,
       {"bernoulli: probability 1.5 at position 1 of float32 [2]", "[0, 1]"}},
      {"B111",
       [] { return Arguments{zeros({3})}; },
       [](const Arguments& a) { multinomial(a[0], 1); },
       kValue,
       {"multinomial: the weights of row 0 sum to 0"}},
      {"B112",
       [] {
         return Arguments{tensor({1.0, -1.0})};
       },
       [](const Arguments& a) { multinomial(a[0], 1); },
       kValue,
       {"multinomial: weight -1 at row 0, column 1"}},
      {"B113",
       two_by_three,
       [](const Arguments& a) { Tensor(a[0]).normal_(0, -1); },
       kValue,
       {"normal_: ", "std -1"}},
  });
}

TEST_CASE("bad calls: optimizers and modules") {
  using namespace optim;
  check({
      {"B119",
       two_by_three,
       [](const Arguments&) { SGD(std::vector<Tensor>{}); },
       kValue,
       {"SGD: there are no parameters", "module.parameters()"}},
      {"B120",
       leaf_of_two,
       [](const Arguments& a) { SGD({a[0]}, {.lr = -0.1}); },
       kValue,
       {"SGD: lr is -0.1"}},
      {"B121",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         return Arguments{x, x * 2.0};
       },
       [](const Arguments& a) { SGD({a[1]}); },
       kTape,
       {"SGD: parameter 0 of shape [2] is computed from others, not a leaf"}},
      {"B122",
       leaf_of_two,
       [](const Arguments& a) {
         SGD(std::vector<SGD::Group>{{{a[0]}, SGDOptions{}}, {{a[0]}, SGDOptions{}}});
       },
       kValue,
       {"SGD: a parameter of shape [2] is in group 0 and in group 1"}},
      {"B123",
       leaf_of_two,
       [](const Arguments& a) { SGD({a[0]}, {.nesterov = true}); },
       kValue,
       {"SGD: nesterov with momentum 0"}},
      {"B124",
       leaf_of_two,
       [](const Arguments& a) {
         Adam({a[0]}, {.betas = {1.0, 0.999}});
       },
       kValue,
       {"Adam: betas[0] is 1; give a number in [0, 1)"}},
      {"B125",
       leaf_of_two,
       [](const Arguments& a) { Adam({a[0]}, {.eps = -1}); },
       kValue,
       {"Adam: eps is -1"}},
      {"B126",
       leaf_of_two,
       [](const Arguments& a) { AdamW({a[0]}, {.weight_decay = -1}); },
       kValue,
       {"AdamW: weight_decay is -1"}},
      {"B127",
       [] {
         return Arguments{leaf({1.0}), leaf({2.0})};
       },
       [](const Arguments& a) {
         const SGD two(std::vector<SGD::Group>{{{a[0]}, SGDOptions{}}, {{a[1]}, SGDOptions{}}});
         SGD({a[0], a[1]}).load_state_dict(two.state_dict());
       },
       kValue,
       {"SGD: the state has 2 parameter groups, the optimizer 1"}},
      {"B128",
       [] {
         return Arguments{leaf({1.0}), leaf({2.0})};
       },
       [](const Arguments& a) {
         SGD({a[0], a[1]}).load_state_dict(SGD({a[0]}).state_dict());
       },
       kValue,
       {"SGD: group 0 of the state has 1 parameters, that of the optimizer 2"}},
      {"B129",
       [] {
         return Arguments{leaf({{1.0}}), leaf({2.0})};
       },
       [](const Arguments& a) {
         nn::Linear(a[0], a[1]).load_state_dict({{"weight", ones({1, 1})}});
       },
       kValue,
       {"load_state_dict: ", "Linear", "missing: bias"}},
      {"B130",
       [] {
         return Arguments{leaf({{1.0}}), leaf({2.0})};
       },
       [](const Arguments& a) {
         nn::Linear(a[0], a[1])
             .load_state_dict({{"weight", ones({1, 1})}, {"bias", ones({1})}, {"x", ones({1})}});
       },
       kValue,
       {"load_state_dict: ", "Linear", "unexpected: x"}},
      {"B131",
       [] {
         return Arguments{leaf({{1.0}}), leaf({2.0})};
       },
       [](const Arguments& a) {
         nn::Linear(a[0], a[1]).load_state_dict({{"weight", ones({3, 2})}, {"bias", ones({1})}});
       },
       kValue,
       {"load_state_dict: ", "Linear", "another shape: weight is [3, 2]", "[1, 1]"}},
      {"B132",
       two_by_three,
       [](const Arguments&) { nn::Module().register_parameter("a.b", ones({1})); },
       kValue,
       {"register_parameter: the name \"a.b\" has a dot"}},
      {"B133",
       two_by_three,
       [](const Arguments&) { nn::Module().register_parameter("", ones({1})); },
       kValue,
       {"register_parameter: the name is empty"}},
      {"B134",
       [] {
         const Tensor x = leaf({1.0, 2.0});
         x.set_grad(tensor({1.0, std::numeric_limits<double>::infinity()}));
         return Arguments{x};
       },
       [](const Arguments& a) { nn::utils::clip_grad_norm_({a[0]}, 1.0, 2.0, true); },
       kValue,
       {"clip_grad_norm_: the norm of order 2", "inf", "error_if_nonfinite = false"}},
  });
}

TEST_CASE("bad calls: files") {
  const testing::TemporaryFolder folder;
  const auto message = [&](std::string_view contents) {
    const std::string path = folder.put("x", contents);
    const std::string text = testing::message_of<IoError>([&] { load_safetensors(path); });
    CHECK(text.starts_with(path + ": "));
    return text.substr(path.size() + 2);
  };
  // B135 to B137
  CHECK(message("<!DOCTYPE html>\n<html>").starts_with("not a safetensors file: "));
  CHECK(message("").starts_with("not a safetensors file: 0 bytes"));
  save_safetensors(folder / "whole", {{"x", ones({100})}});
  const std::string whole = testing::contents_of(folder / "whole");
  CHECK(testing::says(message(whole.substr(0, whole.size() - 4)), "cut short"));
  CHECK(testing::says(message(whole.substr(0, 40)), "cut short"));
  std::string flipped = whole;
  flipped[whole.size() - 1] ^= 64;  // V06
  CHECK(testing::says(message(flipped), "tensor \"x\": its bytes do not match their checksum"));
}
