// Wrong operands and wrong shapes.
#include <retrace/tests/reliability/bad_calls.h>

using namespace retrace;
using namespace retrace::testing;

std::vector<BadCall> retrace::testing::bad_products() {
  return {
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
  };
}

TEST_CASE("bad calls: arithmetic and products") { check(testing::bad_products()); }

std::vector<BadCall> retrace::testing::bad_views() {
  return {
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
  };
}

TEST_CASE("bad calls: views and joining") { check(testing::bad_views()); }
