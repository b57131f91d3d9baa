#pragma once

#include <retrace/tensor/tensor.h>

namespace retrace::train {

/// The share of rows one of whose k nearest others (by the cosine between them) has the same label;
/// rows whose label no other row has are left out. `embeddings` [rows, dims], floating; `labels`
/// int64 [rows]; compared in blocks, so that memory grows with the rows only. NaN without such
/// rows. ShapeError, DTypeError; ValueError unless 1 ≤ k < rows, and for an embedding without a
/// direction, which has a NaN or an infinity.
double recall_at(std::int64_t k, const Tensor& embeddings, const Tensor& labels);

}  // namespace retrace::train
