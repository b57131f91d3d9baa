#include <retrace/tensor/check.h>
#include <retrace/train/label_metrics.h>
#include <retrace/train/metrics.h>

#include <cmath>

namespace retrace::train {

LabelCounts::LabelCounts(const Tensor& predicted, const Tensor& labels) {
  require<ShapeError>(predicted.dim() == 2 && predicted.sizes() == labels.sizes(),
                      "LabelCounts: predictions and labels must be [rows, labels], not {} and {}",
                      predicted.sizes(), labels.sizes());
  require_no_nan("LabelCounts", "predictions", predicted);
  require_no_nan("LabelCounts", "labels", labels);
  const auto columns = static_cast<std::size_t>(labels.size(1));
  labels_.resize(columns);
  const std::vector<double> guessed = predicted.to(kFloat64).to_vector<double>();
  const std::vector<double> present = labels.to(kFloat64).to_vector<double>();
  double right_rows = 0;
  for (std::size_t begin = 0; begin < guessed.size(); begin += columns) {
    bool right = true;
    for (std::size_t k = 0; k < columns; ++k) {
      const bool guess = guessed[begin + k] > 0.5, is = present[begin + k] > 0.5;
      labels_[k].hits += guess && is;
      labels_[k].false_alarms += guess && !is;
      labels_[k].misses += !guess && is;
      right = right && guess == is;
    }
    right_rows += right;
  }
  exact_match_ = right_rows / static_cast<double>(labels.size(0));
}

double LabelCounts::micro_f1() const {
  Counts all;
  for (const Counts& label : labels_) {
    all.hits += label.hits;
    all.false_alarms += label.false_alarms;
    all.misses += label.misses;
  }
  return all.f1();
}

double LabelCounts::macro_f1() const {
  double sum = 0, count = 0;
  for (const Counts& label : labels_) {
    if (std::isnan(label.f1())) continue;
    sum += label.f1();
    ++count;
  }
  return sum / count;
}

double LabelCounts::f1(std::size_t label) const { return labels_.at(label).f1(); }

double LabelCounts::precision(std::size_t label) const {
  return labels_.at(label).hits / (labels_.at(label).hits + labels_.at(label).false_alarms);
}

double LabelCounts::recall(std::size_t label) const {
  return labels_.at(label).hits / (labels_.at(label).hits + labels_.at(label).misses);
}

Table LabelCounts::table(const std::vector<std::string>& names) const {
  require<ValueError>(names.size() == labels_.size(), "LabelCounts: {} names for {} labels",
                      names.size(), labels_.size());
  Table table{"Each label", {"label", "present", "precision", "recall", "F1"}, {}, {}};
  for (std::size_t k = 0; k < names.size(); ++k)
    table.rows.push_back({names[k], fmt::format("{:.0f}", labels_[k].hits + labels_[k].misses),
                          three_digits(precision(k)), three_digits(recall(k)),
                          three_digits(f1(k))});
  return table;
}

}  // namespace retrace::train
