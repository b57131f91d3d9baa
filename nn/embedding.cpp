#include <retrace/nn/embedding.h>

#include <retrace/autograd/ops/indexing.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

Tensor new_table(std::int64_t rows, std::int64_t columns, DType dtype) {
  require<ValueError>(rows >= 0 && columns >= 0,
                      "Embedding: num_embeddings is {}, embedding_dim {}; give at least 0", rows,
                      columns);
  require<DTypeError>(is_floating(dtype), "Embedding: cannot be {}; use float32 or float64", dtype);
  return empty({rows, columns}, dtype);
}

}  // namespace

Embedding::Embedding(std::int64_t num_embeddings, std::int64_t embedding_dim,
                     const EmbeddingOptions& options)
    : Embedding(new_table(num_embeddings, embedding_dim, options.dtype), options) {
  init::normal_(weight);
  if (padding_idx_) init::zeros_(weight.detach().select(0, *padding_idx_));
}

Embedding::Embedding(const Tensor& table, const EmbeddingOptions& options)
    : padding_idx_(options.padding_idx) {
  require<ShapeError>(table.dim() == 2,
                      "Embedding: the table has shape {}; it must be [num_embeddings, "
                      "embedding_dim]",
                      table.sizes());
  const std::int64_t rows = table.size(0);
  if (padding_idx_) {
    require<IndexError>(
        *padding_idx_ >= -rows && *padding_idx_ < rows,
        "Embedding: padding_idx {} is outside of a table of {} rows; name one of them",
        *padding_idx_, rows);
    if (*padding_idx_ < 0) *padding_idx_ += rows;
  }
  weight = register_parameter("weight", table);
  describe(fmt::format("{}, {}{}", rows, table.size(1),
                       padding_idx_ ? fmt::format(", padding_idx={}", *padding_idx_) : ""));
}

Tensor Embedding::forward(const Tensor& index) const {
  const PlaceScope scope(*this);
  return embedding(weight, index, padding_idx_);
}

}  // namespace retrace::nn
