#include <retrace/tensor/kernels/tiles.h>

#include <algorithm>
#include <utility>

#include <retrace/tensor/pool.h>

namespace retrace::kernels {
namespace {

#if defined(__AVX512F__)
constexpr int kBytes = 64, kRows = 14;  // 28 of 32 registers hold sums
#elif defined(__AVX__)
constexpr int kBytes = 32, kRows = 6;  // 12 of 16
#else
constexpr int kBytes = 16, kRows = 6;
#endif
// Of B, so much of a tile's columns stays in the first cache, and so many columns in the second.
constexpr int64_t kDepth = 256, kColumns = 256;
// Rows of A and C that stay in the second cache while the columns of B go by.
constexpr int64_t kSlab = int64_t{24} * kRows;

// One register. A Loose one lies anywhere in memory.
template <class T>
struct Register {
  static constexpr int lanes = kBytes / sizeof(T);
  typedef T Vector __attribute__((vector_size(kBytes)));
  typedef T Loose __attribute__((vector_size(kBytes), aligned(alignof(T)), may_alias));
};

// Columns of a tile: two registers, where there are so many.
template <class T>
constexpr int64_t kWide = 2 * Register<T>::lanes;

template <class T>
auto load(const T* from) {
  return static_cast<typename Register<T>::Vector>(
      *reinterpret_cast<const typename Register<T>::Loose*>(from));
}
template <class T>
void store(typename Register<T>::Vector x, T* to) {
  *reinterpret_cast<typename Register<T>::Loose*>(to) = x;
}

// Swaps lanes of two registers as a step of a transposition: those with bit S of the one for those
// without it of the other.
template <int S, class V, std::size_t... L>
void exchange(V& a, V& b, std::index_sequence<L...>) {
  constexpr std::size_t n = sizeof...(L);
  const V low = __builtin_shufflevector(a, b, ((L & S) == 0 ? L : L - S + n)...);
  const V high = __builtin_shufflevector(a, b, ((L & S) == 0 ? L + S : L + n)...);
  a = low;
  b = high;
}
template <int S, class V, std::size_t n>
void transpose(V (&x)[n]) {
  if constexpr (S < n) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < n; ++i) {
      if ((i & S) == 0) exchange<S>(x[i], x[i + S], std::make_index_sequence<n>());
    }
    transpose<2 * S>(x);
  }
}

// out(p, j) = b(p, j) for the first `width` columns, 0 for the others up to `wide`.
template <class T>
void pack(MatrixView<const T> b, int64_t width, int64_t wide, T* out) {
  constexpr int64_t n = Register<T>::lanes;
  for (int64_t j = 0; j < wide; j += n) {
    const int64_t columns = std::clamp<int64_t>(width - j, 0, n);
    int64_t p = 0;
    if (columns == n && b.col_stride == 1) {
      for (; p < b.rows; ++p) store(load(&b(p, j)), out + p * wide + j);
    } else if (columns == n && b.row_stride == 1) {
      for (; p + n <= b.rows; p += n) {
        typename Register<T>::Vector x[n];
#pragma GCC unroll 16
        for (int64_t i = 0; i < n; ++i) x[i] = load(&b(p, j + i));
        transpose<1>(x);
#pragma GCC unroll 16
        for (int64_t i = 0; i < n; ++i) store(x[i], out + (p + i) * wide + j);
      }
    }
    for (; p < b.rows; ++p) {
      for (int64_t i = 0; i < n; ++i) out[p * wide + j + i] = i < columns ? b(p, j + i) : T(0);
    }
  }
}

// Memory for as long as a product takes.
template <class T>
struct Block {
  explicit Block(int64_t count)
      : bytes(static_cast<std::size_t>(count) * sizeof(T)),
        data(static_cast<T*>(pool_allocate(bytes))) {}
  ~Block() { pool_free(data, bytes); }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  const std::size_t bytes;
  T* const data;
};

// Rows and how far apart they are.
template <class T>
struct Rows {
  T* data;
  int64_t stride;
};

// C = alpha A B + start, with as many rows and columns as a tile.
template <class T>
struct Product {
  T alpha;
  MatrixView<const T> a;
  Rows<const T> b, start;
  Rows<T> c;
};

// R rows of C, V registers wide: all sums stay in registers.
template <int R, int V, class T>
[[gnu::noinline]] void tile(const Product<T>& x) {
  constexpr int n = Register<T>::lanes;
  typename Register<T>::Vector sum[R][V] = {};
  for (int r = 0; r < R; ++r) __builtin_prefetch(x.c.data + r * x.c.stride, 1);
  const T *column = x.a.data, *row = x.b.data;
  for (int64_t p = 0; p < x.a.cols; ++p, column += x.a.col_stride, row += x.b.stride) {
    typename Register<T>::Vector b[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) b[v] = load(row + v * n);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const T factor = column[r * x.a.row_stride];
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) sum[r][v] += factor * b[v];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      auto y = x.alpha * sum[r][v];
      if (x.start.data != nullptr) y += load(x.start.data + r * x.start.stride + v * n);
      store(y, x.c.data + r * x.c.stride + v * n);
    }
  }
}

template <int R, int V, class T>
void tile_of(const Product<T>& x) {
  if constexpr (R > 0) {
    if (x.a.rows == R) return tile<R, V>(x);
    tile_of<R - 1, V>(x);
  }
}

// A tile at the right edge, of `width` columns of C.
template <int V, class T>
void edge(const Product<T>& x, int64_t width) {
  constexpr int64_t wide = V * Register<T>::lanes;
  T rows[kRows * wide];
  Product<T> whole = x;
  whole.c = {rows, wide};
  if (x.start.data != nullptr) {
    whole.start = {rows, wide};
    for (int64_t r = 0; r < x.a.rows; ++r)
      std::copy_n(x.start.data + r * x.start.stride, width, rows + r * wide);
  }
  tile_of<kRows, V>(whole);
  for (int64_t r = 0; r < x.a.rows; ++r)
    std::copy_n(rows + r * wide, width, x.c.data + r * x.c.stride);
}

// Columns of B that one tile needs, and how many there are.
template <class T>
struct Panel {
  Rows<const T> b;
  int64_t first, width;
};

// C = alpha A B + start for the columns of a panel.
template <class T>
void multiply_panel(T alpha, MatrixView<const T> a, const Panel<T>& panel, Rows<const T> start,
                    Rows<T> c) {
  const int64_t blocks = (a.rows + kRows - 1) / kRows;
  // Changed a number at a time: a copy would wait in memory for what the tile before has stored.
  Product<T> x{alpha, a, panel.b, start, c};
  for (int64_t block = 0; block < blocks; ++block) {
    // Of nearly one size, so that none is left over with few rows.
    const int64_t i = a.rows * block / blocks, end = a.rows * (block + 1) / blocks;
    x.a.data = a.data + i * a.row_stride;
    x.a.rows = end - i;
    if (start.data != nullptr) x.start.data = start.data + i * start.stride + panel.first;
    x.c.data = c.data + i * c.stride + panel.first;
    if (panel.width == kWide<T>) {
      tile_of<kRows, 2>(x);
    } else if (panel.width > Register<T>::lanes) {
      edge<2>(x, panel.width);
    } else {
      edge<1>(x, panel.width);
    }
  }
}

// The panels of B: as they are, where their rows lie together, else packed.
template <class T>
int64_t make_panels(MatrixView<const T> b, T* packed, Panel<T>* panels) {
  int64_t count = 0;
  for (int64_t j = 0; j < b.cols; j += kWide<T>) {
    const int64_t width = std::min(kWide<T>, b.cols - j);
    const int64_t wide = width > Register<T>::lanes ? kWide<T> : Register<T>::lanes;
    if (b.col_stride == 1 && width == kWide<T>) {
      panels[count++] = {{&b(0, j), b.row_stride}, j, width};
      continue;
    }
    T* const to = packed + j * b.rows;
    pack(b.block(0, b.rows, j, width), width, wide, to);
    panels[count++] = {{to, wide}, j, width};
  }
  return count;
}

}  // namespace

template <class T>
void multiply_tiles(T alpha, MatrixView<const T> a, MatrixView<const T> b, const T* start,
                    int64_t start_stride, MatrixView<T> c) {
  const int64_t width = std::min(kColumns, (c.cols + kWide<T> - 1) / kWide<T> * kWide<T>);
  const Block<T> packed(std::min(kDepth, a.cols) * width);
  Panel<T> panels[kColumns / kWide<T> + 1];
  const int64_t parts = (a.cols + kDepth - 1) / kDepth, slabs = (c.rows + kSlab - 1) / kSlab;
  for (int64_t k = 0; k < parts; ++k) {
    const int64_t p = a.cols * k / parts, depth = a.cols * (k + 1) / parts - p;
    for (int64_t col = 0; col < c.cols; col += kColumns) {
      const int64_t columns = std::min(kColumns, c.cols - col);
      const int64_t count = make_panels(b.block(p, depth, col, columns), packed.data, panels);
      for (int64_t slab = 0; slab < slabs; ++slab) {
        const int64_t i = c.rows * slab / slabs, rows = c.rows * (slab + 1) / slabs - i;
        const Rows<T> to{&c(i, col), c.row_stride};
        Rows<const T> from{start, start_stride};
        if (k > 0) {
          from = {to.data, to.stride};
        } else if (start != nullptr) {
          from.data += i * start_stride + col;
        }
        const MatrixView<const T> rows_of_a = a.block(i, rows, p, depth);
        for (int64_t j = 0; j < count; ++j) multiply_panel(alpha, rows_of_a, panels[j], from, to);
      }
    }
  }
}

template void multiply_tiles<float>(float, MatrixView<const float>, MatrixView<const float>,
                                    const float*, int64_t, MatrixView<float>);
template void multiply_tiles<double>(double, MatrixView<const double>, MatrixView<const double>,
                                     const double*, int64_t, MatrixView<double>);

}  // namespace retrace::kernels
