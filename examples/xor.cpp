// Learns exclusive or: four points that no straight line separates, and eight neurons.

#include <retrace/retrace.h>

using namespace retrace;

void learn_xor(train::Run& run) {
  const Tensor inputs = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  const Tensor answers = tensor({0, 1, 1, 0});

  nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 2)};
  optim::Adam optimizer(net.parameters(), {.lr = run.options().lr.value_or(0.05)});
  const auto loss_now = [&] { return losses::cross_entropy(net(inputs), answers); };
  const double start = loss_now().item<double>();

  for (std::int64_t step = 1; step <= run.options().steps.value_or(200); ++step) {
    auto recorder = run.record_trace(step, net.named_parameters());  // --trace: of one step
    optimizer.zero_grad();     // forget the last step's gradients
    Tensor loss = loss_now();  // compute, and record how
    loss.backward();           // walk back: which way does each weight make the loss smaller?
    run.check_trace(recorder.get(), loss_now);
    optimizer.step();  // go a little that way
    run.write_trace(std::move(recorder));
    run.step(step, loss.item<double>());
  }

  NoGradGuard no_grad;
  const Tensor logits = net(inputs);
  run.print("the inputs, and how sure the network is of 0 and of 1, in per cent:\n" +
            cat({inputs, round(100 * softmax(logits, 1))}, 1).str());
  run.finish("xor", {.metrics = {{"test_loss", loss_now().item<double>()},
                                 {"test_accuracy", train::accuracy(logits, answers)}},
                     .start = start,
                     .floor = 0.0,
                     .largest_gap = 0.05});
}

int main(int argc, char** argv) {
  train::CommandLine command("xor",
                             "Learns exclusive or, the smallest task that needs a hidden layer.",
                             {"steps", "lr", "seed", "threads", "json", "csv", "report", "check"});
  return train::run_program(command, argc, argv, learn_xor);
}
