#pragma once

#include <string>
#include <vector>

#include <retrace/train/figure.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// A page about a run: one HTML file that needs nothing else, for light and dark, wide and narrow
/// screens. Everything is shown in the order in which it was added.
class Page {
 public:
  Page(std::string title, std::string about) : title_(std::move(title)), about_(std::move(about)) {}

  void add(const Figure& figure);
  void add(const Table& table);
  /// In front of all that was added before.
  void add_first(const Figure& figure);
  void add_first(const Table& table);

  std::string html() const;

 private:
  std::string title_, about_;
  std::vector<std::string> parts_;
};

}  // namespace retrace::train
