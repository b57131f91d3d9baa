#pragma once

// Products of two matrices, as the texts of ops have them: "y = x Wᵀ + b", "dW = gᵀ x".

#include <array>
#include <optional>
#include <string>

#include <retrace/trace/trace.h>

namespace retrace::trace::page {

/// A tensor of a product.
struct Part {
  static constexpr std::size_t kResult = static_cast<std::size_t>(-1);
  std::size_t of = kResult;  ///< which input of the op
  std::string letter = {};   ///< "W"
  /// A letter for each of its dims, as einsum has them: an element of the result is the sum of the
  /// products of those elements of the factors whose places agree with it and with each other. '.':
  /// a dim of one element that goes with all.
  std::string dims = {};
};

/// `result` of `factors`, up to a scale and to what is added to it.
struct Product {
  std::array<Part, 2> factors;
  Part result;
};

/// What the op that made `made` computes, none when that is no such product.
std::optional<Product> product_of(const Trace& trace, const Node& made);
/// The same of the gradient that it gives its input number `input`; a factor that is the op's
/// result then stands for the gradient of it, the letter being "g".
std::optional<Product> gradient_product_of(const Trace& trace, const Node& made, std::size_t input);

}  // namespace retrace::trace::page
