#pragma once

// Products of matrices and vectors. Operands have one dtype, float32, float64 or int64
// (unrecorded). Strides of any kind are read in place wherever BLAS can, transposed operands among
// them. An inner size of 0 gives zeros. g is the gradient of the result, ᵀ exchanges the last two
// dims.
//
// Errors, all of them: ShapeError for ranks and sizes that do not fit, DTypeError when the dtypes
// differ and for bool.
//
// Source: Giles 2008, Collected matrix derivative results for forward and reverse mode, section 2.

#include <string_view>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y = a b. Vectors [k]: their dot product. Matrices [m, k] and [k, n]: [m, n]. A vector on the
/// left counts as a row, on the right as a column, and that dim is dropped from the result. More
/// dims: products of the matrices in the last two dims, all dims before them broadcast.
/// Gradient: da = g bᵀ, db = aᵀ g.
Tensor matmul(const Tensor& a, const Tensor& b);
/// matmul of two matrices, [m, k] and [k, n].
Tensor mm(const Tensor& a, const Tensor& b);
/// matmul of two stacks of as many matrices, [batch, m, k] and [batch, k, n]. No broadcasting.
Tensor bmm(const Tensor& a, const Tensor& b);
/// matmul of a matrix [m, k] and a vector [k].
Tensor mv(const Tensor& a, const Tensor& x);
/// Σ a · b of two vectors of one size.
Tensor dot(const Tensor& a, const Tensor& b);
/// y(i, j) = a(i) · b(j) of two vectors.
Tensor outer(const Tensor& a, const Tensor& b);

/// y = beta · c + alpha · a b, with c broadcast to [m, n]; floating. beta = 0 leaves c out, NaN
/// included. Gradient: dc = beta · g, da = alpha · g bᵀ, db = alpha · aᵀ g.
Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, Scalar beta = 1, Scalar alpha = 1);

/// Einstein's sum: `einsum("bij,bjk->bik", {a, b})`. Each operand's dims are named by letters; dims
/// of one name have one size, or 1, which is repeated. The result has the dims named behind `->`,
/// in that order; all others are summed over. Without `->`: the letters that occur once, in
/// alphabetical order. A letter twice in one operand takes the diagonal; `...` stands for further
/// dims, which broadcast and come first unless placed. Operands are joined from left to right, each
/// pair by one product or, where nothing is summed, one multiplication.
/// Gradient: through the ops that it is made of. ValueError for an equation that cannot be read.
Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands);

}  // namespace retrace
