#pragma once

#include <optional>

#include <retrace/nn/module.h>

namespace retrace::nn {

struct EmbeddingOptions {
  std::optional<std::int64_t> padding_idx = {};  ///< may count from the end
  DType dtype = kFloat32;
};

/// y = rows of a table.  index: int64, any shape; y: [..., embedding_dim].
///
/// Parameter: weight [num_embeddings, embedding_dim], standard normal at first. The row padding_idx
/// is 0 at first and gets no gradient. Gradient and errors: see embedding().
class Embedding : public Module {
 public:
  /// ValueError for negative sizes, DTypeError unless floating, IndexError for a padding_idx
  /// outside of the table.
  Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim,
            const EmbeddingOptions& options = {});
  /// On a table that exists [num_embeddings, embedding_dim]; its dtype counts. ShapeError
  /// otherwise.
  explicit Embedding(const Tensor& weight, const EmbeddingOptions& options = {});

  Tensor forward(const Tensor& index) const;
  Tensor operator()(const Tensor& index) const { return forward(index); }

  Tensor weight;

 private:
  std::optional<std::int64_t> padding_idx_;
};

}  // namespace retrace::nn
