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

TEST_CASE("k3 of nearly equal log-probabilities keeps its digits, and so does GRPO's penalty") {
  const Numbers deltas = {-1e-6, 1e-3, 0.5, 3},
                expected = {5.00000166667e-13, 4.99833374992e-7, 0.106530659713, 2.04978706837};
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor p = from_vector(deltas).to(dtype), r = zeros({4}, dtype);
    const Numbers y = kl_estimate(p, r, KlEstimator::k3).to_vector<double>();
    for (std::size_t i = 0; i < deltas.size(); ++i) {
      const std::int64_t k = static_cast<std::int64_t>(i);
      const auto close =
          doctest::Approx(expected[i]).scale(0).epsilon(dtype == kFloat32 ? 3e-7 : 1e-11);
      CHECK(y[i] == close);
      CHECK(grpo_loss(p[k].view({1, 1}), p[k].view({1, 1}), zeros({1}, dtype), {},
                      zeros({1, 1}, dtype), {.beta = 1})
                .item<double>() == close);
    }
  }
}

TEST_CASE("§33 exo_pair keeps its digits near where it is 0") {
  const Tensor c = tensor({1e-3, 1e-6}, kFloat32).requires_grad_();
  const DpoResult result = dpo_loss(c, zeros({2}), {}, {},
                                    {.loss_type = DpoLossType::exo_pair,
                                     .beta = 1,
                                     .label_smoothing = 0.5,
                                     .reference_free = true});
  result.losses.sum().backward();
  const Tensor losses = result.losses.detach() / tensor({1.24999984375e-7, 1.25e-13}, kFloat32);
  const Tensor slopes = c.grad() / tensor({2.499999375e-4, 2.5e-7}, kFloat32);
  CHECK(allclose(losses, ones({2}), 5e-7, 0));
  CHECK(allclose(slopes, ones({2}), 5e-7, 0));
}

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
