#include <retrace/tensor/kernels/gemm.h>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <retrace/tensor/error.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/messages.h>

namespace {

using retrace::kernels::gemm;
using retrace::kernels::gemm_batched;
using retrace::kernels::gemm_plus_row;
using retrace::kernels::gemm_reference;
using retrace::kernels::MatrixView;
using retrace::kernels::row_major;
using retrace::testing::message_of;
using retrace::testing::says;

struct Threads {
  explicit Threads(int n) : before(retrace::num_threads()) { retrace::set_num_threads(n); }
  ~Threads() { retrace::set_num_threads(before); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  int before;
};

struct Random {
  uint64_t state = 7;
  double operator()() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 40) * 0x1p-24 - 0.5;
  }
};

enum class Order { kRows, kColumns, kPaddedRows, kPaddedColumns, kStepped, kReversedRows };

// A matrix with a given order of its elements in memory.
template <class T>
struct Matrix {
  std::vector<T> memory;
  MatrixView<T> view;

  Matrix(int64_t rows, int64_t cols, Order order, Random& random) {
    int64_t row = cols, col = 1, offset = 0;
    switch (order) {
      case Order::kRows:
        break;
      case Order::kColumns:
        row = 1;
        col = rows;
        break;
      case Order::kPaddedRows:
        row = cols + 3;
        break;
      case Order::kPaddedColumns:
        row = 1;
        col = rows + 5;
        break;
      case Order::kStepped:
        row = 2 * cols * 3;
        col = 3;
        break;
      case Order::kReversedRows:
        row = -cols;
        offset = std::max<int64_t>(0, (rows - 1) * cols);
        break;
    }
    memory.resize(static_cast<size_t>(6 * (rows + 6) * (cols + 6)));
    for (T& value : memory) {
      value = std::is_integral_v<T> ? static_cast<T>(random() * 100) : static_cast<T>(random());
    }
    view = {memory.data() + offset, rows, cols, row, col};
  }
};

constexpr Order kOrders[] = {Order::kRows,          Order::kColumns, Order::kPaddedRows,
                             Order::kPaddedColumns, Order::kStepped, Order::kReversedRows};

// Worst |x - y| over what rounding allows: k + 2 roundings of terms below 1/4.
template <class T>
double worst_error(MatrixView<T> x, MatrixView<T> y, int64_t k) {
  double worst = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    for (int64_t j = 0; j < x.cols; ++j) {
      const double error = std::fabs(static_cast<double>(x(i, j)) - static_cast<double>(y(i, j)));
      if (std::isnan(error)) return HUGE_VAL;
      worst = std::max(worst, error);
    }
  }
  const double epsilon =
      std::is_integral_v<T> ? 1e-300 : static_cast<double>(std::numeric_limits<T>::epsilon());
  return worst / (epsilon * (1 + std::sqrt(static_cast<double>(k))));
}

template <class T>
void compare(int64_t m, int64_t n, int64_t k, Order oa, Order ob, Order oc, T alpha, T beta,
             double most = 2) {
  Random random;
  Matrix<T> a(m, k, oa, random), b(k, n, ob, random), c(m, n, oc, random);
  Matrix<T> expected = c;
  expected.view.data = expected.memory.data() + (c.view.data - c.memory.data());
  const std::vector<T> before = c.memory;
  gemm<T>(alpha, a.view, b.view, beta, c.view);
  gemm_reference<T>(alpha, a.view, b.view, beta, expected.view);
  const double error = worst_error<T>(c.view, expected.view, k) /
                       std::max(1.0, std::fabs(static_cast<double>(alpha)));
  if (!(error <= most)) {
    FAIL_CHECK(m << " x " << n << " x " << k << " orders " << static_cast<int>(oa)
                 << static_cast<int>(ob) << static_cast<int>(oc) << " alpha " << alpha << " beta "
                 << beta << ": error " << error);
  }
  // Nothing beside C's elements is written.
  gemm_reference<T>(T(0), a.view, b.view, T(0), c.view);
  std::vector<T> rest = before;
  Matrix<T> blank = c;
  blank.memory = rest;
  blank.view.data = blank.memory.data() + (c.view.data - c.memory.data());
  gemm_reference<T>(T(0), a.view, b.view, T(0), blank.view);
  CHECK(blank.memory == c.memory);
}

TEST_CASE_TEMPLATE("gemm agrees with plain loops in every order of the elements", T, float, double,
                   int64_t) {
  const int64_t sizes[][3] = {{1, 1, 1},     {2, 3, 4},    {1, 5, 7},     {5, 1, 7},
                              {7, 5, 1},     {1, 1, 300},  {32, 128, 64}, {16, 64, 128},
                              {32, 65, 100}, {1, 300, 3},  {300, 1, 3},   {17, 9, 33},
                              {40, 33, 21},  {64, 64, 64}, {1, 70, 90},   {70, 1, 90},
                              {2, 2, 2},     {2, 50, 40},  {50, 2, 40},   {50, 40, 2}};
  for (const auto& s : sizes) {
    for (const Order oa : kOrders) {
      for (const Order ob : kOrders) {
        for (const Order oc : kOrders) {
          compare<T>(s[0], s[1], s[2], oa, ob, oc, T(1), T(0));
        }
      }
    }
    for (const T alpha : {T(0), T(1), T(-2)}) {
      for (const T beta : {T(0), T(1), T(3)}) {
        compare<T>(s[0], s[1], s[2], Order::kColumns, Order::kPaddedRows, Order::kPaddedRows, alpha,
                   beta);
      }
    }
  }
  compare<T>(257, 190, 131, Order::kColumns, Order::kRows, Order::kRows, T(1), T(1));
  compare<T>(129, 515, 260, Order::kPaddedRows, Order::kColumns, Order::kColumns, T(1), T(2));
}

TEST_CASE_TEMPLATE("gemm at and around the sizes of its tiles", T, float, double) {
  // Of a million sums of 256 terms the worst lies further out: OpenBLAS's at 2.2.
  constexpr double kMost = 3;
  for (int64_t rows = 1; rows <= 30; ++rows) {
    for (const int64_t cols : {15, 16, 17, 31, 32, 33, 48, 63, 64, 65}) {
      for (const int64_t depth : {1, 16, 17, 255, 257}) {
        const auto any = static_cast<std::size_t>(rows + cols + depth);
        compare<T>(rows, cols, depth, kOrders[any % 6], kOrders[any / 6 % 6], Order::kPaddedRows,
                   T(1), T(any % 2), kMost);
      }
    }
  }
  for (const int64_t rows : {335, 337}) {
    for (const int64_t cols : {255, 257}) {
      for (const Order order : kOrders)
        compare<T>(rows, cols, 513, order, order, Order::kRows, T(-1.5), T(0.25), kMost);
    }
  }
}

TEST_CASE_TEMPLATE("a row is added to each row of a product", T, float, double) {
  for (const int64_t rows : {0, 1, 2, 14, 15, 100}) {
    for (const int64_t cols : {0, 1, 3, 16, 40, 257}) {
      for (const int64_t depth : {0, 1, 33, 300}) {
        Random random;
        const Matrix<T> a(rows, depth, Order::kRows, random);
        const Matrix<T> b(depth, cols, Order::kColumns, random);
        const Matrix<T> row(1, cols, Order::kRows, random);
        Matrix<T> found(rows, cols, Order::kRows, random), expected = found;
        expected.view.data = expected.memory.data();
        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < cols; ++j) {
            expected.view(i, j) = row.view(0, j);
            found.view(i, j) = std::numeric_limits<T>::quiet_NaN();
          }
        }
        gemm_reference<T>(T(1), a.view, b.view, T(1), expected.view);
        gemm_plus_row<T>(a.view, b.view, row.view.data, found.view);
        CAPTURE(rows);
        CAPTURE(cols);
        CAPTURE(depth);
        CHECK(worst_error<T>(found.view, expected.view, depth) <= 3.0);
      }
    }
  }
}

TEST_CASE_TEMPLATE("gemm with operands whose strides are zero", T, float, double, int64_t) {
  std::vector<T> row = {1, 2, 3, 4}, result(3 * 5, T(7));
  // [3, 4], every row the same; [4, 5], every column the same.
  const MatrixView<const T> a{row.data(), 3, 4, 0, 1};
  const MatrixView<const T> b{row.data(), 4, 5, 1, 0};
  gemm<T>(T(1), a, b, T(0), row_major(result.data(), 3, 5));
  for (const T value : result) CHECK(value == T(30));
  const MatrixView<const T> wide{row.data() + 1, 300, 200, 0, 0};
  std::vector<T> large(300 * 100);
  const MatrixView<const T> tall{row.data() + 2, 200, 100, 0, 0};
  gemm<T>(T(1), wide, tall, T(0), row_major(large.data(), 300, 100));
  for (const T value : large) REQUIRE(value == T(1200));
}

TEST_CASE_TEMPLATE("gemm with zero sizes", T, float, double, int64_t) {
  std::vector<T> c = {1, 2, 3, 4};
  T* nothing = nullptr;
  const auto view = row_major(c.data(), 2, 2);
  gemm<T>(T(1), row_major(nothing, 2, 0), row_major(nothing, 0, 2), T(3), view);
  CHECK(c == std::vector<T>{3, 6, 9, 12});
  gemm<T>(T(1), row_major(nothing, 0, 3), row_major(c.data(), 3, 1), T(0),
          row_major(nothing, 0, 1));
  gemm<T>(T(1), row_major(c.data(), 2, 2), row_major(nothing, 2, 0), T(0),
          row_major(nothing, 2, 0));
  CHECK(c == std::vector<T>{3, 6, 9, 12});
  gemm<T>(T(1), row_major(nothing, 2, 0), row_major(nothing, 0, 2), T(0), view);
  CHECK(c == std::vector<T>{0, 0, 0, 0});
}

TEST_CASE_TEMPLATE("beta = 0 overwrites NaN and infinity", T, float, double) {
  for (const auto& s : {std::array<int64_t, 3>{1, 1, 1},
                        {1, 1, 0},
                        {3, 2, 0},
                        {2, 2, 2},
                        {1, 300, 40},
                        {300, 1, 40},
                        {1, 1, 1000},
                        {50, 60, 70},
                        {200, 300, 100}}) {
    for (const T poison :
         {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
      for (const bool by_columns : {false, true}) {
        std::vector<T> a(static_cast<size_t>(s[0] * s[2]), T(1));
        std::vector<T> b(static_cast<size_t>(s[2] * s[1]), T(2));
        std::vector<T> c(static_cast<size_t>(s[0] * s[1]), poison);
        const auto view = by_columns ? row_major(c.data(), s[1], s[0]).transposed()
                                     : row_major(c.data(), s[0], s[1]);
        gemm<T>(T(1), row_major(a.data(), s[0], s[2]), row_major(b.data(), s[2], s[1]), T(0), view);
        const bool right =
            std::ranges::all_of(c, [&](T value) { return value == static_cast<T>(2 * s[2]); });
        CHECK(right);
      }
    }
  }
}

TEST_CASE_TEMPLATE("NaN in an operand reaches the whole row or column", T, float, double) {
  for (const int64_t n : {2, 5, 40, 130}) {
    std::vector<T> a(static_cast<size_t>(n * n), T(1)), b = a, c(a.size());
    a[1] = std::numeric_limits<T>::quiet_NaN();
    b[static_cast<size_t>(n)] = 0;  // NaN times 0 is NaN
    gemm<T>(T(1), row_major(a.data(), n, n), row_major(b.data(), n, n), T(0),
            row_major(c.data(), n, n));
    for (int64_t i = 0; i < n * n; ++i) {
      REQUIRE(std::isnan(c[static_cast<size_t>(i)]) == (i < n));
    }
  }
}

TEST_CASE("sizes that do not fit are refused before anything is written") {
  std::vector<float> a(6, 1.0f), b(6, 1.0f), c(4, 5.0f);
  CHECK_THROWS_WITH_AS(gemm<float>(1, row_major(a.data(), 2, 3), row_major(b.data(), 2, 3), 0,
                                   row_major(c.data(), 2, 2)),
                       "gemm: [2, 3] times [2, 3] into [2, 2] do not fit; pass [m, k], [k, n] and "
                       "[m, n]",
                       retrace::ShapeError);
  CHECK(c == std::vector<float>(4, 5.0f));
}

template <class T>
std::vector<T> product(int64_t m, int64_t n, int64_t k, bool ta, bool tb, int threads) {
  const Threads scope(threads);
  Random random;
  const Matrix<T> a(m, k, ta ? Order::kColumns : Order::kRows, random);
  const Matrix<T> b(k, n, tb ? Order::kColumns : Order::kRows, random);
  std::vector<T> c(static_cast<size_t>(m * n), T(1));
  gemm<T>(T(1), a.view, b.view, T(0.5), row_major(c.data(), m, n));
  return c;
}

template <class T>
bool same_bits(const std::vector<T>& x, const std::vector<T>& y) {
  if (x.size() != y.size()) return false;
  return x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0;
}

TEST_CASE("1, 2, 3 and 4 threads give the same bits") {
  int64_t shapes = 0;
  for (const int64_t m : {1, 31, 128, 257, 1024}) {
    for (const int64_t n : {1, 65, 384, 515}) {
      for (const int64_t k : {1, 128, 784}) {
        ++shapes;
        const bool ta = (m + n + k) % 2 == 0, tb = (m + k) % 3 == 0;
        const std::vector<float> one = product<float>(m, n, k, ta, tb, 1);
        const std::vector<double> one_double = product<double>(m, n, k, ta, tb, 1);
        for (const int threads : {2, 3, 4}) {
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(threads);
          CHECK(same_bits(one, product<float>(m, n, k, ta, tb, threads)));
          CHECK(same_bits(one_double, product<double>(m, n, k, ta, tb, threads)));
        }
      }
    }
  }
  CHECK(shapes == 60);
}

TEST_CASE_TEMPLATE("batched products are the single ones", T, float, double, int64_t) {
  for (const auto& s : {std::array<int64_t, 4>{5, 3, 4, 2},
                        {24, 64, 64, 32},
                        {3, 300, 200, 150},
                        {1, 100, 100, 100},
                        {7, 1, 30, 64},
                        {4, 6, 0, 3},
                        {4, 6, 3, 0}}) {
    const int64_t count = s[0], m = s[1], n = s[2], k = s[3];
    Random random;
    std::vector<Matrix<T>> a, b;
    std::vector<std::vector<T>> c, expected;
    std::vector<MatrixView<const T>> va, vb;
    std::vector<MatrixView<T>> vc;
    for (int64_t i = 0; i < count; ++i) {
      a.emplace_back(m, k, kOrders[i % 6], random);
      b.emplace_back(k, n, kOrders[(i + 1) % 6], random);
      c.emplace_back(static_cast<size_t>(m * n), T(3));
      expected.emplace_back(static_cast<size_t>(m * n), T(3));
    }
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      va.push_back(a[i].view);
      vb.push_back(b[i].view);
      vc.push_back(row_major(c[i].data(), m, n));
      gemm<T>(T(2), va[i], vb[i], T(1), row_major(expected[i].data(), m, n));
    }
    for (const int threads : {1, 2, 3}) {
      const Threads scope(threads);
      for (auto& matrix : c) std::ranges::fill(matrix, T(3));
      gemm_batched<T>(T(2), va, vb, T(1), vc);
      for (size_t i = 0; i < c.size(); ++i) CHECK(same_bits(c[i], expected[i]));
    }
  }
  std::vector<T> memory(8);
  const std::vector<MatrixView<const T>> a = {row_major<const T>(memory.data(), 2, 2)};
  const std::vector<MatrixView<T>> none;
  CHECK_THROWS_AS(gemm_batched<T>(T(1), a, a, T(0), none), retrace::ShapeError);

  std::vector<T> numbers(64), results(64, T(7));
  const auto in = [&](int64_t r, int64_t c) { return row_major<const T>(numbers.data(), r, c); };
  const auto out = [&](int64_t r, int64_t c) { return row_major<T>(results.data(), r, c); };
  const std::vector<MatrixView<const T>> left = {in(2, 3), in(2, 3)}, right = {in(3, 4), in(3, 5)};
  const std::vector<MatrixView<T>> unlike = {out(2, 4), out(2, 5)};
  CHECK(says(
      message_of<retrace::ShapeError>([&] { gemm_batched<T>(T(1), left, right, T(0), unlike); }),
      "product 1 is [2, 5] over 3, the first [2, 4] over 3; all must have one size"));
  CHECK(std::ranges::count(results, T(7)) == 64);
}

TEST_CASE("long sums in float stay close to the sum in double") {
  // All terms positive: the error of a plain running sum would grow to thousands of epsilons.
  const int64_t k = 1 << 20;
  std::vector<float> a(static_cast<size_t>(k)), b(a.size(), 1.0f);
  Random random;
  double exact = 0;
  for (float& value : a) {
    value = static_cast<float>(random() + 1);
    exact += static_cast<double>(value);
  }
  float result = 0;
  gemm<float>(1.0f, row_major(a.data(), 1, k), row_major(b.data(), k, 1), 0.0f,
              row_major(&result, 1, 1));
  CHECK(std::fabs(static_cast<double>(result) - exact) / exact < 1e-5);
}

TEST_CASE("the kernels in use are named") {
  CHECK_FALSE(retrace::kernels::blas_kernels().empty());
  CHECK(retrace::kernels::blas_config().find("OpenBLAS") != std::string::npos);
}

}  // namespace
