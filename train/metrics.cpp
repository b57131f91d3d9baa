#include <retrace/train/metrics.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include <retrace/tensor/check.h>

namespace retrace::train {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(part) / static_cast<double>(whole);
}

std::string three_digits(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.3f}", value);
}

// Characters, not bytes; good enough for Latin, Greek and Cyrillic.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded_left(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ') + text;
}

// Columns aligned to the right, two spaces between them.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += (i > 0 ? "  " : "") + padded_left(row[i], widths[i]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(const Tensor& logits, const Tensor& labels) {
  require<DTypeError>(logits.is_floating_point() && labels.dtype() == kInt64,
                      "ConfusionMatrix: logits must be floating and labels int64, not {} and {}",
                      logits.dtype(), labels.dtype());
  require<ShapeError>(
      logits.dim() == 2 && labels.dim() == 1 && logits.size(0) == labels.size(0) &&
          logits.size(1) > 0,
      "ConfusionMatrix: logits must be [rows, classes] and labels [rows], not {} and {}",
      logits.sizes(), labels.sizes());
  classes_ = logits.size(1);
  total_ = labels.size(0);
  counts_.resize(static_cast<std::size_t>(classes_ * classes_));
  const std::vector<double> scores = logits.to_vector<double>();
  auto row = scores.begin();
  for (const std::int64_t label : labels.to_vector<std::int64_t>()) {
    require<IndexError>(label >= 0 && label < classes_,
                        "ConfusionMatrix: label {} is not one of {} classes", label, classes_);
    const auto predicted = std::max_element(row, row + classes_) - row;
    ++counts_[static_cast<std::size_t>(label * classes_ + predicted)];
    row += classes_;
  }
}

std::int64_t ConfusionMatrix::count(std::int64_t label, std::int64_t predicted) const {
  require<IndexError>(label >= 0 && label < classes_ && predicted >= 0 && predicted < classes_,
                      "ConfusionMatrix: class {} or {} is not one of {}", label, predicted,
                      classes_);
  return counts_[static_cast<std::size_t>(label * classes_ + predicted)];
}

std::int64_t ConfusionMatrix::predicted(std::int64_t label) const {
  std::int64_t sum = 0;
  for (std::int64_t other = 0; other < classes_; ++other) sum += count(other, label);
  return sum;
}

std::int64_t ConfusionMatrix::present(std::int64_t label) const {
  std::int64_t sum = 0;
  for (std::int64_t other = 0; other < classes_; ++other) sum += count(label, other);
  return sum;
}

double ConfusionMatrix::accuracy() const {
  std::int64_t right = 0;
  for (std::int64_t label = 0; label < classes_; ++label) right += count(label, label);
  return ratio(right, total_);
}

double ConfusionMatrix::precision(std::int64_t label) const {
  return ratio(count(label, label), predicted(label));
}

double ConfusionMatrix::recall(std::int64_t label) const {
  return ratio(count(label, label), present(label));
}

double ConfusionMatrix::f1(std::int64_t label) const {
  return ratio(2 * count(label, label), predicted(label) + present(label));
}

std::string ConfusionMatrix::str(const std::vector<std::string>& names) const {
  std::vector<std::string> all = names;
  for (std::int64_t label = 0; names.empty() && label < classes_; ++label) {
    all.push_back(std::to_string(label));
  }
  require<ValueError>(static_cast<std::int64_t>(all.size()) == classes_,
                      "ConfusionMatrix: {} names for {} classes", all.size(), classes_);
  return classes_ <= 20 ? table(all) : most_confused(all);
}

std::string ConfusionMatrix::table(const std::vector<std::string>& names) const {
  std::vector<std::vector<std::string>> rows = {{"true \\ predicted"}};
  for (const std::string& name : names) rows[0].push_back(name);
  rows[0].insert(rows[0].end(), {"precision", "recall"});
  for (std::int64_t label = 0; label < classes_; ++label) {
    std::vector<std::string> row = {names[static_cast<std::size_t>(label)]};
    for (std::int64_t other = 0; other < classes_; ++other) {
      row.push_back(std::to_string(count(label, other)));
    }
    row.push_back(three_digits(precision(label)));
    row.push_back(three_digits(recall(label)));
    rows.push_back(std::move(row));
  }
  return aligned(rows);
}

std::string ConfusionMatrix::most_confused(const std::vector<std::string>& names) const {
  std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>> errors;  // -count, true, taken
  for (std::int64_t label = 0; label < classes_; ++label) {
    for (std::int64_t other = 0; other < classes_; ++other) {
      if (other != label && count(label, other) > 0)
        errors.emplace_back(-count(label, other), label, other);
    }
  }
  std::sort(errors.begin(), errors.end());
  errors.resize(std::min<std::size_t>(errors.size(), 10));
  std::vector<std::vector<std::string>> rows = {{"true", "predicted", "times"}};
  for (const auto& [negative, label, other] : errors) {
    rows.push_back({names[static_cast<std::size_t>(label)], names[static_cast<std::size_t>(other)],
                    std::to_string(-negative)});
  }
  return aligned(rows);
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  return ConfusionMatrix(logits, labels).accuracy();
}

}  // namespace retrace::train
