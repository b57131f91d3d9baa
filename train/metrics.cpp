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

}  // namespace

void require_no_nan(std::string_view metric, std::string_view what, const Tensor& values) {
  const std::vector<double> all = values.detach().to_vector<double>();
  const auto nan = std::find_if(all.begin(), all.end(), [](double x) { return std::isnan(x); });
  if (nan == all.end()) return;
  const std::int64_t rows = values.dim() == 0 ? 1 : values.size(0);
  fail<ValueError>("{}: {} of row {} are NaN", metric, what,
                   (nan - all.begin()) / (std::ssize(all) / rows));
}

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
  require_no_nan("ConfusionMatrix", "logits", logits);
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

Table ConfusionMatrix::table(const std::vector<std::string>& names) const {
  std::vector<std::string> all = names;
  for (std::int64_t label = 0; names.empty() && label < classes_; ++label) {
    all.push_back(std::to_string(label));
  }
  require<ValueError>(static_cast<std::int64_t>(all.size()) == classes_,
                      "ConfusionMatrix: {} names for {} classes", all.size(), classes_);
  return classes_ <= 20 ? whole(all) : most_confused(all);
}

Table ConfusionMatrix::whole(const std::vector<std::string>& names) const {
  Table table{"What was taken for what", {"true \\ predicted"}, {}, {}};
  for (const std::string& name : names) table.header.push_back(name);
  table.header.insert(table.header.end(), {"precision", "recall"});
  for (std::int64_t label = 0; label < classes_; ++label) {
    std::vector<std::string> row = {names[static_cast<std::size_t>(label)]};
    std::vector<double> shade = {0};
    for (std::int64_t other = 0; other < classes_; ++other) {
      row.push_back(std::to_string(count(label, other)));
      shade.push_back(present(label) == 0 ? 0 : 0.6 * ratio(count(label, other), present(label)));
    }
    row.push_back(three_digits(precision(label)));
    row.push_back(three_digits(recall(label)));
    shade.insert(shade.end(), {0, 0});
    table.rows.push_back(std::move(row));
    table.shade.push_back(std::move(shade));
  }
  return table;
}

Table ConfusionMatrix::most_confused(const std::vector<std::string>& names) const {
  std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>> errors;  // -count, true, taken
  for (std::int64_t label = 0; label < classes_; ++label) {
    for (std::int64_t other = 0; other < classes_; ++other) {
      if (other != label && count(label, other) > 0)
        errors.emplace_back(-count(label, other), label, other);
    }
  }
  std::sort(errors.begin(), errors.end());
  errors.resize(std::min<std::size_t>(errors.size(), 10));
  Table table{"The most frequent confusions", {"true", "predicted", "times"}, {}, {}};
  for (const auto& [negative, label, other] : errors) {
    table.rows.push_back({names[static_cast<std::size_t>(label)],
                          names[static_cast<std::size_t>(other)], std::to_string(-negative)});
  }
  return table;
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  return ConfusionMatrix(logits, labels).accuracy();
}

}  // namespace retrace::train
