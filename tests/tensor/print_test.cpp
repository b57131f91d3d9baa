#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include <retrace/tensor/creation.h>

using namespace retrace;

namespace {

std::string printed(const Tensor& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

// The texts are those of torch 1.13, dtype names aside.

TEST_CASE("single numbers and short rows") {
  CHECK(printed(tensor(2.5)) == "tensor(2.5000)");
  CHECK(printed(tensor(3)) == "tensor(3)");
  CHECK(printed(tensor(true)) == "tensor(True)");
  CHECK(printed(tensor(1e-10)) == "tensor(1.0000e-10)");
  CHECK(printed(tensor(kNaN)) == "tensor(nan)");
  CHECK(printed(tensor({1, 2})) == "tensor([1, 2])");
  CHECK(printed(tensor({-1, 20})) == "tensor([-1, 20])");
  CHECK(printed(tensor({true, false})) == "tensor([ True, False])");
  CHECK(printed(tensor({{1.0, 2.0}, {3.0, 4.0}})) == "tensor([[1., 2.],\n        [3., 4.]])");
  CHECK(printed(tensor({-0.0})) == "tensor([-0.])");
}

TEST_CASE("notation follows the range of the numbers") {
  CHECK(printed(tensor({1e10, 1.0})) == "tensor([1.0000e+10, 1.0000e+00])");
  CHECK(printed(tensor({1e8, 1e8})) == "tensor([100000000., 100000000.])");
  CHECK(printed(tensor({1000.5, 0.1})) == "tensor([1.0005e+03, 1.0000e-01])");
  CHECK(printed(tensor({1e-5, 0.0})) == "tensor([1.0000e-05, 0.0000e+00])");
  CHECK(printed(tensor({1e300}, kFloat64)) == "tensor([1.0000e+300], dtype=float64)");
  CHECK(printed(tensor({kNaN, kInf, -kInf, 1.5})) == "tensor([   nan,    inf,   -inf, 1.5000])");
  CHECK(printed(tensor({std::copysign(kNaN, -1.0), 1.0, 2.0})) == "tensor([nan, 1., 2.])");
}

TEST_CASE("no elements") {
  CHECK(printed(empty({0})) == "tensor([])");
  CHECK(printed(empty({0, 3})) == "tensor([], size=(0, 3))");
  CHECK(printed(empty({0}, kInt64)) == "tensor([], dtype=int64)");
  CHECK(printed(empty({2, 0}, kFloat64)) == "tensor([], size=(2, 0), dtype=float64)");
  CHECK(printed(empty({2, 0}, kBool)) == "tensor([], size=(2, 0), dtype=bool)");
  CHECK(printed(Tensor()) == "tensor(undefined)");
}

TEST_CASE("lines break at 80 columns, unless asked for without") {
  const Tensor row = arange(30.0);
  CHECK(printed(row) ==
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
        "        14., 15., 16., 17., 18., 19., 20., 21., 22., 23., 24., 25., 26., 27.,\n"
        "        28., 29.])");
  CHECK(row.str().find('\n') == std::string::npos);
  CHECK(row.str().ends_with("28., 29.])"));
}

TEST_CASE("more than 1000 elements are summarised") {
  CHECK(printed(arange(1000)).find("...") == std::string::npos);
  CHECK(printed(arange(1001.0)) == "tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])");
  CHECK(printed(arange(2000.0)) ==
        "tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.9970e+03, 1.9980e+03,\n"
        "        1.9990e+03])");
  CHECK(printed(zeros({300, 4})) ==
        "tensor([[0., 0., 0., 0.],\n        [0., 0., 0., 0.],\n        [0., 0., 0., 0.],\n"
        "        ...,\n        [0., 0., 0., 0.],\n        [0., 0., 0., 0.],\n"
        "        [0., 0., 0., 0.]])");
  // Only what is printed decides about its layout.
  Tensor x = zeros({2000});
  x.data_ptr<float>()[1000] = 1e20f;
  CHECK(printed(x) == "tensor([0., 0., 0.,  ..., 0., 0., 0.])");
}

TEST_CASE("blocks of more dims are set apart by blank lines") {
  CHECK(printed(arange(8).view({2, 2, 2})) ==
        "tensor([[[0, 1],\n         [2, 3]],\n\n        [[4, 5],\n         [6, 7]]])");
  CHECK(printed(zeros({2, 1, 1, 1}, kInt64)) == "tensor([[[[0]]],\n\n\n        [[[0]]]])");
}

TEST_CASE("views print their own elements") {
  const Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
  CHECK(printed(x.t()) == "tensor([[1, 4],\n        [2, 5],\n        [3, 6]])");
  CHECK(printed(x.slice(1, 0, 3, 2)) == "tensor([[1, 3],\n        [4, 6]])");
  CHECK(printed(tensor({{1.5}}).expand({2, 2})) ==
        "tensor([[1.5000, 1.5000],\n        [1.5000, 1.5000]])");
}

TEST_CASE("what the numbers do not tell stands behind them") {
  CHECK(printed(tensor({1.0, 2.0}).requires_grad_()) == "tensor([1., 2.], requires_grad=True)");
  CHECK(printed(tensor(1.0, kFloat64).requires_grad_()) ==
        "tensor(1., dtype=float64, requires_grad=True)");
  CHECK(printed(zeros({19}).requires_grad_()) ==
        "tensor([0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.],\n"
        "       requires_grad=True)");
  CHECK(printed(zeros({15}).requires_grad_()) ==
        "tensor([0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.],\n"
        "       requires_grad=True)");
}
