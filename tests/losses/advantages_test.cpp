// The digits of estimates, penalties and advantages where terms nearly cancel.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

#include <cmath>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::holds;
using testing::Numbers;

}  // namespace

TEST_CASE("whitened values far from 0 keep the digits that they have") {
  const auto check = [](const Numbers& values, const Numbers& expected) {
    const Tensor x = from_vector(values).to(kFloat32).requires_grad_();
    const Tensor y = masked_whiten(x);
    CHECK(holds(y, expected, 2e-7));
    y.sum().backward();
    CHECK(x.grad().abs().max().item<double>() < 1e-6);  // a constant added to all changes nothing
  };
  check({1e8, 1e8 + 8}, {-std::sqrt(0.5), std::sqrt(0.5)});
  check({1e6, 1e6 + 0.125, 1e6 + 0.3125}, {-0.92717246256, -0.13245320894, 1.0596256715});
}
