#pragma once

// The columns of a table as numbers that a network can take.

#include <optional>
#include <string>
#include <vector>

#include <retrace/data/csv.h>

namespace retrace::data {

/// (x - mean) / deviation.
struct Scale {
  double mean = 0, deviation = 1;

  /// Of the known cells of a column of numbers; the deviation is 0 when all are equal, and NaN is
  /// the mean of none. IoError for numbers so far apart that their differences overflow.
  static Scale of(const Table& table, const Column& column, const std::vector<std::int64_t>& rows);

  /// Of a known cell. IoError when float32 cannot hold it.
  float operator()(const Table& table, const Column& column, std::int64_t row) const;
};

/// Learns from the rows to train on, and from them alone, how to turn any row into features:
///
/// - a column of numbers becomes one feature, (x - mean) / standard deviation;
/// - a column of texts becomes one feature for each text that it has, 1 where it is that text;
/// - a missing cell, and a text that was not learnt, takes the mean of its features;
/// - a column that is the same in all rows says nothing, and one with more than 100 texts names the
///   rows rather than describing them: both are left out.
class TableEncoder {
 public:
  TableEncoder() = default;
  /// Of all columns but `left_out`. IoError when no feature is left.
  TableEncoder(const Table& table, const std::vector<std::int64_t>& rows,
               const std::vector<std::string>& left_out);
  /// Columns of numbers that are features as they are, rounded to float32.
  static TableEncoder unchanged(const std::vector<std::string>& names);

  std::int64_t features() const;
  /// What a reader of another table must take as text, whatever it looks like, and as numbers.
  std::vector<std::string> text_columns() const { return names_where(true); }
  std::vector<std::string> number_columns() const { return names_where(false); }
  /// For the reader of a log, a line each: cells that were missing, columns that were left out or
  /// hold texts.
  const std::vector<std::string>& notes() const { return notes_; }

  /// float32 [rows, features]; columns are found by their names, others are ignored. IoError when
  /// one is not there, holds texts where numbers were learnt, or a number so large that float32
  /// cannot hold the feature. `notes`: there each column gets a line that has missing cells, or
  /// texts that were not learnt.
  Tensor encode(const Table& table, std::vector<std::string>* notes = nullptr) const;

  /// All that was learnt, as JSON, and back (IoError when it is not that).
  std::string to_json() const;
  static TableEncoder from_json(const std::string& json);

 private:
  struct ColumnRule {
    std::string name;
    bool is_text = false;
    Scale scale = {};                      // of numbers
    std::vector<std::string> levels = {};  // of texts, sorted
    std::vector<double> shares = {};       // of each level among the known cells

    std::int64_t features() const { return is_text ? static_cast<std::int64_t>(levels.size()) : 1; }
    void encode(const Table& table, const Column& column, std::int64_t row, float* features) const;
    /// Where its text stands among the levels; their number when it was not learnt.
    std::size_t level_of(const std::string& text) const;
    void note(const Table& table, const Column& column, std::vector<std::string>& notes) const;
  };

  std::optional<ColumnRule> learn(const Table& table, const Column& column,
                                  const std::vector<std::int64_t>& rows);
  std::vector<std::string> names_where(bool is_text) const;

  std::vector<ColumnRule> rules_;
  std::vector<std::string> notes_;
};

}  // namespace retrace::data
