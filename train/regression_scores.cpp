#include <retrace/autograd/autograd.h>
#include <retrace/losses/quantile.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/regression_metrics.h>
#include <retrace/train/regression_scores.h>
#include <retrace/train/report.h>

#include <algorithm>
#include <cmath>

namespace retrace::train {

std::vector<std::string> level_names(const std::vector<double>& levels) {
  if (levels.empty()) return {"prediction"};
  std::vector<std::string> names;
  for (const double level : levels) names.push_back(number_text(level));
  return names;
}

RegressionScores::RegressionScores(const Tensor& predicted, const Tensor& target,
                                   const std::vector<double>& levels, const Tensor& learnt_from)
    : predicted_(predicted.detach().to(kFloat64)), target_(target.detach().to(kFloat64)) {
  const std::int64_t columns = std::max<std::int64_t>(1, std::ssize(levels));
  require<ShapeError>(
      predicted.dim() == 2 && predicted.size(1) == columns && target.dim() == 1 &&
          target.size(0) == predicted.size(0),
      "RegressionScores: predictions must be [rows, {}] and targets [rows], not {} and {}", columns,
      predicted.sizes(), target.sizes());
  require<ValueError>(target.size(0) > 0, "RegressionScores: there are no rows");
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const Tensor quantile = predicted_.select(1, static_cast<std::int64_t>(i));
    const auto pinball = [this, level = levels[i]](const Tensor& of) {
      return losses::quantile_loss(of, target_, level).item<double>();
    };
    levels_.push_back({levels[i], coverage(quantile, target_), pinball(quantile),
                       pinball(full_like(target_, sample_quantile(learnt_from, levels[i])))});
  }
}

std::int64_t RegressionScores::middle() const {
  const auto nearest =
      std::min_element(levels_.begin(), levels_.end(), [](const Level& a, const Level& b) {
        return std::abs(a.level - 0.5) < std::abs(b.level - 0.5);
      });
  return nearest - levels_.begin();
}

Metrics RegressionScores::metrics() const {
  const Tensor number = predicted_.select(1, middle());
  Metrics result = {{"mae", mean_absolute_error(number, target_)},
                    {"rmse", root_mean_squared_error(number, target_)}};
  if (levels_.empty()) return result;
  for (const Level& of : levels_) {
    const std::string name = number_text(of.level);
    result.emplace_back("coverage_" + name, of.coverage);
    result.emplace_back("pinball_" + name, of.pinball);
    result.emplace_back("pinball_" + name + "_constant", of.constant);
  }
  result.emplace_back("crossings", crossings(predicted_));
  return result;
}

Table RegressionScores::table() const {
  Table table{"Pinball loss of each quantile",
              {"level", "share below", "loss", "of a constant", "ratio"},
              {},
              {}};
  for (const Level& of : levels_) {
    table.rows.push_back({number_text(of.level), three_digits(of.coverage),
                          fmt::format("{:.5g}", of.pinball), fmt::format("{:.5g}", of.constant),
                          three_digits(of.pinball / of.constant)});
  }
  return table;
}

Figure RegressionScores::figure(const std::string& quantity, std::int64_t most) const {
  const auto shown = [rows = std::min(most, target_.size(0))](const Tensor& x) {
    return x.narrow(0, 0, rows).to_vector<double>();
  };
  std::vector<double> of;
  for (const Level& level : levels_) of.push_back(level.level);
  const Figure::Numbers x = shown(predicted_.select(1, middle()));
  Figure figure("What is true, over what was predicted", "predicted " + quantity, quantity);
  figure.dots("true", x, shown(target_));
  for (std::int64_t i = 0; i < predicted_.size(1); ++i)
    figure.dots(level_names(of)[static_cast<std::size_t>(i)], x, shown(predicted_.select(1, i)));
  return figure;
}

}  // namespace retrace::train
