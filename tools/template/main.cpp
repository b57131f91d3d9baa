// Learns y = sin(x) from samples with noise. What is yours to change: the model, the data, the
// loss.

#include <retrace/retrace.h>

using namespace retrace;

struct Model : nn::Module {
  nn::Linear in{1, 64}, out{64, 1};
  Model() {
    register_module("in", in);
    register_module("out", out);
  }
  Tensor forward(const Tensor& x) const { return out(gelu(in(x))); }
};

constexpr double kNoise = 0.1;

struct Data {
  explicit Data(std::int64_t rows)
      : inputs(rand({rows, 1}) * 6.0 - 3.0), noise(kNoise * randn({rows, 1})) {}
  Tensor inputs, noise;
  Tensor targets() const { return sin(inputs) + noise; }
};

void learn(train::Run& run) {
  const train::Options& options = run.options();
  const Data train_data(4096), test_data(4096);
  Model model;
  const auto test_loss = [&] {
    NoGradGuard no_grad;
    return losses::mse_loss(model.forward(test_data.inputs), test_data.targets()).item<double>();
  };
  const double start = test_loss();

  data::DataLoader loader({train_data.inputs, train_data.targets()},
                          {.batch_size = options.batch_size.value_or(64), .shuffle = true});
  optim::AdamW optimizer(model.parameters(), {.lr = options.lr.value_or(3e-3)});
  train::Trainer trainer(run, model, optimizer, {.steps = options.steps.value_or(2000)});
  trainer.keep("loader", loader);
  trainer.fit([&] {
    const auto [inputs, targets] = loader.next();
    return losses::mse_loss(model.forward(inputs), targets);
  });

  // No model can do better than to miss by the noise.
  run.finish("sine", {.metrics = {{"test_loss", test_loss()}},
                      .start = start,
                      .floor = test_data.noise.square().mean().item<double>(),
                      .largest_gap = 1e-3,
                      .loss_unit = ""});
}

int main(int argc, char** argv) {
  train::CommandLine command(
      "my_model", "Learns y = sin(x) from samples with noise.",
      {"steps", "batch-size", "lr", "seed", "threads", "json", "csv", "report", "check", "save"});
  return train::run_program(command, argc, argv, learn);
}
