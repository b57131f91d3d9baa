#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// No comparison with a NaN holds, so a metric that compares would count it for an answer:
/// ValueError that names the first row of `values` which has one. `what` they are: "logits".
void require_no_nan(std::string_view metric, std::string_view what, const Tensor& values);

/// How often each class was taken for each: rows are the true classes, columns the predicted ones.
class ConfusionMatrix {
 public:
  /// `logits` [rows, classes], floating, the largest counting (the first of equals); `labels` int64
  /// [rows]. ShapeError, DTypeError; IndexError for a label that is no class; ValueError for NaN.
  ConfusionMatrix(const Tensor& logits, const Tensor& labels);

  std::int64_t classes() const { return classes_; }
  std::int64_t total() const { return total_; }
  std::int64_t count(std::int64_t label, std::int64_t predicted) const;

  double accuracy() const;  ///< NaN without rows
  /// Of those predicted as the class, how many are of it. NaN when none were.
  double precision(std::int64_t label) const;
  /// Of those of the class, how many were predicted as it. NaN when there are none.
  double recall(std::int64_t label) const;
  /// 2 · true positives / (predicted + present); NaN when the class is neither.
  double f1(std::int64_t label) const;

  /// With precision and recall. Beyond 20 classes the ten most frequent confusions instead.
  /// `names`: one for each class, or none for their numbers.
  Table table(const std::vector<std::string>& names = {}) const;

 private:
  std::int64_t predicted(std::int64_t label) const;
  std::int64_t present(std::int64_t label) const;
  Table whole(const std::vector<std::string>& names) const;
  Table most_confused(const std::vector<std::string>& names) const;

  std::int64_t classes_ = 0, total_ = 0;
  std::vector<std::int64_t> counts_;
};

/// The share of rows whose largest logit is that of the label; errors as ConfusionMatrix.
double accuracy(const Tensor& logits, const Tensor& labels);

}  // namespace retrace::train
