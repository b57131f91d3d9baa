#pragma once

#include <string>

/// The few functions of OpenBLAS that products need; internal to tensor/kernels/.
///
/// The library is loaded by the first call, not with the program: loading it takes longer than
/// everything else that a small program does, and left alone it starts threads of its own, which
/// would make every reference count atomic. It runs with one thread for the whole process; a
/// program that uses OpenBLAS itself should know. Not to be found at all, it is an Error.
///
/// Matrices are row-major; `transposed` says that the operand is the transpose of the matrix at
/// hand. Each call at a time needs 128 MiB of address space to work in: where there is none for one
/// more, calls take turns, and where there is none at all they are a ValueError. A build of
/// OpenBLAS for one thread hands out its work buffers without a lock: there they take turns as
/// well.
namespace retrace::kernels::blas {

/// C = alpha A B + beta C, A [m, k], B [k, n].
void gemm(bool a_transposed, bool b_transposed, int m, int n, int k, float alpha, const float* a,
          int lda, const float* b, int ldb, float beta, float* c, int ldc);
void gemm(bool a_transposed, bool b_transposed, int m, int n, int k, double alpha, const double* a,
          int lda, const double* b, int ldb, double beta, double* c, int ldc);

/// y = alpha A x + beta y; the matrix at hand is [m, n]. NaN in y survives beta = 0.
void gemv(bool a_transposed, int m, int n, float alpha, const float* a, int lda, const float* x,
          int incx, float beta, float* y, int incy);
void gemv(bool a_transposed, int m, int n, double alpha, const double* a, int lda, const double* x,
          int incx, double beta, double* y, int incy);

std::string kernels();
std::string config();

}  // namespace retrace::kernels::blas
