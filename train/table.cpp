#include <retrace/train/table.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <retrace/trace/html.h>

namespace retrace::train {
namespace {

// Characters, not bytes; good enough for Latin, Greek and Cyrillic.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded_left(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ') + text;
}

// Words are set from the left and may wrap; numbers stand under each other.
bool is_words(const std::string& cell) {
  return cell.size() > 12 && cell.find(' ') != std::string::npos;
}

}  // namespace

std::string Table::text() const {
  std::vector<std::size_t> widths(header.size());
  const auto widen = [&widths](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  };
  widen(header);
  for (const auto& row : rows) widen(row);

  std::string all;
  const auto add = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i)
      all += (i > 0 ? "  " : "") + padded_left(row[i], widths[i]);
    all += '\n';
  };
  add(header);
  for (const auto& row : rows) add(row);
  return all;
}

std::string Table::html() const {
  std::string all = "<div class=\"scroll\"><table>\n";
  if (std::any_of(header.begin(), header.end(), [](const auto& cell) { return !cell.empty(); })) {
    all += "<thead><tr>";
    for (const std::string& cell : header)
      all += fmt::format("<th>{}</th>", trace::escape_html(cell));
    all += "</tr></thead>\n";
  }
  all += "<tbody>\n";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    all += "<tr>";
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const char* const tag = c == 0 ? "th" : "td";
      const double strength = shade.empty() ? 0.0 : shade[r][c];
      const std::string style =
          strength > 0 ? fmt::format(" style=\"--shade:{:.0f}%\"", 100 * strength) : "";
      const char* const kind = c > 0 && is_words(rows[r][c]) ? " class=\"words\"" : "";
      all += fmt::format("<{}{}{}>{}</{}>", tag, kind, style, trace::escape_html(rows[r][c]), tag);
    }
    all += "</tr>\n";
  }
  return all + "</tbody></table></div>\n";
}

std::string three_digits(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.3f}", value);
}

double value_of(const Metrics& metrics, std::string_view name) {
  for (const auto& [known, value] : metrics)
    if (known == name) return value;
  return std::nan("");
}

Table metrics_table(const std::string& title, const std::vector<std::string>& models,
                    const std::vector<Metrics>& of_each) {
  Table table{title, {""}, {}, {}};
  table.header.insert(table.header.end(), models.begin(), models.end());
  for (const auto& [name, first] : of_each.at(0)) {
    table.rows.push_back({name});
    for (const Metrics& metrics : of_each)
      table.rows.back().push_back(fmt::format("{:.4f}", value_of(metrics, name)));
  }
  return table;
}

Table best_table(const Metrics& learnt, const Metrics& best) {
  Table table{"Beside the best that can be, on the same rows", {"", "learnt", "best"}, {}, {}};
  for (const auto& [name, value] : learnt) {
    std::string other = "-";
    for (const auto& known : best)
      if (known.first == name) other = fmt::format("{:.4f}", known.second);
    table.rows.push_back({name, fmt::format("{:.4f}", value), std::move(other)});
  }
  return table;
}

}  // namespace retrace::train
