// Attention's backward: a gradient goes to the values by the weights, and to queries and keys
// through the softmax, which passes on only what differs from its mean.

#include <fmt/core.h>
#include <cmath>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

int main(int argc, char** argv) {
  trace::Recorder recorder;
  // One query, three keys with their values, two channels.
  Tensor q = tensor({{{{1.0, 0.5}}}}, kFloat64).requires_grad_();
  Tensor k = tensor({{{{1.0, 0.0}, {0.0, 1.0}, {-1.0, -1.0}}}}, kFloat64).requires_grad_();
  Tensor v = tensor({{{{2.0, 0.0}, {0.0, 1.0}, {1.0, 1.0}}}}, kFloat64).requires_grad_();

  Tensor scores = q.matmul(k.transpose(2, 3)) / std::sqrt(2.0);
  Tensor weights = scores.softmax(3);
  Tensor out = weights.matmul(v);
  Tensor loss = out.select(3, 0).sum();  // only the first channel is looked at
  std::cout << "scores = " << scores << "\nweights = " << weights << "\nout = " << out << "\n\n";
  for (Backprop pass(loss); !pass.done();) std::cout << pass.step() << "\n\n";

  // By hand. To the values: the weights. To the weights: what each value would have given.
  const NoGradGuard no_grad;
  const Tensor dweights = v.select(3, 0);                            // [1, 1, 3]
  const Tensor mean = (weights.squeeze(2) * dweights).sum(2, true);  // what was given
  const Tensor dscores = weights.squeeze(2) * (dweights - mean);
  std::cout << "v.grad = " << v.grad() << "\ndloss/dweights = " << dweights << "\n"
            << fmt::format("their mean by the weights = {:.4f}\n", mean.item<double>())
            << "dloss/dscores = weights · (dweights - mean) = " << dscores << "\n"
            << fmt::format("their sum = {:.1f}\n", std::abs(dscores.sum().item<double>()));
  const Tensor dq = dscores.matmul(k.squeeze(0).squeeze(0)) / std::sqrt(2.0);
  std::cout << "q.grad by hand = " << dq << "\nq.grad = " << q.grad() << "\n";

  // The fused op does the same in one node, and keeps no weights.
  Tensor q2 = q.detach().clone().requires_grad_();
  {
    const EnableGradGuard recording;
    scaled_dot_product_attention(q2, k.detach(), v.detach()).select(3, 0).sum().backward();
  }
  std::cout << "q.grad of the fused op = " << q2.grad() << "\n";
  if (argc > 1) recorder.save(argv[1]);
}
