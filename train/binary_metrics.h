#pragma once

// How good scores for two classes are. `scores` [rows], floating, higher for class 1; `labels`
// [rows], int64, bool or floating, 0 or 1. ShapeError, DTypeError; ValueError for other labels and
// for NaN.

#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/figure.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// The area under the curve of true over false positives: the probability that a row of class 1
/// scores higher than one of class 0, a tie counting half. NaN without rows of both classes.
/// Source: Hanley and McNeil 1982, doi 10.1148/radiology.143.1.7063747.
double roc_auc(const Tensor& scores, const Tensor& labels);

/// The curve: false and true positive rates as the threshold falls, from (0, 0) to (1, 1).
struct RocCurve {
  std::vector<double> false_positive_rate, true_positive_rate;
};
RocCurve roc_curve(const Tensor& scores, const Tensor& labels);
Figure roc_figure(const Tensor& scores, const Tensor& labels);

/// What comes of taking rows for class 1 from a threshold on: precision, recall, F1 and accuracy
/// for probabilities from 0.1 to 0.9.
Table threshold_table(const Tensor& probabilities, const Tensor& labels);

/// Whether probabilities mean what they say: rows in bins of equal width by their probability of
/// class 1, and how many of each are of it.
class Calibration {
 public:
  /// Rows whose probability is in [low, high).
  struct Bin {
    double low, high, mean_probability, frequency;
    std::int64_t rows;
  };
  /// ValueError for probabilities outside [0, 1].
  Calibration(const Tensor& probabilities, const Tensor& labels, int bins = 10);

  /// Bins that have rows.
  const std::vector<Bin>& bins() const { return bins_; }
  /// Expected calibration error: Σ rows · |frequency - mean probability| / rows; NaN without rows.
  /// Source: Guo et al. 2017, arXiv 1706.04599, equation 3, of the probability of class 1 where
  /// they take that of the class predicted.
  double ece() const { return ece_; }
  Table table() const;
  Figure figure() const;

 private:
  std::vector<Bin> bins_;
  double ece_;
};

}  // namespace retrace::train
