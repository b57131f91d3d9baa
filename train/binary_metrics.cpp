#include <retrace/autograd/ops/comparison.h>
#include <retrace/tensor/check.h>
#include <retrace/train/binary_metrics.h>
#include <retrace/train/label_metrics.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace retrace::train {
namespace {

struct RankedRows {
  std::vector<double> scores;
  std::vector<bool> positive;
  std::int64_t positives = 0;

  RankedRows(std::string_view metric, const Tensor& given, const Tensor& labels) {
    require<DTypeError>(given.is_floating_point(), "{}: scores must be floating, not {}", metric,
                        given.dtype());
    require<ShapeError>(given.dim() == 1 && labels.sizes() == given.sizes(),
                        "{}: scores and labels must be [rows], not {} and {}", metric,
                        given.sizes(), labels.sizes());
    scores = given.to_vector<double>();
    const auto nan =
        std::find_if(scores.begin(), scores.end(), [](double x) { return std::isnan(x); });
    require<ValueError>(nan == scores.end(), "{}: the score of row {} is NaN", metric,
                        nan - scores.begin());
    for (const double label : labels.to(kFloat64).to_vector<double>()) {
      require<ValueError>(label == 0 || label == 1, "{}: the label {} is neither 0 nor 1", metric,
                          label);
      positive.push_back(label == 1);
      positives += label == 1;
    }
  }
  std::vector<std::size_t> from_high_to_low() const {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [this](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    return order;
  }
};

}  // namespace

RocCurve roc_curve(const Tensor& scores, const Tensor& labels) {
  const RankedRows rows("roc_curve", scores, labels);
  const double positives = static_cast<double>(rows.positives);
  const double negatives = static_cast<double>(rows.scores.size()) - positives;
  RocCurve curve{{0}, {0}};
  double hits = 0, alarms = 0;
  const std::vector<std::size_t> order = rows.from_high_to_low();
  for (std::size_t i = 0; i < order.size(); ++i) {
    ++(rows.positive[order[i]] ? hits : alarms);
    // Rows of one score pass the threshold together.
    if (i + 1 < order.size() && rows.scores[order[i + 1]] == rows.scores[order[i]]) continue;
    curve.false_positive_rate.push_back(alarms / negatives);
    curve.true_positive_rate.push_back(hits / positives);
  }
  return curve;
}

double roc_auc(const Tensor& scores, const Tensor& labels) {
  const RocCurve curve = roc_curve(scores, labels);
  if (std::isnan(curve.false_positive_rate.back()) || std::isnan(curve.true_positive_rate.back()) ||
      curve.false_positive_rate.size() < 2)
    return std::numeric_limits<double>::quiet_NaN();
  double area = 0;
  for (std::size_t i = 1; i < curve.false_positive_rate.size(); ++i)
    area += (curve.false_positive_rate[i] - curve.false_positive_rate[i - 1]) *
            (curve.true_positive_rate[i] + curve.true_positive_rate[i - 1]) / 2;
  return area;
}

Figure roc_figure(const Tensor& scores, const Tensor& labels) {
  const RocCurve curve = roc_curve(scores, labels);
  constexpr std::size_t kMost = 200;  // points, of which there may be as many as rows
  const std::size_t last = curve.true_positive_rate.size() - 1, step = last / kMost + 1;
  Figure::Numbers x, y;
  for (std::size_t i = 0; i <= last; i = i == last ? last + 1 : std::min(i + step, last)) {
    x.push_back(curve.false_positive_rate[i]);
    y.push_back(curve.true_positive_rate[i]);
  }
  Figure figure("ROC: what is found, against false alarms, as the threshold falls",
                "false positive rate", "true positive rate");
  figure.square().line("model", x, y).line("chance", {0, 1}, {0, 1}, Figure::dashed);
  return figure;
}

Table threshold_table(const Tensor& probabilities, const Tensor& labels) {
  const RankedRows checked("threshold_table", probabilities, labels);
  Table table{
      "What a threshold gives", {"threshold", "precision", "recall", "F1", "accuracy"}, {}, {}};
  const Tensor truth = labels.unsqueeze(1);
  for (int tenth = 1; tenth < 10; ++tenth) {
    const LabelCounts counts(ge(probabilities, tenth / 10.0).unsqueeze(1), truth);
    table.rows.push_back({fmt::format("0.{}", tenth), three_digits(counts.precision(0)),
                          three_digits(counts.recall(0)), three_digits(counts.f1(0)),
                          three_digits(counts.exact_match())});
  }
  return table;
}

Calibration::Calibration(const Tensor& probabilities, const Tensor& labels, int bins) {
  const RankedRows rows("Calibration", probabilities, labels);
  require<ValueError>(bins >= 1, "Calibration: {} bins; there must be at least one", bins);
  const auto count = static_cast<std::size_t>(bins);
  std::vector<double> sums(count), hits(count), sizes(count);
  for (std::size_t r = 0; r < rows.scores.size(); ++r) {
    const double p = rows.scores[r];
    require<ValueError>(p >= 0 && p <= 1, "Calibration: {} is no probability", p);
    const auto bin = std::min(static_cast<std::size_t>(p * bins), count - 1);
    sums[bin] += p;
    hits[bin] += rows.positive[r] ? 1 : 0;
    sizes[bin] += 1;
  }
  double error = 0;
  for (std::size_t b = 0; b < count; ++b) {
    if (sizes[b] == 0) continue;
    const double width = 1.0 / bins, low = static_cast<double>(b) * width;
    bins_.push_back({low, low + width, sums[b] / sizes[b], hits[b] / sizes[b],
                     static_cast<std::int64_t>(sizes[b])});
    error += std::abs(hits[b] - sums[b]);
  }
  ece_ = error / static_cast<double>(rows.scores.size());
}

Table Calibration::table() const {
  Table table{"Does a probability mean what it says?",
              {"probability", "rows", "mean", "of class 1"},
              {},
              {}};
  for (const Bin& bin : bins_)
    table.rows.push_back({fmt::format("{:.2f} to {:.2f}", bin.low, bin.high),
                          std::to_string(bin.rows), three_digits(bin.mean_probability),
                          three_digits(bin.frequency)});
  return table;
}

Figure Calibration::figure() const {
  Figure::Numbers mean, frequency;
  for (const Bin& bin : bins_) {
    mean.push_back(bin.mean_probability);
    frequency.push_back(bin.frequency);
  }
  Figure figure("Does a probability mean what it says?", "probability, as the model says",
                "share of class 1");
  figure.square()
      .line("rows with that probability", mean, frequency)
      .line("as it should be", {0, 1}, {0, 1}, Figure::dashed);
  return figure;
}

}  // namespace retrace::train
