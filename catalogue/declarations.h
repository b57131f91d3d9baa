#pragma once

// What the headers of the library say of their ops: each public function with its comment.

#include <string>
#include <string_view>
#include <vector>

namespace retrace::catalogue {

/// A function declared at namespace scope, in the form of its first overload.
struct Declaration {
  std::string name;
  std::string signature;  ///< "Tensor relu(const Tensor& x)"
  std::string comment;    ///< in one line; that of the function before it when it has none
  std::string header;     ///< "autograd/ops/activation.h"
  std::string top;        ///< the comment at the head of the header, in one line

  /// The words before the gradient, the errors and the source.
  std::string summary() const;
  /// What follows "Gradient:", or "dx = ..."; empty when there is none.
  std::string gradient() const;
  /// What follows "Source:" here, else at the head of the header; empty when there is none.
  std::string source() const;
};

/// Every declaration of the public headers in autograd/ops/ and losses/ below `root`, by header,
/// in order. A header whose head says that it is "For .cpp files" is not public. IoError when
/// there is no such folder.
std::vector<Declaration> declarations(const std::string& root);

}  // namespace retrace::catalogue
