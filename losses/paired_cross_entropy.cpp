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
/// in all of a column, it is shifted by its own largest instead.
template <class T>
struct Paired {
  std::int64_t size;
  const T* z;  // [size, size]
  T *row_max, *row_sum, *column_shift, *column_sum;

  static constexpr T kLeastSum = T(1e-10);

  Paired(const Tensor& logits, const Tensor& facts)
      : size(logits.size(0)),
        z(elements<const T>(logits)),
        row_max(elements<T>(facts)),
        row_sum(row_max + size),
        column_shift(row_sum + size),
        column_sum(column_shift + size) {}

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
        row_sum[i] = static_cast<T>(kernels::reduce_run(kernels::RowSum<T>(), e.data(), size));
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
      column_sum[j] = static_cast<T>(sum);
      if (!(column_sum[j] >= kLeastSum)) sum_alone(j);
    }
  }

  void sum_alone(std::int64_t j) const {
    kernels::Largest<T> largest;
    T shift = largest.initial();
    for (std::int64_t i = 0; i < size; ++i) shift = largest.step(shift, z[i * size + j]);
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i)
      sum += static_cast<double>(math::exp(z[i * size + j] - shift));
    column_shift[j] = shift;
    column_sum[j] = static_cast<T>(sum);
  }

  double loss() const {
    double sum = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      const T right = z[i * size + i];
      sum += static_cast<double>(row_max[i] - right) + static_cast<double>(math::log(row_sum[i]));
      sum += static_cast<double>(column_shift[i] - right) +
             static_cast<double>(math::log(column_sum[i]));
    }
    return sum / static_cast<double>(2 * size);
  }

  /// dz = g · (p of the row + p of the column - 2 [i = j]).
  void backward(T g, T* dz) const {
    const T largest = kernels::reduce_run(kernels::Largest<T>(), row_max, size);
    std::vector<T> of_column(static_cast<std::size_t>(size));
    std::vector<std::int64_t> alone;
    for (std::int64_t j = 0; j < size; ++j) {
      const bool shared = column_shift[j] == largest;
      of_column[static_cast<std::size_t>(j)] = shared ? g / column_sum[j] : T(0);
      if (!shared) alone.push_back(j);
    }
    for_blocks([&](std::int64_t, std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T* d = dz + i * size;
        const auto both = [max = row_max[i], a = g / row_sum[i],
                           w = math::exp(row_max[i] - largest)](T v, T b) {
          return math::exp(v - max) * math::mul_add(w, b, a);
        };
        kernels::dense_row(both, size, d, z + i * size, of_column.data());
        for (const std::int64_t j : alone)
          d[j] += g / column_sum[j] * math::exp(z[i * size + j] - column_shift[j]);
        d[i] -= 2 * g;
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
    return full({}, paired.loss(), dense.dtype());
  });
  return record<PairedCrossEntropyNode>(std::move(y), {&logits}, [&](PairedCrossEntropyNode& node) {
    node.save_input(0, dense);
    node.save_extra(facts);
  });
}

}  // namespace retrace::losses
