#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <retrace/tensor/file.h>
#include <retrace/trace/recorder.h>
#include <retrace/train/checkpoint.h>
#include <retrace/train/distributed.h>
#include <retrace/train/exit.h>
#include <retrace/train/interrupt.h>
#include <retrace/train/options.h>
#include <retrace/train/page.h>
#include <retrace/train/plot.h>
#include <retrace/train/progress.h>
#include <retrace/train/report.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// What --check asks of a metric besides the gap: low <= metric <= high.
struct Bound {
  std::string metric;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

/// How a run ended.
struct Result {
  /// In order; what has no name here is not reported: "test_loss", "test_accuracy", ...
  Metrics metrics = {};
  std::optional<double> start = {};             ///< test_loss before training
  std::optional<double> floor = {};             ///< test_loss of the best possible model, same rows
  std::optional<double> population_floor = {};  ///< the same over all data, in closed form
  std::optional<double> largest_gap = {};       ///< what --check allows for test_loss - floor
  std::vector<Bound> bounds = {};  ///< and of metrics; one that is not reported is missed
  std::string loss_unit = "nats";  ///< of all losses; "" if they have none
  bool floor_of_training = true;   ///< training cannot end below the floor, which its curve shows
};

/// One run of a program: what it was told to do, and where its results go. Steps and result are
/// written to --json and --csv, progress is shown on standard error, and print() writes what people
/// want to read to standard output (to standard error while --json - has that for itself).
class Run {
 public:
  /// Sets threads and seed as the options say.
  explicit Run(CommandLine& command, const Options& options);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const Options& options() const { return options_; }
  const std::string& name() const { return command_.name(); }
  Metadata settings() const { return command_.settings(); }
  /// With --distributed, the processes of the run; else null. Only the first one reports, prints
  /// and writes: what is given to the others is dropped.
  Ranks* ranks() { return ranks_ ? &*ranks_ : nullptr; }
  const Ranks* ranks() const { return ranks_ ? &*ranks_ : nullptr; }
  bool is_first() const { return !ranks_ || ranks_->is_first(); }
  /// This process's part of a batch that all have made alike: all of it, unless distributed. What
  /// the step draws afterwards is this process's own; what is to be alike must be drawn before.
  data::TensorDataset part(const data::TensorDataset& batch) {
    return ranks_ ? ranks_->part(batch) : batch;
  }

  /// The folder of --save, or the folder in it of a stage: a training before the one that the run
  /// is about. The first time, unless with --resume, what another run left there is removed, its
  /// checkpoints and its models; a WriteError when another one is under way there, or when nothing
  /// can be written: then nothing was removed.
  std::optional<CheckpointFolder> open_folder(const std::string& stage = {});
  /// The newest checkpoint in `folder`, which is that of `stage`; to be taken once.
  std::optional<Checkpoint> take_checkpoint(const CheckpointFolder& folder,
                                            const std::string& stage);

  /// Something read from a file that the outcome of training depends on, and that no checkpoint
  /// holds: rows, a text, a reference, a teacher. A run that is resumed must have read the same, to
  /// the bit (see Trainer). To be told in the same order, best before the first training.
  void relies_on(const std::vector<Tensor>& tensors);
  /// A checksum of all that, "" for nothing.
  const std::string& relied_on() const { return relied_on_; }

  /// With a line end, if it has none.
  void print(std::string_view text);
  /// Prints a picture or a table with its title, and puts it on the page of --report.
  void show(const Figure& figure);
  void show(const Table& table);
  /// Predictions, to --out or else to standard output.
  void write_predictions(std::string_view csv);

  /// Starts the clock of training, `done` of whose `total` steps an interrupted run has made. The
  /// first step() does it, too. Curve and progress are of the training that began last.
  void begin_training(std::int64_t total, std::int64_t done = 0, const std::string& stage = {});
  /// Of the step that --trace or --trace-html asks for, at its head, a recorder to hold until its
  /// end; else null.
  std::unique_ptr<trace::Recorder> record_trace(std::int64_t step, const NamedTensors& parameters);
  /// After backward: with --trace-check, holds what was recorded, if anything was, against finite
  /// differences of `loss` (Recorder::check).
  void check_trace(trace::Recorder* recorder, const std::function<Tensor()>& loss) const;
  /// At the step's end: writes what was recorded, if anything was, to --trace and --trace-html.
  void write_trace(std::unique_ptr<trace::Recorder> recorder);
  /// What one step did. Throws NotFiniteError when the loss is not finite, and Interrupted when a
  /// signal came, unless somebody wants to save something first (see Trainer).
  void step(std::int64_t step, double loss);
  void record(const StepRecord& step);
  /// Steps up to here are in their files, whatever happens: to be called before a checkpoint, from
  /// which a run that is resumed makes no step again.
  void sync_steps() { report_->sync(); }
  double training_seconds() const;  ///< of all trainings
  /// Of all trainings' steps that were made in this run, by all processes: rows, or tokens, as the
  /// losses say (StepRecord::samples).
  double training_samples() const { return samples_; }
  const Curve& losses() const { return losses_; }
  /// How metrics of the steps (StepRecord::metrics) went in the training that began last. Those
  /// that there were none of are left out.
  Figure metrics_by_step(const std::string& title, const std::string& unit,
                         const std::vector<std::string>& names) const;
  /// The loss on rows held out for validation, for the picture of the losses.
  void record_validation(std::int64_t step, double loss);
  /// How many such losses there were in this run.
  std::int64_t validations() const { return static_cast<std::int64_t>(validation_losses_.size()); }

  /// Prints the loss curve and the result, writes it to --json as {"event":"result",...}, and
  /// writes the page. `data` names the task. MissedBound when --check was given and the gap is
  /// larger than allowed, or a metric out of its bounds.
  void finish(std::string_view data, const Result& result);

 private:
  using Clock = std::chrono::steady_clock;
  void write_page(std::string_view data, const Table& numbers, const Result& result);

  CommandLine& command_;
  const Options& options_;
  InterruptGuard interrupts_;
  std::optional<Ranks> ranks_;
  std::optional<Checkpoint> checkpoint_;  // the one that the options came from, until it is taken
  std::string checkpoint_stage_;
  std::optional<FolderLock> folder_lock_;  // of --save: another run there would remove what is kept
  bool folder_opened_ = false, trace_written_ = false, is_training_ = false;
  std::optional<Report> report_;
  std::optional<Progress> progress_;
  std::string stage_, relied_on_;
  Curve losses_;
  std::map<std::string, Curve> metrics_;
  Figure::Numbers validation_steps_, validation_losses_;
  Page page_;
  Clock::time_point started_, training_started_, training_ended_, next_flush_;
  double samples_ = 0;         // of steps that were recorded
  double seconds_before_ = 0;  // of trainings that have ended
  double waited_before_ = 0;   // by ranks_, before training began
};

/// main() of a program: parses the command line, calls `body`, and turns what happens into an exit
/// code and, if it is not 0, one line on standard error.
int run_program(CommandLine& command, int argc, const char* const* argv,
                const std::function<void(Run&)>& body);

}  // namespace retrace::train
