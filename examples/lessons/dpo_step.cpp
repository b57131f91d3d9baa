// A step of DPO: the pair that the policy has wrong counts most, and the reference decides what
// wrong is.

#include <fmt/core.h>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

int main(int argc, char** argv) {
  trace::Recorder recorder;
  // Two responses to one prompt, and a policy that is a table of two logits.
  const Tensor reference = tensor({0.0, 1.0}, kFloat64).log_softmax(0);  // likes the rejected one
  Tensor logits = tensor({0.0, 1.0}, kFloat64).requires_grad_();
  const double beta = 0.5;

  const auto loss_now = [&] {
    const Tensor logps = logits.log_softmax(0);
    return losses::dpo_loss(logps.narrow(0, 0, 1), logps.narrow(0, 1, 1), reference.narrow(0, 0, 1),
                            reference.narrow(0, 1, 1), {.beta = beta});
  };
  losses::DpoResult result = loss_now();
  std::cout << fmt::format("at the reference: loss = {:.6f}\n\n", result.loss.item<double>());
  for (Backprop pass(result.loss); !pass.done();) std::cout << pass.step() << "\n\n";
  std::cout << "logits.grad = " << logits.grad() << "\n";

  // Training: what changes, and how much less a step is worth when the margin is there already.
  optim::SGD optimizer({logits}, {.lr = 1.0});
  for (int step = 0; step <= 40; ++step) {
    optimizer.zero_grad();
    result = loss_now();
    result.loss.backward();
    if (step % 10 == 0) {
      const Tensor p = logits.detach().softmax(0);
      std::cout << fmt::format(
          "step {:>2}: loss {:.4f}, margin {:.4f}, p(chosen) {:.4f}, gradient {:.4f}\n", step,
          result.loss.item<double>(), result.margin.item<double>(), p[0].item<double>(),
          logits.grad()[0].item<double>());
    }
    optimizer.step();
  }
  if (argc > 1) recorder.save(argv[1]);
}
