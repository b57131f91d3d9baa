// Newton's method: the curvature says how far to go. Products with the Hessian are enough for it.

#include <fmt/core.h>
#include <cmath>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

// Ten patients: of five without the treatment one got well, of five with it three.
const Tensor treated = tensor({0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, kFloat64);
const Tensor well = tensor({1, 0, 0, 0, 0, 1, 1, 1, 0, 0}, kFloat64);

// Logistic regression: -ln of the odds' chance, on average; w holds a base and what treatment adds.
Tensor loss(const std::vector<Tensor>& w) {
  const Tensor z = w[0][0] + w[0][1] * treated;
  return (softplus(z) - well * z).mean();
}

Tensor gradient_at(const Tensor& w) { return vjp(loss, {w}).gradients[0]; }

// Solves H d = -g by conjugate gradients, which ask for H p with a few p and never for H.
Tensor newton_step(const Tensor& w) {
  Tensor rest = -gradient_at(w), d = zeros_like(w), p = rest.clone();
  double size = dot(rest, rest).item<double>();
  for (std::int64_t k = 0; k < w.numel() && size > 0; ++k) {
    const Tensor product = hvp(loss, {w}, {p}).products[0];
    const double far = size / dot(p, product).item<double>();
    d.add_(p, far);
    rest.sub_(product, far);
    const double before = size;
    size = dot(rest, rest).item<double>();
    p = rest + p * (size / before);
  }
  return d;
}

int main(int argc, char** argv) {
  trace::Recorder recorder;
  // The odds are 1 : 4 without and 3 : 2 with the treatment; z is their logarithm.
  const Tensor best = tensor({std::log(1.0 / 4), std::log(3.0 / 2) - std::log(1.0 / 4)}, kFloat64);
  const auto distance = [&](const Tensor& w) { return (w - best).norm().item<double>(); };
  std::cout << fmt::format("best w = {:.4f}, {:.4f}\n", best[0].item<double>(),
                           best[1].item<double>());

  Tensor descended = zeros({2}, kFloat64), newton = zeros({2}, kFloat64);
  const Tensor first = newton_step(newton);
  const Tensor slope = jvp(loss, {newton}, {first}).tangents[0];
  const Tensor curved = dot(first, hvp(loss, {newton}, {first}).products[0]);
  std::cout << fmt::format("first step = {:.4f}, {:.4f}\n", first[0].item<double>(),
                           first[1].item<double>())
            << fmt::format("slope along it = {:.4f}, curvature = {:.4f}\n", slope.item<double>(),
                           curved.item<double>());

  std::cout << "step   descent    newton\n";
  for (int step = 0; step <= 4; ++step) {
    std::cout << fmt::format("{:4}{:10.1e}{:10.1e}\n", step, distance(descended), distance(newton));
    descended.sub_(gradient_at(descended));
    newton.add_(newton_step(newton));
  }
  int steps = 5;
  {
    const ObserverScope nobody;  // hundreds of the same step need no trace
    for (; distance(descended) > 1e-6; ++steps) descended.sub_(gradient_at(descended));
  }
  std::cout << fmt::format("descent needs {} steps to come within 1.0e-06\n", steps);

  const Tensor far = tensor({4, 0}, kFloat64);
  std::cout << fmt::format("from 4, 0: {:.1f} away, after a step of Newton's {:.1f}\n",
                           distance(far), distance(far + newton_step(far)));
  if (argc > 1) recorder.save(argv[1]);
}
