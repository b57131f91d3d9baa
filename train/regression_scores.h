#pragma once

#include <string>
#include <utility>
#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/figure.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// "0.1", "0.5" for levels, or "prediction" if there are none: the names of a model's outputs.
std::vector<std::string> level_names(const std::vector<double>& levels);

/// Numbers that were predicted, against what was true: one for each row, or quantiles of several
/// levels. A share τ of the targets should be below the quantile of level τ; and quantiles should
/// lose less than one constant for all rows does.
class RegressionScores {
 public:
  /// How good the quantiles of one level are.
  struct Level {
    double level;     ///< τ
    double coverage;  ///< the share of targets that are at most the quantile
    double pinball;   ///< the mean of losses::quantile_loss
    double constant;  ///< the same of the best constant for the targets that were learnt from
  };

  /// `predicted` [rows, levels], or [rows, 1] if there are no levels; `target` [rows];
  /// `learnt_from`, the targets of other rows; all floating, in one unit. ShapeError; ValueError
  /// without a row, or for a level outside (0, 1).
  RegressionScores(const Tensor& predicted, const Tensor& target, const std::vector<double>& levels,
                   const Tensor& learnt_from);

  const std::vector<Level>& levels() const { return levels_; }

  /// "mae" and "rmse" of the number, or of the quantile nearest to the median; and of quantiles
  /// "coverage_0.1", "pinball_0.1" and "pinball_0.1_constant" for each level, and "crossings".
  Metrics metrics() const;
  /// A row for each level.
  Table table() const;
  /// Dots for the first `most` rows over the number that was predicted (or the quantile nearest to
  /// the median): what was true, and the quantiles.
  Figure figure(const std::string& quantity, std::int64_t most = 300) const;

 private:
  std::int64_t middle() const;  // the column nearest to the median

  Tensor predicted_, target_;
  std::vector<Level> levels_;
};

}  // namespace retrace::train
