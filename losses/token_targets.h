#pragma once

// For .cpp files: what the positions of a text are to predict.

#include <retrace/tensor/tensor.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace retrace::losses {

inline constexpr std::int64_t kNoTarget = -1;

/// The token that each position of the logits is to predict, or kNoTarget: int64 [.., T].
struct Targets {
  Tensor classes;
  std::int64_t kept = 0;  ///< how many are to predict one

  /// Of a mean over them.
  double divisor() const { return static_cast<double>(std::max<std::int64_t>(kept, 1)); }
};

/// Which tokens are targets of which logits.
struct Reading {
  std::string_view op, tokens_name;
  std::int64_t shift;  ///< 1 when a position predicts the next token, 0 when its own
  std::optional<std::int64_t> ignore_index = {};
};

/// Checks logits [.., T, V], tokens [.., T] and the mask of the targets, which may be undefined:
/// ShapeError, DTypeError, IndexError for a target outside the vocabulary.
Targets targets_of(const Reading& reading, const Tensor& logits, const Tensor& tokens,
                   const Tensor& mask = {});

}  // namespace retrace::losses
