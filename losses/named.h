#pragma once

// For .cpp files: options that are one of several named things. Each has one table, of entries that
// begin with the enumerator and its name.

#include <retrace/tensor/check.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace retrace::losses {

/// The entry of an enumerator.
template <class Table, class Enum>
const auto& entry_of(const Table& table, Enum value) {
  return *std::find_if(std::begin(table), std::end(table),
                       [value](const auto& entry) { return entry.value == value; });
}

/// The enumerator called `text`. ValueError in the name of `op` with every name that there is.
template <class Table>
auto value_named(std::string_view op, std::string_view option, const Table& table,
                 std::string_view text) {
  std::string names;
  for (const auto& entry : table) {
    if (entry.name == text) return entry.value;
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", entry.name);
  }
  fail<ValueError>("{}: {} '{}' is not known; use one of {}", op, option, text, names);
}

}  // namespace retrace::losses
