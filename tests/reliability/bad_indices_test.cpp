// Wrong reductions and wrong indices.
#include <retrace/tests/reliability/bad_calls.h>

using namespace retrace;
using namespace retrace::testing;

std::vector<BadCall> retrace::testing::bad_reductions() {
  return {
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
  };
}

TEST_CASE("bad calls: reductions, softmax, order") { check(testing::bad_reductions()); }

std::vector<BadCall> retrace::testing::bad_indices() {
  return {
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
       {"slice: step is 0 for dim 0 of shape [2, 3]; give 1 or more"}},
      {"B038",
       two_by_three,
       [](const Arguments& a) { a[0].index({indexing::Slice(2, 0, -1)}); },
       kValue,
       {"slice: step is -1 for dim 0 of shape [2, 3]; give 1 or more"}},
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
  };
}

TEST_CASE("bad calls: indices and masks") { check(testing::bad_indices()); }
