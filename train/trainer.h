#pragma once

#include <functional>
#include <string>

#include <retrace/nn/module.h>
#include <retrace/optim/optimizer.h>
#include <retrace/optim/schedule.h>
#include <retrace/train/batch_loss.h>
#include <retrace/train/best_model.h>
#include <retrace/train/checkpoint.h>
#include <retrace/train/distributed.h>
#include <retrace/train/run.h>

namespace retrace::train {

struct TrainerOptions {
  std::int64_t steps = 0;  ///< of the optimizer, at least 1
  /// Batches to a step. Their gradients are added as if they were one batch: also when their sizes
  /// differ, the step follows the mean over all their samples. Their BatchLoss must then say how
  /// many those are; batches that do not say it weigh alike.
  std::int64_t accumulate = 1;
  double clip_norm = 0;  ///< gradients of a larger norm are scaled down to it; 0: never
  /// Of a training before the one that the program is about, its name: with --save it is kept in a
  /// folder of that name, and --resume goes through all of them again.
  std::string stage = {};
};

/// The loop around a model:
///
///     train::Trainer trainer(run, model, optimizer, {.steps = 1000});
///     trainer.follow(schedule);        // step it after every step
///     trainer.keep("loader", loader);  // part of every checkpoint
///     trainer.fit([&] {
///       const auto [images, labels] = loader.next();
///       return losses::cross_entropy(model.forward(images), labels);
///     });
///
/// A step is zero_grad, loss and backward for each batch, clipping, optimizer.step, schedule.step.
/// With --save checkpoints are written, with --resume the newest is loaded first; a signal ends the
/// step, saves and throws Interrupted. What the function draws must come from the default generator
/// or from what is kept: then a resumed run ends in the same bits as one that never stopped.
///
/// With --distributed the function's loss is that of this process's part of the batch (Run::part),
/// and the step follows the mean over the samples of all parts; parts that do not say how many they
/// have (BatchLoss::samples) weigh alike. Parameters are the same in all processes, to the bit;
/// buffers, such as running means, are those of the first one's parts. When a process is lost, the
/// first one saves the last step that all have made, and RankLost is thrown.
class Trainer {
 public:
  Trainer(Run& run, nn::Module& model, optim::Optimizer& optimizer, const TrainerOptions& options);

  void follow(optim::Schedule& schedule);
  /// Part of every checkpoint; copied before each step, to go back to when the step is made again.
  template <Stateful T>
  void keep(std::string name, T& object) {
    sources_.add(name, object);
    parts_.add(std::move(name), object);
  }
  /// Has `loss` (of rows that are not trained on; called in evaluation mode, unrecorded) watched
  /// every `every` steps and after the last: the model ends as it was where that was smallest.
  /// --patience ends training when it has not fallen so many times in a row.
  void validate(std::int64_t every, std::function<double()> loss);
  /// Texts for the final model's file, next to its tensors: what its user must know. What was
  /// learnt of the data is among them, so a run that is resumed must have the same.
  void describe(Metadata description) { description_ = std::move(description); }

  /// The part of the model that is of use when training is over, and all that its file then holds:
  /// an actor without its critic.
  void deliver(const nn::Module& part) { delivered_ = part; }

  /// Trains, and writes the final model. When steps can no longer be reported (--json, --csv), the
  /// step is finished and saved before the WriteError goes on. ValueError when a loss is no scalar
  /// or has no gradient; NotFiniteError, naming step, rate and the op that made the first NaN, when
  /// one is not finite: before the step is made. What the step makes of the parameters is looked at
  /// when they are saved, and at the end: neither checkpoint nor model has one that is not finite.
  void fit(const std::function<BatchLoss()>& loss);

 private:
  std::int64_t first_step();
  void check_trace_step(std::int64_t done) const;
  void check_trace(trace::Recorder* recorder, const StateDict& before,
                   const std::function<BatchLoss()>& loss);
  bool out_of_patience() const;
  void look_at_validation(std::int64_t step);
  void join_ranks(std::int64_t done);
  std::optional<double> clip_gradients() const;
  void compute_gradients(const std::function<BatchLoss()>& loss, GradientSum* together,
                         StepRecord& record);
  [[noreturn]] void give_up(std::int64_t done, const StateDict& before,
                            const std::vector<Tensor>& buffers, const RankLost& lost);
  [[noreturn]] void explain(std::int64_t step, std::string_view what, double value,
                            const StateDict& before, const std::function<BatchLoss()>& loss);
  void require_finite(const StepRecord& record);
  std::string processes_text() const;
  void save(std::int64_t step);
  void require_same_run(const Checkpoint& checkpoint) const;

  Run& run_;
  nn::Module& model_;
  optim::Optimizer& optimizer_;
  optim::Schedule* schedule_ = nullptr;
  TrainerOptions options_;
  CheckpointParts parts_, sources_;  // all that a checkpoint holds; what of it a batch comes from
  Metadata description_;
  std::optional<nn::Module> delivered_;
  std::optional<CheckpointFolder> folder_;
  std::function<double()> validation_;
  std::int64_t validate_every_ = 0;
  std::optional<BestModel> best_;
  std::optional<GradientSum> gradient_sum_;  // with --distributed
  int signal_ = 0;                           // that one of the processes was told to stop by
};

}  // namespace retrace::train
