#pragma once

// For .cpp files: the arithmetic of recurrent cells, forward and back, for one sample.

#include <cstdint>
#include <string_view>

#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/recurrent.h>
#include <retrace/tensor/kernels/math.h>

namespace retrace::recurrent {

/// One row (a sample) of a step, n wide: the parts of the input's and of the state's product, what
/// is kept for backward, states before and after.
template <class T>
struct Row {
  std::int64_t n;
  const T *from_x, *from_h;
  T* kept;
  const T *h_before, *c_before;
  T *h, *c;
};

/// The same going back. `dh` and `dc` are the gradients of h and c, and become what goes straight
/// to the state before; dx and dh_in those of the products' parts (one buffer unless they differ).
template <class T>
struct RowBack {
  std::int64_t n;
  const T *kept, *h_before, *c_before, *h, *c;
  T *dh, *dc, *d_from_x, *d_from_h;
};

// A kind of layer: how many gates, how many numbers are kept for each of the state, its texts, and
// its arithmetic for one row; and the same for all rows by ops, for second derivatives: the state
// after the one `before`, from the parts of the input's and of the state's product.

struct Rnn {
  static constexpr std::int64_t gates = 1, kept = 0;
  static constexpr bool has_cell = false, parts_differ = false;
  static constexpr std::string_view cell_op = "rnn_cell", sequence_op = "rnn",
                                    formula = "h' = f(W x + b + U h + c)",
                                    gradient =
                                        "d = g · f', dx = Wᵀ d, dh = Uᵀ d, dW = Σ d xᵀ, dU = Σ d "
                                        "hᵀ, db = dc = Σ d";
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;

  template <class T>
  void forward(const Row<T>& r) const {
    // NOLINTNEXTLINE(bugprone-branch-clone): the loops differ, which clang-tidy 14 does not see
    if (nonlinearity == RnnNonlinearity::tanh) {
#pragma omp simd
      for (std::int64_t i = 0; i < r.n; ++i) r.h[i] = math::tanh(r.from_x[i] + r.from_h[i]);
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < r.n; ++i) r.h[i] = math::max(r.from_x[i] + r.from_h[i], T(0));
    }
  }
  template <class T>
  void backward(const RowBack<T>& r) const {
    const bool is_tanh = nonlinearity == RnnNonlinearity::tanh;
#pragma omp simd
    for (std::int64_t i = 0; i < r.n; ++i) {
      const T h = r.h[i], slope = is_tanh ? T(1) - h * h : math::select(h > T(0), T(1), T(0));
      r.d_from_x[i] = r.dh[i] * slope;
      r.dh[i] = 0;
    }
  }
  LstmState by_ops(const Tensor& from_x, const Tensor& from_h, const LstmState&) const {
    const Tensor sum = from_x + from_h;
    return {nonlinearity == RnnNonlinearity::tanh ? tanh(sum) : relu(sum), {}};
  }
};

struct Gru {
  static constexpr std::int64_t gates = 3, kept = 4;  // r, z, n, and u_n
  static constexpr bool has_cell = false, parts_differ = true;
  static constexpr std::string_view cell_op = "gru_cell", sequence_op = "gru",
                                    formula =
                                        "a = W x + b, u = U h + c, r = σ(a_r + u_r), z = σ(a_z + "
                                        "u_z), n = tanh(a_n + r · u_n), h' = (1 - z) · n + z · h",
                                    gradient =
                                        "d_n = g · (1 - z) · (1 - n²), d_z = g · (h - n) · z (1 - "
                                        "z), d_r = d_n · u_n · r (1 - r), dx = Wᵀ d, dh = Uᵀ d + g "
                                        "· z, dW = Σ d xᵀ, dU = Σ d hᵀ, db = Σ d";

  template <class T>
  void forward(const Row<T>& row) const {
    const std::int64_t n = row.n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const T reset = math::sigmoid(row.from_x[i] + row.from_h[i]);
      const T update = math::sigmoid(row.from_x[n + i] + row.from_h[n + i]);
      const T state_part = row.from_h[2 * n + i];
      const T fresh = math::tanh(row.from_x[2 * n + i] + reset * state_part);
      row.h[i] = (T(1) - update) * fresh + update * row.h_before[i];
      row.kept[i] = reset;
      row.kept[n + i] = update;
      row.kept[2 * n + i] = fresh;
      row.kept[3 * n + i] = state_part;
    }
  }
  template <class T>
  void backward(const RowBack<T>& row) const {
    const std::int64_t n = row.n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const T reset = row.kept[i], update = row.kept[n + i], fresh = row.kept[2 * n + i];
      const T g = row.dh[i], d_fresh = g * (T(1) - update) * (T(1) - fresh * fresh);
      const T d_update = g * (row.h_before[i] - fresh) * update * (T(1) - update);
      const T d_reset = d_fresh * row.kept[3 * n + i] * reset * (T(1) - reset);
      row.d_from_x[i] = row.d_from_h[i] = d_reset;
      row.d_from_x[n + i] = row.d_from_h[n + i] = d_update;
      row.d_from_x[2 * n + i] = d_fresh;
      row.d_from_h[2 * n + i] = d_fresh * reset;
      row.dh[i] = g * update;
    }
  }
  LstmState by_ops(const Tensor& from_x, const Tensor& from_h, const LstmState& before) const {
    const std::vector<Tensor> a = from_x.chunk(3, 1), u = from_h.chunk(3, 1);
    const Tensor reset = sigmoid(a[0] + u[0]), update = sigmoid(a[1] + u[1]);
    const Tensor fresh = tanh(a[2] + reset * u[2]);
    return {(1.0 - update) * fresh + update * before.h, {}};
  }
};

struct Lstm {
  static constexpr std::int64_t gates = 4, kept = 4;
  static constexpr bool has_cell = true, parts_differ = false;
  static constexpr std::string_view
      cell_op = "lstm_cell",
      sequence_op = "lstm",
      formula =
          "(i, f, m, o) = (σ, σ, tanh, σ)(W x + b + U h + b'), c' = "
          "f · c + i · m, h' = o · tanh(c')",
      gradient =
          "e = dc' + g · o · (1 - tanh²(c')), d_i = e · m · i (1 - "
          "i), d_f = e · c · f (1 - f), d_m = e · i · (1 - m²), d_o = "
          "g · tanh(c') · o (1 - o), dc = e · f, dx = Wᵀ d, dh = Uᵀ "
          "d, dW = Σ d xᵀ, dU = Σ d hᵀ, db = Σ d";

  template <class T>
  void forward(const Row<T>& row) const {
    const std::int64_t n = row.n;
    const auto sum = [&row](std::int64_t i) { return row.from_x[i] + row.from_h[i]; };
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const T in = math::sigmoid(sum(i)), forget = math::sigmoid(sum(n + i));
      const T fresh = math::tanh(sum(2 * n + i)), out = math::sigmoid(sum(3 * n + i));
      const T c = forget * row.c_before[i] + in * fresh;
      row.c[i] = c;
      row.h[i] = out * math::tanh(c);
      row.kept[i] = in;
      row.kept[n + i] = forget;
      row.kept[2 * n + i] = fresh;
      row.kept[3 * n + i] = out;
    }
  }
  template <class T>
  void backward(const RowBack<T>& row) const {
    const std::int64_t n = row.n;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) {
      const T in = row.kept[i], forget = row.kept[n + i], fresh = row.kept[2 * n + i];
      const T out = row.kept[3 * n + i], g = row.dh[i], tanh_c = math::tanh(row.c[i]);
      const T e = row.dc[i] + g * out * (T(1) - tanh_c * tanh_c);
      row.d_from_x[i] = e * fresh * in * (T(1) - in);
      row.d_from_x[n + i] = e * row.c_before[i] * forget * (T(1) - forget);
      row.d_from_x[2 * n + i] = e * in * (T(1) - fresh * fresh);
      row.d_from_x[3 * n + i] = g * tanh_c * out * (T(1) - out);
      row.dc[i] = e * forget;
      row.dh[i] = 0;
    }
  }
  LstmState by_ops(const Tensor& from_x, const Tensor& from_h, const LstmState& before) const {
    const std::vector<Tensor> a = (from_x + from_h).chunk(4, 1);
    const Tensor c = sigmoid(a[1]) * before.c + sigmoid(a[0]) * tanh(a[2]);
    return {sigmoid(a[3]) * tanh(c), c};
  }
};

}  // namespace retrace::recurrent
