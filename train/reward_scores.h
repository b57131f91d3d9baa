#pragma once

#include <string>
#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/figure.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// What scores make of pairs of which one was preferred, floating, of any shape: "test_loss", the
/// mean of losses::reward_loss without margin or centring; "pair_accuracy", how often the preferred
/// one's score is higher; "reward_margin", by how much in the mean. With `shares`, which sum to 1,
/// a pair counts as often as they say. Computed in float64, unrecorded. ShapeError unless alike.
Metrics pair_metrics(const Tensor& chosen, const Tensor& rejected, const Tensor& shares = {});

/// Learned rewards beside the true ones. Preferences compare responses to one prompt: a number that
/// is added to all rewards of a prompt makes no difference, so that each prompt's mean is taken off
/// before they are compared.
class RewardScores {
 public:
  /// Of the responses to one prompt.
  struct Prompt {
    double mean;         ///< of the learned rewards, before it is taken off
    double correlation;  ///< NaN if the learned or the true ones are all equal
    double rms_error;
    double deviation;  ///< of the true ones
  };

  /// `learned` and `truth` [prompts, responses], floating; `shares` alike, how often each response
  /// is given to its prompt: all alike, if undefined. ShapeError; ValueError without responses.
  RewardScores(const Tensor& learned, const Tensor& truth, const Tensor& shares = {});

  const std::vector<Prompt>& prompts() const { return prompts_; }

  /// A row for each prompt, under its name. ValueError unless there is a name for each.
  Table table(const std::vector<std::string>& names) const;
  /// Dots for the first `most` responses of each prompt over their true rewards, and the line on
  /// which the learned ones are equal. ValueError as above.
  Figure figure(const std::vector<std::string>& names, std::int64_t most = 1000) const;

 private:
  Tensor learned_, truth_;  // without the mean of each prompt
  std::vector<Prompt> prompts_;
};

}  // namespace retrace::train
