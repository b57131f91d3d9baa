#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/paired_cross_entropy.h>
#include <retrace/tensor/kernels/softmax.h>

#include <array>
#include <vector>

namespace retrace::losses {
namespace {

constexpr std::int64_t kRows = 32;  // that are worked on together

/// Softmax of rows and columns from one exponential for each element: e = exp(z - largest of the
/// row) times exp(largest of the row - largest of all) belongs to the column. Where that underflows
/// in all of a column, it is shifted by its own largest instead. Sums are of the wrong entries
/// alone: of a pair that is almost sure, the right one would take their digits.
template <class T>
struct Paired {
  std::int64_t size;
  const T* z;  // [size, size]
  T *row_max, *row_wrong, *column_shift, *column_wrong;

  static constexpr T kLeastSum = T(1e-10);

  Paired(const Tensor& logits, const Tensor& facts)
      : size(logits.size(0)),
        z(elements<const T>(logits)),
        row_max(elements<T>(facts)),
        row_wrong(row_max + size),
        column_shift(row_wrong + size),
        column_wrong(column_shift + size) {}

  /// Of a row or a column: exp(z - shift) of its right entry and of the wrong ones.
  struct Sums {
    T right, wrong;
    T sum() const { return right + wrong; }
    /// 1 - p.
    T missing() const { return wrong / sum(); }
  };
  Sums of_row(std::int64_t i) const {
    return {math::exp(z[i * size + i] - row_max[i]), row_wrong[i]};
  }
  Sums of_column(std::int64_t j) const {
    return {math::exp(z[j * size + j] - column_shift[j]), column_wrong[j]};
  }

  /// f(block, first row, one past the last), on all threads.
  template <class F>
  void for_blocks(F f) const {
    parallel_for(blocks(), kernels::grain_of(kRows, size),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t b = begin; b < end; ++b)
                     f(b, b * kRows, std::min(size, (b + 1) * kRows));
                 });
  }
  std::int64_t blocks() const { return (size + kRows - 1) / kRows; }

  void exp_of_row(std::int64_t i, T* e) const {
    kernels::dense_row([max = row_max[i]](T v) { return math::exp(v - max); }, size, e,
                       z + i * size);
  }

  void find_sums() const {
    for_blocks([&](std::int64_t, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        row_max[i] = kernels::reduce_run(kernels::Largest<T>(), z + i * size, size);
    });
    const T largest = kernels::reduce_run(kernels::Largest<T>(), row_max, size);
    std::vector<T> partial(static_cast<std::size_t>(blocks() * size));
    for_blocks([&](std::int64_t block, std::int64_t begin, std::int64_t end) {
      std::vector<T> e(static_cast<std::size_t>(size));
      T* sums = partial.data() + block * size;
      for (std::int64_t i = begin; i < end; ++i) {
        exp_of_row(i, e.data());
        e[static_cast<std::size_t>(i)] = T(0);
        row_wrong[i] = static_cast<T>(kernels::reduce_run(kernels::RowSum<T>(), e.data(), size));
        kernels::dense_row(
            [w = math::exp(row_max[i] - largest)](T sum, T v) { return sum + w * v; }, size, sums,
            sums, e.data());
      }
    });
    for (std::int64_t j = 0; j < size; ++j) {
      double sum = 0;
      for (std::int64_t b = 0; b < blocks(); ++b)
        sum += static_cast<double>(partial[static_cast<std::size_t>(b * size + j)]);
      column_shift[j] = largest;
      column_wrong[j] = static_cast<T>(sum);
      if (!(of_column(j).sum() >= kLeastSum)) sum_alone(j);
    }
  }

  void sum_alone(std::int64_t j) const {
    kernels::Largest<T> largest;
    T shift = largest.initial();
    for (std::int64_t i = 0; i < size; ++i) shift = largest.step(shift, z[i * size + j]);
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i)
      if (i != j) sum += static_cast<double>(math::exp(z[i * size + j] - shift));
    column_shift[j] = shift;
    column_wrong[j] = static_cast<T>(sum);
  }

  /// -log p of a right entry z.
  static double loss_of(T z, T shift, const Sums& s) {
    if (s.wrong < s.right) return static_cast<double>(math::log1p(s.wrong / s.right));
    return static_cast<double>(shift - z) + static_cast<double>(math::log(s.sum()));
  }
  double loss() const {
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      const T right = z[i * size + i];
      sum += loss_of(right, row_max[i], of_row(i)) + loss_of(right, column_shift[i], of_column(i));
    }
    return sum / static_cast<double>(2 * size);
  }

  /// dz = g · (p of the row + p of the column - 2 [i = j]).
  void backward(T g, T* dz) const {
    const T largest = kernels::reduce_run(kernels::Largest<T>(), row_max, size);
    std::vector<T> factors, missing;  // of the columns
    std::vector<std::int64_t> alone;
    for (std::int64_t j = 0; j < size; ++j) {
      const Sums column = of_column(j);
      factors.push_back(g / column.sum());
      missing.push_back(column.missing());
      if (column_shift[j] != largest) alone.push_back(j);
    }
    std::vector<T> shared = factors;
    for (const std::int64_t j : alone) shared[static_cast<std::size_t>(j)] = T(0);
    for_blocks([&](std::int64_t, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T* d = dz + i * size;
        const Sums row = of_row(i);
        const auto both = [max = row_max[i], a = g / row.sum(),
                           w = math::exp(row_max[i] - largest)](T v, T b) {
          return math::exp(v - max) * math::mul_add(w, b, a);
        };
        kernels::dense_row(both, size, d, z + i * size, shared.data());
        for (const std::int64_t j : alone)
          d[j] +=
              factors[static_cast<std::size_t>(j)] * math::exp(z[i * size + j] - column_shift[j]);
        d[i] = -g * (row.missing() + missing[static_cast<std::size_t>(i)]);
      }
    });
  }
};

struct PairedCrossEntropyNode final : NodeOf<PairedCrossEntropyNode> {
  static constexpr std::string_view op = "paired_cross_entropy",
                                    formula =
                                        "y = mean of -½ log(p of the row) - ½ log(p of the "
                                        "column) on the diagonal",
                                    gradient =
                                        "dz = g · (p of the row + p of the column - 2 [i = j]) / "
                                        "2 N";
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor logits = bounded_input(*this, 0), facts = saved_extra(0);
    if (GradMode::is_enabled()) {
      return recorded_backward(std::array{logits}, {g}, gradients, [&] {
        return (log_softmax(logits, 1) + log_softmax(logits, 0)).diagonal().mean() * -0.5;
      });
    }
    Tensor dz = empty(logits.sizes(), logits.dtype());
    visit_float(g.dtype(), op, [&]<class T>() {
      const double each = g.item<double>() / static_cast<double>(2 * logits.size(0));
      Paired<T>(logits, facts).backward(static_cast<T>(each), elements<T>(dz));
    });
    gradients.give(0, std::move(dz));
  }
};

}  // namespace

Tensor paired_cross_entropy(const Tensor& logits) {
  const Tensor dense = as_contiguous(logits);
  const Tensor facts = empty({4, dense.size(0)}, dense.dtype());
  Tensor y = visit_float(dense.dtype(), PairedCrossEntropyNode::op, [&]<class T>() {
    const Paired<T> paired(dense, facts);
    paired.find_sums();
    return full_unchecked({}, paired.loss(), dense.dtype());
  });
  return record<PairedCrossEntropyNode>(std::move(y), {&logits}, [&](PairedCrossEntropyNode& node) {
    node.save_input(0, dense);
    node.save_extra(facts);
  });
}

}  // namespace retrace::losses
