#pragma once

#include <string>
#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// Hits and misses of several labels, any of which a row may have.
class LabelCounts {
 public:
  /// `predicted` and `labels` [rows, labels]: bool, or numbers of which those above one half count
  /// as set. ShapeError when they differ; ValueError for NaN.
  LabelCounts(const Tensor& predicted, const Tensor& labels);

  /// 2 TP / (2 TP + FP + FN), TP, FP and FN being summed over all labels; NaN when nothing is set.
  double micro_f1() const;
  /// The mean of f1(label) over the labels for which it is defined.
  double macro_f1() const;
  /// The share of rows whose labels are all right.
  double exact_match() const { return exact_match_; }
  /// Of one label; NaN when it is neither present nor predicted.
  double f1(std::size_t label) const;
  double precision(std::size_t label) const;
  double recall(std::size_t label) const;
  Table table(const std::vector<std::string>& names) const;

 private:
  struct Counts {
    double hits = 0, false_alarms = 0, misses = 0;
    double f1() const { return 2 * hits / (2 * hits + false_alarms + misses); }
  };
  std::vector<Counts> labels_;
  double exact_match_;
};

}  // namespace retrace::train
