#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace retrace::train {

/// Numbers that tell how good a result is, by name, in the order in which they are shown.
using Metrics = std::vector<std::pair<std::string, double>>;

/// A table of a result: aligned text for the terminal, HTML for the page.
struct Table {
  std::string title = {};
  std::vector<std::string> header = {};
  std::vector<std::vector<std::string>> rows = {};  ///< as many cells as the header each
  /// How strongly each cell is coloured on the page, 0 to 1, for matrices; empty, or as large as
  /// `rows`.
  std::vector<std::vector<double>> shade = {};

  /// Columns aligned to the right, two spaces between them; lines end in '\n'. Without the title.
  std::string text() const;
  std::string html() const;
};

/// The one of that name; NaN when there is none.
double value_of(const Metrics& metrics, std::string_view name);

/// The same metrics of several models, a column each.
Table metrics_table(const std::string& title, const std::vector<std::string>& models,
                    const std::vector<Metrics>& of_each);

/// Metrics by name and, for those that stand in `best` too, what the best possible model reaches.
Table best_table(const Metrics& learnt, const Metrics& best);

/// "0.912", or "-" for what is not a number.
std::string three_digits(double value);

}  // namespace retrace::train
