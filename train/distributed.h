#pragma once

// Training by several processes at once. Each has the whole model and a part of every batch; before
// the update they add up their gradients. They are started by `mpirun -n 4 PROGRAM --distributed`,
// in a build that has found MPI.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/tensor.h>
#include <retrace/train/batch_loss.h>
#include <retrace/train/exit.h>

namespace retrace::train {

/// Another process of the run has ended, or does not answer.
class RankLost : public Error {
 public:
  using Error::Error;
};

/// The processes of a run, numbered from 0 on. All of them call the same functions in the same
/// order. Sums are added in the order of the numbers, so that they have the same bits time and
/// again, and in each process. RankLost from any of them when another process is gone: when this
/// one is told to end while it waits, or has waited for two minutes.
///
/// What all draw from the default generator is the same in all, until part() has given each its
/// rows of a batch. From then on until GradientSum::backward each draws numbers of its own: the
/// parts have dropout masks of their own.
class Ranks {
 public:
  /// Begins MPI. UsageError in a build without.
  Ranks();
  /// end(), unless an exception is on its way.
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  /// All processes have come to the same end: nothing is said any more.
  void end();
  /// A process ends alone, with an error that it has told: so do the others, which would wait for
  /// it for ever, and this one does not return. Nothing where no process is waiting.
  static void abandon(int exit_code);

  int rank() const { return rank_; }
  int count() const { return count_; }
  bool is_first() const { return rank_ == 0; }
  /// Of the processes, how many share this machine.
  int count_here() const;

  /// Rows rank · n / count to (rank + 1) · n / count of n; what is drawn next is this process's own
  /// (draw_apart). UsageError for fewer rows than processes.
  data::TensorDataset part(const data::TensorDataset& batch);
  /// Every process gets the first one's numbers.
  void broadcast(const std::vector<Tensor>& tensors);
  /// What each process gives, all in a row, process by process.
  std::vector<double> gather(std::span<const double> values);
  /// Seconds that this process has waited for others in all.
  double waited() const { return waited_; }

 private:
  friend class GradientSum;
  struct Requests;
  /// Until all of them are done.
  void wait(Requests& requests);

  int rank_ = 0, count_ = 1;
  double waited_ = 0;
};

/// What became of a batch that all processes had a part of.
struct SharedBatch {
  double loss = 0;     ///< mean over the samples of all parts
  double samples = 0;  ///< how many those are
  int signal = 0;      ///< that some process has been told to stop by, 0 if none has
};

/// Backward by all processes together: afterwards the gradient of each parameter is that of the
/// mean loss over the whole batch, with the same bits in each process. Parameters are put together
/// in buckets of about `bucket_bytes`; a bucket is on its way as soon as backward has passed the
/// last node that gives it something, while it goes on with the rest.
class GradientSum {
 public:
  GradientSum(Ranks& ranks, std::vector<Tensor> parameters,
              std::int64_t bucket_bytes = std::int64_t{1} << 20);
  ~GradientSum();

  /// `local` is the mean over this process's part, and BatchLoss::weight what it weighs. A
  /// parameter that has no gradient in any process has none afterwards. Gradients must have been
  /// dropped before (zero_grad). The default generator goes on alike in all processes, behind what
  /// any of them has used.
  SharedBatch backward(const BatchLoss& local);

 private:
  struct Bucket;
  void set_ends(const std::vector<Ref<Node>>& tape);
  void start(std::size_t behind, bool all);

  Ranks& ranks_;
  std::vector<std::unique_ptr<Bucket>> buckets_;
  double factor_ = 1;  // of this process's gradients in the sum
};

}  // namespace retrace::train
