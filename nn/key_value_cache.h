#pragma once

// What attention keeps of the tokens that a model has read.

#include <utility>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::nn {

/// Keys and values of the tokens so far, of every layer, so that a text that grows token by token
/// is not read anew each time:
///
///     nn::KeyValueCache cache;
///     NoGradGuard no_grad;
///     Tensor logits = gpt(prompt, cache);     // [B, T, V]
///     logits = gpt(next_token, cache);        // [B, 1, V], as if the whole text had been given
///
/// A model that refuses its input leaves the cache as it was.
class KeyValueCache {
 public:
  /// Keys and values of one layer, [B, heads, capacity, D].
  struct Layer {
    Tensor keys, values;
  };

  /// Tokens of each row that were read.
  std::int64_t length() const { return length_; }
  /// Rows; 0 before any was read.
  std::int64_t batch() const { return length_ == 0 ? 0 : layers_[0].keys.size(0); }
  /// As if nothing had been read; another number of rows may follow.
  void clear();

  /// For the model: keys and values [B, heads, T, D] of new tokens join those of `layer`, in memory
  /// for `capacity` tokens; returns all so far, [B, heads, length + T, D]. ShapeError when the new
  /// ones are of another shape.
  std::pair<Tensor, Tensor> join(std::size_t layer, std::int64_t capacity, const Tensor& keys,
                                 const Tensor& values);
  /// For the model: every layer has got `tokens` new ones.
  void advance(std::int64_t tokens) { length_ += tokens; }

 private:
  std::vector<Layer> layers_;
  std::int64_t length_ = 0;
};

}  // namespace retrace::nn
