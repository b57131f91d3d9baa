#include <retrace/data/table_encoder.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

constexpr std::size_t kMostLevels = 100, kMostClasses = 1000;

std::string percent(std::size_t part, std::size_t whole) {
  return fmt::format("{:.2g} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::optional<double> as_number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::size_t index(std::int64_t row) { return static_cast<std::size_t>(row); }

}  // namespace

// Learning ------------------------------------------------------------------------------------

TableEncoder::TableEncoder(const Table& table, const std::vector<std::int64_t>& rows,
                           const std::vector<std::string>& left_out) {
  for (const Column& column : table.columns) {
    if (std::find(left_out.begin(), left_out.end(), column.name) != left_out.end()) continue;
    if (auto rule = learn(column, rows)) rules_.push_back(std::move(*rule));
  }
  require<IoError>(features() > 0, "{}: no column is left to learn from", table.path);
}

TableEncoder TableEncoder::unchanged(const std::vector<std::string>& names) {
  TableEncoder encoder;
  for (const std::string& name : names) encoder.rules_.push_back({.name = name});
  return encoder;
}

std::optional<TableEncoder::ColumnRule> TableEncoder::learn(const Column& column,
                                                            const std::vector<std::int64_t>& rows) {
  ColumnRule rule{.name = column.name, .is_text = column.is_text};
  std::map<std::string, std::size_t> counts;
  std::size_t known = 0;
  double sum = 0, squares = 0;
  for (const std::int64_t row : rows) {
    if (column.missing[index(row)]) continue;
    ++known;
    if (column.is_text) {
      ++counts[column.texts[index(row)]];
    } else {
      sum += column.numbers[index(row)];
    }
  }
  if (known == 0 || counts.size() > kMostLevels) {
    notes_.push_back(known == 0 ? fmt::format("{}: has no values; left out", column.name)
                                : fmt::format("{}: has {} different texts; left out", column.name,
                                              counts.size()));
    return {};
  }
  const double n = static_cast<double>(known);
  std::string filled_with = "the shares of its texts";
  if (column.is_text) {
    for (const auto& [level, count] : counts) {
      rule.levels.push_back(level);
      rule.shares.push_back(static_cast<double>(count) / n);
    }
  } else {
    rule.mean = sum / n;
    for (const std::int64_t row : rows) {
      const double distance = column.numbers[index(row)] - rule.mean;
      if (!column.missing[index(row)]) squares += distance * distance;
    }
    const double deviation = std::sqrt(squares / n);
    // A constant column must stay 0; one of huge numbers must not become NaN.
    rule.deviation = deviation > 0 && std::isfinite(deviation) ? deviation : 1;
    require<IoError>(std::isfinite(rule.mean) && std::isfinite(deviation),
                     "column {}: its numbers are too large to be averaged; rescale them",
                     column.name);
    filled_with = fmt::format("the mean {:.6g}", rule.mean);
  }
  if (known < rows.size()) {
    notes_.push_back(fmt::format("{}: {} of {} cells ({}) are missing; filled with {}", column.name,
                                 rows.size() - known, rows.size(),
                                 percent(rows.size() - known, rows.size()), filled_with));
  }
  return rule;
}

// Encoding ------------------------------------------------------------------------------------

std::int64_t TableEncoder::features() const {
  std::int64_t total = 0;
  for (const ColumnRule& rule : rules_) total += rule.features();
  return total;
}

std::vector<std::string> TableEncoder::text_columns() const {
  std::vector<std::string> names;
  for (const ColumnRule& rule : rules_) {
    if (rule.is_text) names.push_back(rule.name);
  }
  return names;
}

Tensor TableEncoder::encode(const Table& table) const {
  std::vector<const Column*> columns;
  for (const ColumnRule& rule : rules_) {
    const Column& column = table.column(rule.name);
    const bool all_missing =
        std::find(column.missing.begin(), column.missing.end(), false) == column.missing.end();
    require<IoError>(column.is_text == rule.is_text || all_missing,
                     "{}: column {} holds {}, but {} were learnt", table.path, rule.name,
                     column.is_text ? "texts" : "numbers", rule.is_text ? "texts" : "numbers");
    columns.push_back(&column);
  }
  Tensor result = empty({table.rows(), features()});
  auto* features = elements<float>(result);
  for (std::size_t row = 0; row < index(table.rows()); ++row) {
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      rules_[i].encode(*columns[i], row, features);
      features += rules_[i].features();
    }
  }
  return result;
}

void TableEncoder::ColumnRule::encode(const Column& column, std::size_t row,
                                      float* result) const {
  const bool missing = column.missing[row];
  if (!is_text) {
    *result = missing ? 0.0f : static_cast<float>((column.numbers[row] - mean) / deviation);
    return;
  }
  const auto level = missing ? levels.end()
                             : std::lower_bound(levels.begin(), levels.end(), column.texts[row]);
  const bool known = level != levels.end() && *level == column.texts[row];
  for (std::size_t i = 0; i < levels.size(); ++i) {
    result[i] = known ? static_cast<float>(levels[i] == *level) : static_cast<float>(shares[i]);
  }
}

// As JSON -------------------------------------------------------------------------------------

std::string TableEncoder::to_json() const {
  auto json = nlohmann::ordered_json::array();
  for (const ColumnRule& rule : rules_) {
    auto& column = json.emplace_back();
    column["name"] = rule.name;
    if (rule.is_text) {
      column["levels"] = rule.levels;
      column["shares"] = rule.shares;
    } else {
      column["mean"] = rule.mean;
      column["deviation"] = rule.deviation;
    }
  }
  return json.dump();
}

TableEncoder TableEncoder::from_json(const std::string& text) {
  TableEncoder encoder;
  try {
    for (const auto& column : nlohmann::json::parse(text)) {
      ColumnRule rule{.name = column.at("name"), .is_text = column.contains("levels")};
      if (rule.is_text) {
        column.at("levels").get_to(rule.levels);
        column.at("shares").get_to(rule.shares);
      } else {
        column.at("mean").get_to(rule.mean);
        column.at("deviation").get_to(rule.deviation);
      }
      require<IoError>(rule.levels.size() == rule.shares.size() && rule.deviation > 0,
                       "columns: column {} of the model is inconsistent", rule.name);
      encoder.rules_.push_back(std::move(rule));
    }
  } catch (const nlohmann::json::exception& error) {
    fail<IoError>("columns: the model's list of columns cannot be read: {}", error.what());
  }
  return encoder;
}

// Classes -------------------------------------------------------------------------------------

ClassNames::ClassNames(const Table& table, const std::string& column) {
  std::set<std::string> distinct;
  for (const std::string& text : table.column(column).texts) distinct.insert(text);
  distinct.erase("");
  names_.assign(distinct.begin(), distinct.end());
  const bool numbers = std::all_of(names_.begin(), names_.end(),
                                   [](const std::string& name) { return as_number(name); });
  if (numbers) {
    std::stable_sort(names_.begin(), names_.end(), [](const auto& a, const auto& b) {
      return *as_number(a) < *as_number(b);
    });
  }
  require<IoError>(names_.size() >= 2,
                   "{}: column {} has {} classes in {} rows; a classifier needs two", table.path,
                   column, names_.size(), table.rows());
  require<IoError>(names_.size() <= kMostClasses,
                   "{}: column {} has {} different values in {} rows: a quantity, not a class",
                   table.path, column, names_.size(), table.rows());
  encode(table, column);
}

Tensor ClassNames::encode(const Table& table, const std::string& column) const {
  const Column& target = table.column(column);
  std::map<std::string_view, std::int64_t> numbers;
  for (const std::string& name : names_) {
    numbers.emplace(name, static_cast<std::int64_t>(numbers.size()));
  }
  Tensor result = empty({table.rows()}, kInt64);
  for (std::size_t row = 0; row < index(table.rows()); ++row) {
    require<IoError>(!target.missing[row], "{}:{}: column {}: the class is missing", table.path,
                     table.lines[row], column);
    const auto number = numbers.find(target.texts[row]);
    require<IoError>(number != numbers.end(),
                     "{}:{}: column {}: {} is not a class that was learnt; those are {}",
                     table.path, table.lines[row], column, target.texts[row],
                     fmt::join(names_.begin(), names_.begin() + std::min<std::ptrdiff_t>(
                                                   20, std::ssize(names_)), ", "));
    elements<std::int64_t>(result)[row] = number->second;
  }
  return result;
}

}  // namespace retrace::data
