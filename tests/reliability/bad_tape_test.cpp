// Wrong calls of the tape, sizes that cannot be, files that are broken.
#include <retrace/tests/files.h>
#include <retrace/tests/reliability/bad_calls.h>

using namespace retrace;
using namespace retrace::testing;

std::vector<BadCall> retrace::testing::bad_tape() {
  return {
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
       {"backward: the graph was freed by an earlier backward (at sum [])", "retain_graph = true"}},
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
  };
}

TEST_CASE("bad calls: the tape") { check(testing::bad_tape()); }

std::vector<BadCall> retrace::testing::bad_sizes() {
  const auto nothing = [] { return Arguments{}; };
  return {
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
  };
}

TEST_CASE("bad calls: sizes, ranges and random numbers") { check(testing::bad_sizes()); }

TEST_CASE("B135, B136, B137, V06: files that are broken") {
  const testing::TemporaryFolder folder;
  const auto message = [&](std::string_view contents) {
    const std::string path = folder.put("x", contents);
    const std::string text = testing::message_of<IoError>([&] { load_safetensors(path); });
    CHECK(text.starts_with(path + ": "));
    return text.substr(path.size() + 2);
  };
  CHECK(message("<!DOCTYPE html>\n<html>").starts_with("not a safetensors file: "));
  CHECK(message("").starts_with("not a safetensors file: 0 bytes"));
  save_safetensors(folder / "whole", {{"x", ones({100})}});
  const std::string whole = testing::contents_of(folder / "whole");
  CHECK(testing::says(message(whole.substr(0, whole.size() - 4)), "cut short"));
  CHECK(testing::says(message(whole.substr(0, 40)), "cut short"));
  std::string flipped = whole;
  flipped[whole.size() - 1] ^= 64;
  CHECK(testing::says(message(flipped), "tensor \"x\": its bytes do not match their checksum"));
}
