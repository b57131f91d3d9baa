#pragma once

// The catalogue as a page for people, docs/catalogue.md: from the table, the headers and the tape.

#include <string>

#include <retrace/catalogue/catalogue.h>
#include <retrace/catalogue/declarations.h>

namespace retrace::catalogue {

/// What is to be said of a row.
struct Entry {
  const Row* row;
  Declaration declaration;
  std::string formula;   ///< as its node says; of what is no node, as its comment says
  std::string gradient;  ///< likewise, or the nodes it goes through; "none" without a derivative
  std::string source;
  int nodes = 0;  ///< that a call puts on the tape, of the first sample that wants a gradient
};

/// An entry for each row whose function is declared in a header below `root`, in the table's order.
/// Texts that are not there are empty.
std::vector<Entry> entries(const std::string& root);

/// The page, in Markdown.
std::string document(const std::string& root);

}  // namespace retrace::catalogue
