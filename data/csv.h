#pragma once

// Tables in comma-separated values (RFC 4180), plain or gzip. Every error is an IoError that names
// file, line and column: "houses.csv:12: column 3 (age): "1,5" is not a number; ...".

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/data/gzip.h>
#include <retrace/tensor/tensor.h>

namespace retrace::data {

struct CsvOptions {
  char separator = ',';
  bool header = true;  ///< the first line holds the names; else they are "1", "2", ...
  /// What stands for a value that is not known, within quotes too, spaces around it left out.
  std::vector<std::string> missing = {"", "?", "NA", "N/A", "NaN", "nan", "null"};
  /// Columns to take as text even though they look like numbers, and those that must be numbers.
  std::vector<std::string> text_columns = {}, number_columns = {};
  bool numbers_only = false;  ///< all but `text_columns` must be
  UnpackLimits limits = {};
};

/// A column is one of numbers when four fifths of its known values are (or more); another value in
/// it is then an error. Else all its values are texts.
struct Column {
  std::string name;
  bool is_text = false;
  std::vector<double> numbers = {};  ///< of a column of numbers; NaN where missing
  /// Of a column of texts; empty where missing. Spaces around a text are left out, those within
  /// quotes are kept.
  std::vector<std::string> texts = {};
  std::vector<bool> missing = {};  ///< for each row
};

/// A CSV that was read: columns with a name each, as long as there are rows.
struct Table {
  std::string path;  ///< where it was read, for messages
  std::vector<std::string> names = {};
  std::vector<Column> columns = {};
  std::vector<std::int64_t> lines = {};  ///< the line of the file on which each row starts

  std::int64_t rows() const { return static_cast<std::int64_t>(lines.size()); }
  bool contains(std::string_view name) const;
  /// IoError, listing the names, when there is none.
  const Column& column(std::string_view name) const;
  /// Where a cell stands, for messages: "houses.csv:12: column age".
  std::string place(std::int64_t row, std::string_view column) const;

  /// The names as a list for messages, those most like `name` first, twenty at most.
  std::string names_like(std::string_view name = {}) const;
  /// The number of a column, from 0; IoError as of column().
  std::size_t index_of(std::string_view name) const;
  /// Whether all are numbers: a first line that was taken for names may be a row.
  bool names_are_numbers() const;
};

/// The number that a cell of a column of numbers holds; none for a text, and for a number that is
/// an error in such a column.
std::optional<double> as_number(std::string_view text);

/// Quotes protect separators, line ends, doubled quotes and spaces; other spaces and tabs around a
/// field are left out; line ends are LF, CRLF or CR; a byte order mark and blank lines at the end
/// are left out. Errors: no lines, a row with more or fewer fields than the first, a quote left
/// open or followed by more text, a NUL byte, a name that is empty or comes twice, a number that
/// float64 cannot hold (a whole one in digits: to the last of them) or that is not finite, bytes
/// that are not UTF-8.
Table read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace retrace::data
