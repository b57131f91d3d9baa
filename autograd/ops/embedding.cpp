#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/index_range.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/tensor/kernels/gather.h>

namespace retrace {
namespace {

struct EmbeddingNode final : NodeOf<EmbeddingNode> {
  static constexpr std::string_view op = "embedding", formula = "y[i, :] = weight[index[i], :]",
                                    gradient = "dweight = Σ g[i, :] at row index[i]";
  EmbeddingNode(const Shape& table, std::int64_t row) : sizes(table), padding(row) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor index = saved_extra();
    const Tensor flat = index.reshape({index.numel()});
    const Tensor rows = g.reshape({index.numel(), sizes[1]});
    if (GradMode::is_enabled()) {
      gradients.give(0, recorded(flat, rows));
      return;
    }
    Tensor sum = gradients.accumulator(0);
    const bool accumulates = sum.defined() && sum.is_contiguous();
    if (!accumulates) sum = zeros(sizes, g.dtype());
    if (g.numel() > 0) {
      const Tensor places = as_contiguous(flat), values = as_contiguous(rows);
      const kernels::Groups groups(elements<std::int64_t>(places), places.numel(), sizes[0]);
      visit_float(g.dtype(), op, [&]<class T>() {
        kernels::add_rows(elements<T>(sum), elements<T>(values), groups, 1, sizes[1], 1, padding);
      });
    }
    if (!accumulates) gradients.give(0, std::move(sum));
  }

  Tensor recorded(const Tensor& index, const Tensor& rows) const {
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; const std::int64_t row : index.to_vector<std::int64_t>()) {
      if (row != padding) kept.push_back(i);
      ++i;
    }
    const Tensor places = from_vector(kept);
    return index_add(zeros(sizes, rows.dtype()), 0, index_select(index, 0, places),
                     index_select(rows, 0, places));
  }

  Shape sizes;
  std::int64_t padding;  // -1: none
};

}  // namespace

Tensor embedding(const Tensor& weight, const Tensor& index,
                 std::optional<std::int64_t> padding_idx) {
  require_defined("embedding", {&weight, &index});
  require<ShapeError>(weight.dim() == 2,
                      "embedding: the table has shape {}; it must be [rows, width]",
                      weight.sizes());
  require_int64_index("embedding", index);
  const std::int64_t rows = weight.sizes()[0];
  require<IndexError>(
      !padding_idx || (*padding_idx >= -rows && *padding_idx < rows),
      "embedding: padding_idx {} is out of range for a table of {} rows; name one of them",
      padding_idx.value_or(0), rows);
  if (const auto at = first_outside(index, 0, rows)) {
    fail<IndexError>(
        "embedding: index {} at {} is out of range for a table of {} rows {}; give indices in [0, "
        "{})",
        index.to_vector<std::int64_t>()[static_cast<std::size_t>(*at)],
        position_of(*at, index.sizes()), rows, weight.sizes(), rows);
  }
  Shape sizes = index.sizes(), places = index.strides();
  Strides strides = Strides::filled(index.dim(), 0);
  sizes.push_back(weight.sizes()[1]);
  places.push_back(0);
  strides.push_back(weight.strides()[1]);
  Tensor y = empty(sizes, weight.dtype());
  visit_float(weight.dtype(), "embedding", [&]<class T>() {
    kernels::take<T>(y, weight, strides, make_view(index, sizes, places), weight.strides()[0]);
  });
  const std::int64_t padding = !padding_idx       ? -1
                               : *padding_idx < 0 ? *padding_idx + rows
                                                  : *padding_idx;
  return record<EmbeddingNode>(
      std::move(y), {&weight}, [&](EmbeddingNode& node) { node.save_extra(index); }, weight.sizes(),
      padding);
}

}  // namespace retrace
