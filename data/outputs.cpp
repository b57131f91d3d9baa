#include <retrace/data/outputs.h>

#include <algorithm>
#include <map>
#include <numeric>

#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

constexpr std::size_t kMostClasses = 1000;

std::size_t index(std::int64_t row) { return static_cast<std::size_t>(row); }

std::vector<std::int64_t> all_rows(const Table& table) {
  std::vector<std::int64_t> rows(index(table.rows()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

// A column of numbers, none of which is missing in `rows`.
const Column& known_numbers(const Table& table, const std::string& name,
                            const std::vector<std::int64_t>& rows) {
  const Column& column = table.column(name);
  require<IoError>(!column.is_text, "{}: column {} holds texts, but a number was to be learnt",
                   table.path, excerpt(name));
  for (const std::int64_t row : rows) {
    if (column.missing[index(row)])
      fail<IoError>("{}: the target is missing", table.place(row, name));
  }
  return column;
}

// A column of classes, none of which is missing.
const Column& known_classes(const Table& table, const std::string& name) {
  const Column& column = table.column(name);
  require<IoError>(column.is_text, "{}: column {} holds classes; read it as text", table.path,
                   excerpt(name));
  for (std::int64_t row = 0; row < table.rows(); ++row) {
    if (column.missing[index(row)])
      fail<IoError>(
          "{}: the class is missing (empty, NA, ? or the like); write one, or leave the row out",
          table.place(row, name));
  }
  return column;
}

}  // namespace

std::vector<std::string> numbered(std::int64_t count, std::int64_t first) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) names.push_back(std::to_string(first + i));
  return names;
}

// Classes -------------------------------------------------------------------------------------

ClassNames::ClassNames(const Table& table, const std::string& column) : column_(column) {
  std::map<std::string, std::int64_t> first;  // row of each class
  const std::vector<std::string>& texts = known_classes(table, column).texts;
  for (std::int64_t row = 0; row < table.rows(); ++row) first.emplace(texts[index(row)], row);
  for (const auto& entry : first) names_.push_back(entry.first);
  require<IoError>(names_.size() <= kMostClasses,
                   "{}: column {} has {} different values in {} rows: a quantity, not a class",
                   table.path, excerpt(column), names_.size(), table.rows());
  const bool numbers = std::all_of(names_.begin(), names_.end(),
                                   [](const std::string& name) { return as_number(name); });
  if (numbers) {
    std::stable_sort(names_.begin(), names_.end(),
                     [](const auto& a, const auto& b) { return *as_number(a) < *as_number(b); });
    const auto same = std::adjacent_find(
        names_.begin(), names_.end(),
        [](const auto& a, const auto& b) { return *as_number(a) == *as_number(b); });
    if (same != names_.end()) {
      const auto [early, late] = std::minmax(first.at(same[0]), first.at(same[1]));
      fail<IoError>(
          "{}: {}, and {} on line {}, are one number but would be two classes; write it "
          "in one way",
          table.place(late, column), shown(texts[index(late)]), shown(texts[index(early)]),
          table.lines[index(early)]);
    }
  }
  require<IoError>(names_.size() >= 2,
                   "{}: column {} has {} classes in {} rows; a classifier needs two", table.path,
                   excerpt(column), names_.size(), table.rows());
}

Tensor ClassNames::encode(const Table& table) const {
  const Column& column = known_classes(table, column_);
  std::map<std::string_view, std::int64_t> numbers;
  for (const std::string& name : names_) {
    numbers.emplace(name, static_cast<std::int64_t>(numbers.size()));
  }
  Tensor result = empty({table.rows()}, kInt64);
  for (std::int64_t row = 0; row < table.rows(); ++row) {
    const std::string& text = column.texts[index(row)];
    const auto number = numbers.find(text);
    if (number == numbers.end()) {
      std::vector<std::string> learnt;
      for (std::size_t i = 0; i < std::min<std::size_t>(20, names_.size()); ++i)
        learnt.push_back(excerpt(names_[i]));
      fail<IoError>("{}: {} is not a class that was learnt; those are {}",
                    table.place(row, column_), excerpt(text), fmt::join(learnt, ", "));
    }
    elements<std::int64_t>(result)[row] = number->second;
  }
  return result;
}

// A quantity ----------------------------------------------------------------------------------

TargetScale::TargetScale(const Table& table, const std::string& column,
                         const std::vector<std::int64_t>& rows)
    : column_(column),
      scale_(Scale::of(table, known_numbers(table, column, all_rows(table)), rows)) {
  require<IoError>(scale_.deviation > 0,
                   "{}: column {} is {} in all rows to learn from: there is "
                   "nothing to predict",
                   table.path, excerpt(column), scale_.mean);
}

Tensor TargetScale::encode(const Table& table) const {
  const Column& column = known_numbers(table, column_, all_rows(table));
  Tensor result = empty({table.rows()});
  for (std::int64_t row = 0; row < table.rows(); ++row) {
    elements<float>(result)[row] = scale_(table, column, row);
  }
  return result;
}

Tensor TargetScale::to_units(const Tensor& standardised) const {
  const Tensor result = as_contiguous(standardised.detach().to(kFloat64));
  Tensor units = empty(result.sizes(), kFloat64);
  std::transform(elements<double>(result), elements<double>(result) + result.numel(),
                 elements<double>(units),
                 [this](double y) { return y * scale_.deviation + scale_.mean; });
  return units;
}

// Labels --------------------------------------------------------------------------------------

LabelNames::LabelNames(const Table& table, std::int64_t count) {
  const std::int64_t columns = std::ssize(table.names);
  require<IoError>(count >= 1 && count < columns,
                   "{}: {} labels do not fit its {} columns; say how many of the last columns are "
                   "labels, and leave some to learn from",
                   table.path, count, columns);
  names_.assign(table.names.end() - count, table.names.end());
}

Tensor LabelNames::encode(const Table& table) const {
  const std::int64_t rows = table.rows();
  Tensor result = empty({rows, size()});
  for (std::int64_t label = 0; label < size(); ++label) {
    const std::string& name = names_[index(label)];
    const Column& column = table.column(name);
    for (std::int64_t row = 0; row < rows; ++row) {
      const double number = column.is_text ? as_number(column.texts[index(row)]).value_or(-1)
                                           : column.numbers[index(row)];
      if (number != 0 && number != 1) {
        fail<IoError>("{}: a label is 0 or 1, not {}", table.place(row, name),
                      column.missing[index(row)] ? "missing"
                      : column.is_text           ? shown(column.texts[index(row)])
                                                 : fmt::format("{}", number));
      }
      elements<float>(result)[row * size() + label] = static_cast<float>(number);
    }
  }
  return result;
}

}  // namespace retrace::data
