#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <retrace/retrace.h>
#include <retrace/tests/train/session.h>

namespace retrace::testing {

inline data::TensorDataset regression(std::int64_t rows) {
  Generator generator(11);
  Tensor inputs = randn({rows, 3}, kFloat32, &generator);
  return {inputs, (inputs * inputs).sum(1, true)};
}

/// Everything that a run needs, made from the seed.
struct Task {
  explicit Task(std::int64_t width = 6)
      : net{nn::Linear(3, width), nn::Tanh(), nn::Dropout(0.1), nn::Linear(width, 1)} {}
  nn::Sequential net;
  optim::AdamW optimizer{net.parameters(), {.lr = 0.02}};
  optim::WarmupCosineLR schedule{optimizer, {.warmup_steps = 3, .total_steps = 30}};
  data::DataLoader loader{regression(37), {.batch_size = 5, .shuffle = true}};

  Tensor loss() {
    const auto [x, y] = loader.next();
    return losses::mse_loss(net(x), y);
  }
};

/// Trains as the arguments say; `before_step` is called before each batch, with its number from 1.
template <class F>
void train_task(Task& task, train::Run& run, F&& before_step) {
  train::Trainer trainer(run, task.net, task.optimizer, {.steps = 30, .clip_norm = 0.5});
  trainer.follow(task.schedule);
  trainer.keep("loader", task.loader);
  int step = 0;
  trainer.fit([&] {
    before_step(++step);
    return task.loss();
  });
}

inline void train_task(const std::vector<std::string>& arguments) {
  Session session(arguments);
  Task task;
  train_task(task, *session.run, [](int) {});
}

}  // namespace retrace::testing
