#include <retrace/data/table_encoder.h>

#include <algorithm>
#include <cmath>
#include <map>

#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

constexpr std::size_t kMostLevels = 100;

std::string percent(std::size_t part, std::size_t whole) {
  return fmt::format("{:.2g} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

// Learning ------------------------------------------------------------------------------------

Scale Scale::of(const Table& table, const Column& column, const std::vector<std::int64_t>& rows) {
  std::vector<double> known;
  for (const std::int64_t r : rows) {
    const auto row = static_cast<std::size_t>(r);
    if (!column.missing[row]) known.push_back(column.numbers[row]);
  }
  const double n = static_cast<double>(known.size());
  // Relative to one of them, so that the deviation of equal numbers is 0 to the last bit.
  double sum = 0, largest = 0, squares = 0;
  for (const double x : known) sum += x - known.front();
  Scale scale{.mean = known.empty() ? std::nan("") : known.front() + sum / n};
  for (const double x : known) largest = std::max(largest, std::abs(x - scale.mean));
  // Squares neither vanish nor overflow in units of the largest; a power of 2 rounds nothing.
  const int unit = largest > 0 && std::isfinite(largest) ? std::ilogb(largest) : 0;
  for (const double x : known) {
    const double distance = std::scalbn(x - scale.mean, -unit);
    squares += distance * distance;
  }
  scale.deviation = known.empty() ? 0 : std::scalbn(std::sqrt(squares / n), unit);
  require<IoError>(known.empty() || (std::isfinite(scale.mean) && std::isfinite(scale.deviation)),
                   "{}: column {}: its numbers are too large to be averaged; rescale them",
                   table.path, excerpt(column.name));
  return scale;
}

float Scale::operator()(const Table& table, const Column& column, std::int64_t row) const {
  const double x = column.numbers[static_cast<std::size_t>(row)];
  const auto scaled = static_cast<float>((x - mean) / deviation);
  if (!std::isfinite(scaled))
    fail<IoError>("{}: {:.6g} is too far from what was learnt, {:.6g} +- {:.3g}",
                  table.place(row, column.name), x, mean, deviation);
  return scaled;
}

TableEncoder::TableEncoder(const Table& table, const std::vector<std::int64_t>& rows,
                           const std::vector<std::string>& left_out) {
  for (const Column& column : table.columns) {
    if (std::find(left_out.begin(), left_out.end(), column.name) != left_out.end()) continue;
    if (auto rule = learn(table, column, rows)) rules_.push_back(std::move(*rule));
  }
  constexpr std::size_t kShown = 5;
  const std::size_t shown = std::min(kShown, notes_.size());
  require<IoError>(
      features() > 0, "{}: no column is left to learn from{}{}{}", table.path,
      notes_.empty() ? "" : ": ",
      fmt::join(notes_.begin(), notes_.begin() + std::ptrdiff_t(shown), "; "),
      notes_.size() > shown ? fmt::format("; and {} more", notes_.size() - shown) : "");
}

TableEncoder TableEncoder::unchanged(const std::vector<std::string>& names) {
  TableEncoder encoder;
  for (const std::string& name : names) encoder.rules_.push_back({.name = name});
  return encoder;
}

std::optional<TableEncoder::ColumnRule> TableEncoder::learn(const Table& table,
                                                            const Column& column,
                                                            const std::vector<std::int64_t>& rows) {
  ColumnRule rule{.name = column.name, .is_text = column.is_text};
  std::map<std::string, std::size_t> counts;  // of texts
  std::size_t known = 0;
  for (const std::int64_t r : rows) {
    const auto row = static_cast<std::size_t>(r);
    if (column.missing[row]) continue;
    ++known;
    if (column.is_text) ++counts[column.texts[row]];
  }
  if (!column.is_text) rule.scale = Scale::of(table, column, rows);
  const bool is_constant = column.is_text ? counts.size() == 1 : rule.scale.deviation == 0;
  if (known == 0 || is_constant || counts.size() > kMostLevels) {
    const std::string why = known == 0     ? "has no values"
                            : !is_constant ? fmt::format("has {} different texts", counts.size())
                            : column.is_text
                                ? fmt::format("is {} in all rows", excerpt(counts.begin()->first))
                                : fmt::format("is {:.6g} in all rows", rule.scale.mean);
    notes_.push_back(fmt::format("{}: {}; left out", excerpt(column.name), why));
    return {};
  }
  for (const auto& [level, count] : counts) {
    rule.levels.push_back(level);
    rule.shares.push_back(static_cast<double>(count) / static_cast<double>(known));
  }
  if (column.is_text) {
    notes_.push_back(fmt::format("{}: holds texts; each of its {} becomes a feature",
                                 excerpt(column.name), counts.size()));
  }
  if (known < rows.size()) {
    notes_.push_back(fmt::format("{}: {} of {} cells ({}) are missing; filled with {}",
                                 excerpt(column.name), rows.size() - known, rows.size(),
                                 percent(rows.size() - known, rows.size()),
                                 column.is_text ? "the shares of its texts"
                                                : fmt::format("the mean {:.6g}", rule.scale.mean)));
  }
  return rule;
}

// Encoding ------------------------------------------------------------------------------------

std::int64_t TableEncoder::features() const {
  std::int64_t total = 0;
  for (const ColumnRule& rule : rules_) total += rule.features();
  return total;
}

std::vector<std::string> TableEncoder::names_where(bool is_text) const {
  std::vector<std::string> names;
  for (const ColumnRule& rule : rules_) {
    if (rule.is_text == is_text) names.push_back(rule.name);
  }
  return names;
}

Tensor TableEncoder::encode(const Table& table, std::vector<std::string>* notes) const {
  std::vector<const Column*> columns;
  for (const ColumnRule& rule : rules_) {
    const Column& column = table.column(rule.name);
    const bool all_missing =
        std::find(column.missing.begin(), column.missing.end(), false) == column.missing.end();
    require<IoError>(column.is_text == rule.is_text || all_missing,
                     "{}: column {} holds {}, but {} were learnt", table.path, excerpt(rule.name),
                     column.is_text ? "texts" : "numbers", rule.is_text ? "texts" : "numbers");
    columns.push_back(&column);
    if (notes != nullptr) rule.note(table, column, *notes);
  }
  Tensor result = empty({table.rows(), features()});
  auto* features = elements<float>(result);
  for (std::int64_t row = 0; row < table.rows(); ++row) {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      rules_[i].encode(table, *columns[i], row, features);
      features += rules_[i].features();
    }
  }
  return result;
}

void TableEncoder::ColumnRule::encode(const Table& table, const Column& column, std::int64_t row,
                                      float* result) const {
  const auto cell = static_cast<std::size_t>(row);
  const bool missing = column.missing[cell];
  if (!is_text) {
    *result = missing ? 0.0f : scale(table, column, row);
    return;
  }
  const std::size_t level = missing ? levels.size() : level_of(column.texts[cell]);
  const bool known = level < levels.size();
  for (std::size_t i = 0; i < levels.size(); ++i) {
    result[i] = known ? static_cast<float>(i == level) : static_cast<float>(shares[i]);
  }
}

std::size_t TableEncoder::ColumnRule::level_of(const std::string& text) const {
  const auto level = std::lower_bound(levels.begin(), levels.end(), text);
  const bool known = level != levels.end() && *level == text;
  return known ? static_cast<std::size_t>(level - levels.begin()) : levels.size();
}

void TableEncoder::ColumnRule::note(const Table& table, const Column& column,
                                    std::vector<std::string>& notes) const {
  const std::size_t rows = column.missing.size();
  std::size_t missing = 0, unknown = 0, first = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    if (column.missing[row]) {
      ++missing;
    } else if (is_text && level_of(column.texts[row]) == levels.size()) {
      if (unknown++ == 0) first = row;
    }
  }
  const auto add = [&](std::size_t count, const std::string& what) {
    notes.push_back(fmt::format("{}: {}: {} of {} cells ({}) {}; filled with {}", table.path,
                                excerpt(name), count, rows, percent(count, rows), what,
                                is_text ? "the shares of the texts that were learnt"
                                        : fmt::format("the mean {:.6g}", scale.mean)));
  };
  if (missing > 0) add(missing, "are missing");
  if (unknown > 0)
    add(unknown, fmt::format("hold texts that were not learnt, the first {} on line {}",
                             shown(column.texts[first]), table.lines[first]));
}

}  // namespace retrace::data
