// Trains a line through the installed library alone, and is told where it makes a NaN.
#include <retrace/retrace.h>

#include <iostream>

using namespace retrace;

int main() {
  manual_seed(0);
  nn::Linear model(2, 1);
  optim::SGD optimizer(model.parameters(), {.lr = 0.1});
  const Tensor inputs = randn({64, 2});
  const Tensor targets = inputs.matmul(tensor({{2.0}, {-3.0}})) + 1.0;
  for (int step = 0; step < 200; ++step) {
    optimizer.zero_grad();
    losses::mse_loss(model(inputs), targets).backward();
    optimizer.step();
  }
  const double loss = losses::mse_loss(model(inputs), targets).item<double>();
  std::cout << "loss " << loss << "\n";
  const AnomalyMode checks;
  try {
    log(-inputs.square());
  } catch (const Error& error) {
    std::cout << error.what() << "\n";
  }
  return loss < 1e-6 ? 0 : 1;
}
