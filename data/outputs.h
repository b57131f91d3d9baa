#pragma once

// What a model learns to give for each row of a table: a class, a quantity, or labels. Each is
// learnt from a table, encodes the targets of this and other tables, and is kept as JSON.

#include <string>
#include <string_view>
#include <vector>

#include <retrace/data/csv.h>
#include <retrace/data/table_encoder.h>

namespace retrace::data {

/// "1", "2", ...: so many names, as columns without names have them.
std::vector<std::string> numbered(std::int64_t count, std::int64_t first = 1);

/// The classes of a column and their numbers: sorted by value when all are numbers, else by text.
class ClassNames {
 public:
  static constexpr std::string_view kKey = "classes";

  ClassNames() = default;
  /// Classes that are not of a table.
  explicit ClassNames(std::vector<std::string> names) : names_(std::move(names)) {}
  /// Of all rows of the column, read as text. IoError for a missing cell (with its line), fewer
  /// than two classes, more than a thousand (then it is a quantity, not a class), or numbers of
  /// which two are the same, "1" and "1.0" (with their lines).
  ClassNames(const Table& table, const std::string& column);

  std::int64_t size() const { return static_cast<std::int64_t>(names_.size()); }
  const std::vector<std::string>& names() const { return names_; }
  /// The columns of a table that hold the targets.
  std::vector<std::string> columns() const { return {column_}; }

  /// int64 [rows]. IoError for a cell that is missing or of no class, with its line.
  Tensor encode(const Table& table) const;

  std::string to_json() const;
  /// IoError when it is not that.
  static ClassNames from_json(const std::string& json);

 private:
  std::string column_;
  std::vector<std::string> names_;
};

/// A column of numbers, standardised by the rows to train on.
class TargetScale {
 public:
  static constexpr std::string_view kKey = "target";

  TargetScale() = default;
  /// IoError for a column of texts, a missing cell in any row (with its line), or a column that is
  /// the same in all of `rows`.
  TargetScale(const Table& table, const std::string& column, const std::vector<std::int64_t>& rows);

  const std::string& name() const { return column_; }
  /// Of the target in its own units.
  double mean() const { return scale_.mean; }
  double deviation() const { return scale_.deviation; }
  std::vector<std::string> columns() const { return {column_}; }

  /// float32 [rows], (y - mean) / deviation. IoError for a missing cell or one of text.
  Tensor encode(const Table& table) const;
  /// Standardised values of any shape in the target's own units: y · deviation + mean; float64,
  /// unrecorded.
  Tensor to_units(const Tensor& standardised) const;

  std::string to_json() const;
  static TargetScale from_json(const std::string& json);

 private:
  std::string column_;
  Scale scale_;
};

/// Columns of 0 and 1, any number of which may be 1 in a row.
class LabelNames {
 public:
  static constexpr std::string_view kKey = "labels";

  LabelNames() = default;
  explicit LabelNames(std::vector<std::string> names) : names_(std::move(names)) {}
  /// The last `count` columns of a table. IoError unless it has more columns than that.
  LabelNames(const Table& table, std::int64_t count);

  std::int64_t size() const { return static_cast<std::int64_t>(names_.size()); }
  const std::vector<std::string>& names() const { return names_; }
  std::vector<std::string> columns() const { return names_; }

  /// float32 [rows, labels]. IoError for a cell that is neither 0 nor 1, with its line.
  Tensor encode(const Table& table) const;

  std::string to_json() const;
  static LabelNames from_json(const std::string& json);

 private:
  std::vector<std::string> names_;
};

}  // namespace retrace::data
