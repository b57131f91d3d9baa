#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/index_range.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/reduction.h>

// Indices from values, and masks.

namespace retrace {
namespace {

struct MaskedSelectNode final : NodeOf<MaskedSelectNode> {
  static constexpr std::string_view op = "masked_select", formula = "y = x where mask holds",
                                    gradient = "dx = g where mask holds, 0 elsewhere";
  explicit MaskedSelectNode(const Shape& from) : sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor flat = zeros({sizes.numel()}, g.dtype());
    gradients.give(0, index_add(flat, 0, saved_extra(), g).reshape(sizes));
  }
  Shape sizes;
};

/// Numbers, in row-major order, of the elements that are not 0.
Tensor nonzero_numbers(const Tensor& x) {
  const Tensor numbers = empty({count_nonzero(x).item<std::int64_t>()}, kInt64);
  const Tensor dense = as_contiguous(x);
  auto* next = elements<std::int64_t>(numbers);
  visit(x.dtype(), [&]<class T>() {
    const T* values = elements<T>(dense);
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      if (values[i] != T(0)) *next++ = i;
    }
  });
  return numbers;
}

}  // namespace

Tensor masked_select(const Tensor& x, const Tensor& mask) {
  require_defined("masked_select", {&x, &mask});
  require<DTypeError>(mask.dtype() == kBool,
                      "masked_select: the mask must be bool, got {} {}; compare, or convert with "
                      ".to(kBool)",
                      mask.dtype(), mask.sizes());
  const Shape sizes = broadcast_shapes("masked_select", x.sizes(), mask.sizes());
  const Tensor numbers = nonzero_numbers(expanded(mask, sizes));
  Tensor y = without_recording(
      [&] { return index_select(expanded(x, sizes).reshape({sizes.numel()}), 0, numbers); });
  return record<MaskedSelectNode>(
      std::move(y), {&x}, [&](MaskedSelectNode& node) { node.save_extra(numbers); }, sizes);
}

Tensor nonzero(const Tensor& x) {
  require_defined("nonzero", {&x});
  const Tensor numbers = nonzero_numbers(x);
  Tensor places = empty({numbers.numel(), x.dim()}, kInt64);
  auto* place = elements<std::int64_t>(places);
  for (std::int64_t k = 0; k < numbers.numel(); ++k) {
    const Shape position = position_of(elements<std::int64_t>(numbers)[k], x.sizes());
    place = std::copy(position.begin(), position.end(), place);
  }
  return places;
}

Tensor one_hot(const Tensor& index, std::int64_t num_classes) {
  require_defined("one_hot", {&index});
  require_int64_index("one_hot", index);
  require<ValueError>(num_classes >= 1 || (num_classes == -1 && index.numel() > 0),
                      "one_hot: {} classes for indices of shape {}; give their number", num_classes,
                      index.sizes());
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::int64_t classes =
      num_classes >= 1 ? num_classes : std::min(index.max().item<std::int64_t>(), kMost - 1) + 1;
  if (const auto at = first_outside(index, 0, classes)) {
    fail<IndexError>("one_hot: class {} at {} of {} is out of range; give classes in [0, {})",
                     index.to_vector<std::int64_t>()[static_cast<std::size_t>(*at)],
                     position_of(*at, index.sizes()), index.sizes(), classes);
  }
  Shape sizes = index.sizes();
  sizes.push_back(classes);
  return scatter(zeros(sizes, kInt64), -1, index.unsqueeze(-1), 1);
}

}  // namespace retrace
