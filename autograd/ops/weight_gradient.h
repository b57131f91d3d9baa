#pragma once

// For .cpp files: gradients of weights and biases, added where a buffer is there to add to.

#include <retrace/autograd/node.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/columns.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/view.h>

namespace retrace {

/// Gives input i of the node the gradient left · right; the product itself adds it up.
template <class T>
void give_product(const Node& node, Gradients& gradients, std::size_t i,
                  kernels::MatrixView<const T> left, kernels::MatrixView<const T> right) {
  const Tensor sum = gradients.accumulator(i);
  Tensor d = sum.defined() ? sum : empty(node.input(i).sizes(), dtype_of<T>);
  kernels::gemm<T>(T(1), left, right, sum.defined() ? T(1) : T(0),
                   kernels::row_major(elements<T>(d), left.rows, right.cols));
  if (!sum.defined()) gradients.give(i, std::move(d));
}

/// Gives input i, [columns], the sums down the columns of a row-major matrix.
template <class T>
void give_column_sums(Gradients& gradients, std::size_t i, kernels::MatrixView<const T> x) {
  const Tensor sum = gradients.accumulator(i);
  Tensor d = sum.defined() ? sum : empty({x.cols}, dtype_of<T>);
  kernels::sum_columns(x.data, x.rows, x.cols, x.cols, elements<T>(d), sum.defined());
  if (!sum.defined()) gradients.give(i, std::move(d));
}

}  // namespace retrace
