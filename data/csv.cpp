#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_set>
#include <utility>

#include <retrace/data/csv.h>
#include <retrace/data/text.h>
#include <retrace/tensor/check.h>

namespace retrace::data {
namespace {

constexpr std::size_t kMostColumns = 1 << 20;

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

// How many bytes must be put in, left out or changed to make b of a (Levenshtein 1966).
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);  // to each beginning of b, from what was read of a
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t change = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// Cuts a text into fields, one call each.
class FieldReader {
 public:
  FieldReader(const std::string& path, std::string_view text, char separator)
      : path_(path), rest_(text), separator_(separator) {}

  bool at_end() const { return rest_.empty(); }
  std::int64_t line() const { return line_; }
  /// Whether the field that was read last ended its row.
  bool ended_row() const { return ended_row_; }

  /// The next field, valid until the next call; `column` (from 1) is for messages.
  std::string_view next(std::size_t column) {
    skip_blanks();
    const std::string_view field = rest_.starts_with('"') ? quoted(column) : unquoted();
    const std::size_t nul = field.find('\0');
    require<IoError>(nul == std::string_view::npos, "{}:{}: column {}: a NUL byte; is this a text?",
                     path_, line_, column);
    end_field(column);
    return field;
  }

 private:
  bool is_blank(char c) const { return (c == ' ' || c == '\t') && c != separator_; }

  void skip_blanks() {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }

  std::string_view unquoted() {
    std::size_t size = 0;
    while (size < rest_.size() && rest_[size] != separator_ && rest_[size] != '\r' &&
           rest_[size] != '\n') {
      ++size;
    }
    const std::string_view field = trimmed(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return field;
  }

  std::string_view quoted(std::size_t column) {
    const std::int64_t opened = line_;
    rest_.remove_prefix(1);
    field_.clear();
    for (;;) {
      const std::size_t quote = rest_.find('"');
      require<IoError>(quote != std::string_view::npos,
                       "{}:{}: column {}: a quote is opened and never closed", path_, opened,
                       column);
      field_ += rest_.substr(0, quote);
      rest_.remove_prefix(quote + 1);
      if (!rest_.starts_with('"')) break;
      field_ += '"';
      rest_.remove_prefix(1);
    }
    // Lines within the field count for what comes behind it.
    for (std::size_t i = 0; i < field_.size(); ++i) {
      const bool crlf = field_[i] == '\r' && i + 1 < field_.size() && field_[i + 1] == '\n';
      line_ += (field_[i] == '\n' || field_[i] == '\r') && !crlf;
    }
    skip_blanks();
    return field_;
  }

  void end_field(std::size_t column) {
    ended_row_ = true;
    if (rest_.empty()) return;
    const char end = rest_.front();
    require<IoError>(
        end == separator_ || end == '\r' || end == '\n',
        "{}:{}: column {}: text follows the closing quote; double a quote within quotes", path_,
        line_, column);
    if (end == separator_) {
      ended_row_ = false;
      rest_.remove_prefix(1);
      return;
    }
    rest_.remove_prefix(rest_.starts_with("\r\n") ? 2 : 1);
    ++line_;
  }

  const std::string& path_;
  std::string_view rest_;
  char separator_;
  std::string field_;
  std::int64_t line_ = 1;
  bool ended_row_ = true;
};

enum class NumberStatus { number, not_finite, out_of_range, inexact, no_number };

// Whether a whole number that is written in digits is `value`, not only near it.
bool keeps_digits(std::string_view text, double value) {
  constexpr double kExact = 1LL << 53;  // below it float64 has all
  if (std::abs(value) < kExact || text.find_first_of(".eE") != text.npos) return true;
  const std::string digits = fmt::format("{:.0f}", std::abs(value));
  const std::size_t first = text.find_first_not_of("-0");
  return text.substr(first) == digits;
}

NumberStatus parse_number(std::string_view text, double& value) {
  // from_chars takes no plus sign, and would take "nan" and "inf".
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    return NumberStatus::no_number;
  if (error == std::errc::result_out_of_range) return NumberStatus::out_of_range;
  if (!std::isfinite(value)) return NumberStatus::not_finite;
  return keeps_digits(text, value) ? NumberStatus::number : NumberStatus::inexact;
}

std::string_view what_is_wrong(NumberStatus status) {
  switch (status) {
    case NumberStatus::number:
      return {};
    case NumberStatus::not_finite:
      return "is not finite";
    case NumberStatus::out_of_range:
      return "is too large or too small for float64";
    case NumberStatus::inexact:
      return "is a whole number that float64 cannot hold to the last digit; write a quantity with "
             "fewer digits (1.5e16), and take names made of digits as text, or leave their column "
             "out";
    case NumberStatus::no_number:
      break;
  }
  return "is not a number, and its column must hold numbers; correct it, or take the column as "
         "text";
}

class CsvParser {
 public:
  CsvParser(const std::string& path, const CsvOptions& options) : path_(path), options_(options) {}

  Table parse(std::string_view text) {
    Table table;
    table.path = path_;
    // Blank lines at the end are no rows.
    text = text.substr(0, text.find_last_not_of("\r\n") + 1);
    require<IoError>(!text.empty(), "{}: is empty", path_);
    FieldReader reader(path_, text, options_.separator);
    if (options_.header) {
      read_names(reader, table);
    } else {
      count_columns(reader, table);
    }
    // Once to learn what the columns hold, and once to keep it: no list of fields is ever in
    // memory, which for short fields would be many times the file.
    counts_.resize(table.names.size());
    for_each_row_field(reader, table.names, nullptr,
                       [&](std::size_t column, std::string_view field, std::int64_t) {
                         count(counts_[column], field);
                       });
    choose_types(table);
    for_each_row_field(reader, table.names, &table.lines,
                       [&](std::size_t column, std::string_view field, std::int64_t line) {
                         keep(table.columns[column], column, field, line);
                       });
    return table;
  }

 private:
  struct Counts {
    std::int64_t numbers = 0, others = 0;
  };

  void read_names(FieldReader& reader, Table& table) {
    std::unordered_set<std::string> seen;
    do {
      const std::size_t column = table.names.size() + 1;
      const std::string name(reader.next(column));
      require<IoError>(!trimmed(name).empty(), "{}:1: column {} has no name", path_, column);
      require<IoError>(seen.insert(name).second, "{}:1: column {}: the name {} comes twice", path_,
                       column, shown(name));
      table.names.push_back(name);
    } while (!reader.ended_row());
  }

  void count_columns(FieldReader reader, Table& table) {
    do {
      reader.next(table.names.size() + 1);
      // Each column takes far more memory than the comma that makes it.
      require<IoError>(table.names.size() < kMostColumns, "{}:1: more than {} columns", path_,
                       kMostColumns);
      table.names.push_back(std::to_string(table.names.size() + 1));
    } while (!reader.ended_row());
  }

  // Calls f(column, field, line) for each field of the remaining rows, all of the same length.
  template <class F>
  void for_each_row_field(FieldReader reader, const std::vector<std::string>& names,
                          std::vector<std::int64_t>* lines, F&& f) {
    while (!reader.at_end()) {
      const std::int64_t row_line = reader.line();
      std::size_t column = 0;
      do {
        const std::int64_t line = reader.line();
        const std::string_view field = reader.next(column + 1);
        if (column < names.size()) f(column, field, line);
        ++column;
      } while (!reader.ended_row());
      require<IoError>(column == names.size(), "{}:{}: {} fields, but the first line has {}", path_,
                       row_line, column, names.size());
      if (lines != nullptr) lines->push_back(row_line);
    }
  }

  bool is_missing(std::string_view value) const {
    const auto& tokens = options_.missing;
    return std::find(tokens.begin(), tokens.end(), value) != tokens.end();
  }

  void count(Counts& counts, std::string_view field) const {
    const std::string_view value = trimmed(field);
    double ignored = 0;
    if (is_missing(value)) return;
    const bool number = parse_number(value, ignored) != NumberStatus::no_number;
    ++(number ? counts.numbers : counts.others);
  }

  void choose_types(Table& table) const {
    for (std::size_t i = 0; i < table.names.size(); ++i) {
      const bool is_text = !options_.numbers_only && counts_[i].others > counts_[i].numbers / 4;
      table.columns.push_back({.name = table.names[i], .is_text = is_text});
    }
    const auto force = [&table](const std::vector<std::string>& names, bool is_text) {
      for (const std::string& name : names) table.columns[table.index_of(name)].is_text = is_text;
    };
    force(options_.text_columns, true);
    force(options_.number_columns, false);
  }

  void keep(Column& column, std::size_t i, std::string_view field, std::int64_t line) const {
    const std::string_view value = trimmed(field);
    const bool missing = is_missing(value);
    column.missing.push_back(missing);
    if (column.is_text) {
      column.texts.emplace_back(missing ? std::string_view() : field);
      return;
    }
    double number = std::numeric_limits<double>::quiet_NaN();
    const NumberStatus status = missing ? NumberStatus::number : parse_number(value, number);
    if (status != NumberStatus::number) {
      fail<IoError>("{}:{}: column {} ({}): {} {}", path_, line, i + 1, excerpt(column.name),
                    shown(value), what_is_wrong(status));
    }
    column.numbers.push_back(number);
  }

  const std::string& path_;
  const CsvOptions& options_;
  std::vector<Counts> counts_;
};

}  // namespace

bool Table::contains(std::string_view name) const {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::size_t Table::index_of(std::string_view name) const {
  const auto index = std::find(names.begin(), names.end(), name);
  if (index == names.end()) {
    fail<IoError>("{}: there is no column {}; the columns are {}", path, shown(name),
                  names_like(name));
  }
  return static_cast<std::size_t>(index - names.begin());
}

std::string Table::names_like(std::string_view name) const {
  constexpr std::size_t kCompared = 64, kShown = 20;  // bytes of a name; names
  const auto start_of = [](std::string_view text) { return lower(text.substr(0, kCompared)); };
  std::vector<std::pair<std::size_t, std::size_t>> ranks;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::size_t edits = edits_between(start_of(name), start_of(names[i]));
    ranks.emplace_back(name.empty() ? 0 : edits, i);
  }
  std::sort(ranks.begin(), ranks.end());
  std::string list;
  for (std::size_t i = 0; i < std::min(kShown, ranks.size()); ++i) {
    list += (i > 0 ? ", " : "") + excerpt(names[ranks[i].second]);
  }
  if (names.size() > kShown) list += fmt::format(" and {} more", names.size() - kShown);
  return list;
}

const Column& Table::column(std::string_view name) const { return columns[index_of(name)]; }

bool Table::names_are_numbers() const {
  double ignored = 0;
  return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return parse_number(name, ignored) != NumberStatus::no_number;
  });
}

std::string Table::place(std::int64_t row, std::string_view column) const {
  return fmt::format("{}:{}: column {}", path, lines[static_cast<std::size_t>(row)],
                     excerpt(column));
}

std::optional<double> as_number(std::string_view text) {
  double value = 0;
  if (parse_number(text, value) != NumberStatus::number) return {};
  return value;
}

Table read_csv(const std::string& path, const CsvOptions& options) {
  require<ValueError>(options.separator != '"' && options.separator != '\n' &&
                          options.separator != '\r' && options.separator != '\0',
                      "read_csv: a quote, a line end or NUL cannot separate fields");
  return CsvParser(path, options).parse(as_text(path, read_plain_or_gzip(path, options.limits)));
}

}  // namespace retrace::data
