// Softmax with cross-entropy collapses to p - y: what is left when a long chain is multiplied out.

#include <fmt/core.h>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

int main(int argc, char** argv) {
  trace::Recorder recorder;
  const std::int64_t label = 2;
  Tensor logits = tensor({{1.0, 0.0, 2.0}}, kFloat64).requires_grad_();

  // Written out: exponentials, their sum, a quotient, a logarithm.
  Tensor e = exp(logits);
  Tensor p = e / e.sum(1, true);
  Tensor loss = -log(p[0][label]);
  std::cout << "p = " << p << "\n" << fmt::format("loss = {:.4f}\n\n", loss.item<double>());
  std::size_t steps = 0;
  for (Backprop pass(loss); !pass.done(); ++steps) std::cout << pass.step() << "\n\n";
  const Tensor by_chain = logits.grad().clone();

  // The same as one node.
  logits.zero_grad();
  Tensor fused = losses::cross_entropy(logits, tensor({label}));
  for (Backprop pass(fused); !pass.done();) std::cout << pass.step() << "\n\n";
  std::cout << fmt::format("in {} steps: ", steps) << by_chain << "\nin one: " << logits.grad()
            << "\np - y: " << p.detach() - one_hot(tensor({label}), 3).to(kFloat64) << "\n";

  // The collapse is not only shorter: the long way fails where the short one does not.
  Tensor far = tensor({{800.0, 0.0, -800.0}}).requires_grad_();
  const Tensor q = exp(far) / exp(far).sum(1, true);
  const double naive = (-log(q[0][label])).item<double>();
  std::cout << fmt::format("logits 800, 0, -800: the long way {}, cross_entropy {}\n", naive,
                           losses::cross_entropy(far, tensor({label})).item<double>());
  if (argc > 1) recorder.save(argv[1]);
}
