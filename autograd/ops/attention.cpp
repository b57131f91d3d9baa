#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/attention.h>
#include <retrace/autograd/ops/attention_head.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/softmax.h>

#include <array>
#include <limits>

namespace retrace {
namespace {

using namespace attention;
using kernels::MatrixView;

/// Queries, keys, values and what belongs to them, each [.., rows, columns] with the same leading
/// dims; the mask may be absent.
struct Parts {
  Tensor q, k, v, mask;

  template <class T, class F>
  void with_mask(std::int64_t head, F&& f) const {
    if (!mask.defined()) return f(nullptr);
    const MatrixView<const bool> of_head = matrix<const bool>(mask, head);
    f(&of_head);
  }
};

// Writes y, [.., T, E] with dense rows, and returns the facts of the queries, [heads, T, 2].
Tensor attend(std::string_view op, const Attention& a, const Parts& parts, const Tensor& y) {
  Tensor facts = empty({a.heads, a.queries, 2}, y.dtype());
  if (a.queries == 0) return facts;  // of however many heads
  visit_float(y.dtype(), op, [&]<class T>() {
    a.for_each_head(y.size(-1), [&](std::int64_t head) {
      const Buffers<T> buffers(a, parts.q.size(-1));
      parts.with_mask<T>(head, [&](const MatrixView<const bool>* mask) {
        forward(a, head, matrix<const T>(parts.q, head), matrix<const T>(parts.k, head),
                matrix<const T>(parts.v, head), mask, buffers, matrix<T>(y, head),
                elements<QueryFacts<T>>(facts) + head * a.queries);
      });
    });
  });
  return facts;
}

// Writes the gradients of q, k and v into d.
void attend_back(std::string_view op, const Attention& a, const Parts& parts, const Tensor& y,
                 const Tensor& g, const Tensor& facts, const Parts& d) {
  if (a.queries == 0) {  // no product sets them
    copy_elements(d.k, zeros({}, g.dtype()));
    copy_elements(d.v, zeros({}, g.dtype()));
    return;
  }
  visit_float(g.dtype(), op, [&]<class T>() {
    a.for_each_head(y.size(-1), [&](std::int64_t head) {
      const Buffers<T> buffers(a, std::max(parts.q.size(-1), y.size(-1)));
      const Gradient<T> of_head = {matrix<T>(d.q, head), matrix<T>(d.k, head),
                                   matrix<T>(d.v, head)};
      parts.with_mask<T>(head, [&](const MatrixView<const bool>* mask) {
        backward(a, head, matrix<const T>(parts.q, head), matrix<const T>(parts.k, head),
                 matrix<const T>(parts.v, head), mask, matrix<const T>(y, head),
                 matrix<const T>(g, head), elements<const QueryFacts<T>>(facts) + head * a.queries,
                 buffers, of_head);
      });
    });
  });
}

// The same y by ops that record themselves. What a query must not see has the score -inf; where it
// sees nothing, all weights are made 0.
Tensor attend_by_ops(const Attention& a, const Parts& parts) {
  Shape sizes = parts.q.sizes();
  sizes[sizes.size() - 1] = a.keys;
  const DType dtype = parts.q.dtype();
  const Tensor hidden = zeros(sizes, kBool), factors = zeros(sizes, dtype);
  visit_float(dtype, "attention", [&]<class T>() {
    for (std::int64_t row = 0; row < a.heads * a.queries; ++row) {
      const std::int64_t head = row / a.queries, query = row % a.queries;
      bool* const hide = elements<bool>(hidden) + row * a.keys;
      T* const factor = elements<T>(factors) + row * a.keys;
      parts.with_mask<T>(head, [&](const MatrixView<const bool>* mask) {
        for (std::int64_t k = 0; k < a.visible(query); ++k)
          factor[k] = mask == nullptr || (*mask)(query, k) ? T(1) : T(0);
      });
      if (std::find(factor, factor + a.keys, T(1)) == factor + a.keys) continue;
      for (std::int64_t k = 0; k < a.keys; ++k) hide[k] = factor[k] == T(0);
      if (a.dropout.threshold == 0) continue;
      for_each_draw(a, row, a.keys, [&](std::int64_t k, bool kept) {
        factor[k] *= kept ? static_cast<T>(a.dropout.factor) : T(0);
      });
    }
  });
  const Tensor scores = parts.q.matmul(parts.k.transpose(-2, -1)) * a.scale;
  const Tensor seen = masked_fill(scores, hidden, -std::numeric_limits<double>::infinity());
  return (softmax(seen, -1) * factors).matmul(parts.v);
}

/// Of x [B, T, parts · E]: part number k as [B, heads, T, D].
Tensor heads_of(const Tensor& x, std::int64_t parts, std::int64_t k, std::int64_t heads) {
  const std::int64_t steps = x.size(1), width = x.size(2), part = width / parts;
  return make_view(x, {x.size(0), heads, steps, part / heads},
                   {steps * width, part / heads, width, 1}, k * part);
}
Parts parts_of(const Tensor& qkv, std::int64_t heads, const Tensor& mask) {
  return {heads_of(qkv, 3, 0, heads), heads_of(qkv, 3, 1, heads), heads_of(qkv, 3, 2, heads), mask};
}

constexpr std::string_view kFormula = "P = softmax(s · q kᵀ), y = P v";
constexpr std::string_view kGradient =
    "dv = Pᵀ g, dS = P · (g vᵀ - Σ g · y), dq = s · dS k, dk = s · dSᵀ q";

struct AttentionNode final : NodeOf<AttentionNode> {
  static constexpr std::string_view op = "scaled_dot_product_attention", formula = kFormula,
                                    gradient = kGradient;
  AttentionNode(const Attention& sizes, bool has_mask) : a(sizes), masked(has_mask) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Parts parts = {bounded_input(*this, 0), bounded_input(*this, 1), bounded_input(*this, 2),
                         masked ? saved_extra(1) : Tensor()};
    if (GradMode::is_enabled() && g.numel() > 0) {
      return recorded_backward(std::array{parts.q, parts.k, parts.v}, {g}, gradients,
                               [&] { return attend_by_ops(a, parts); });
    }
    const Parts d = {empty(parts.q.sizes(), g.dtype()),
                     empty(parts.k.sizes(), g.dtype()),
                     empty(parts.v.sizes(), g.dtype()),
                     {}};
    attend_back(op, a, parts, saved_output(), as_contiguous(g), saved_extra(0), d);
    for (const auto& [i, dx] : {std::pair(0u, d.q), std::pair(1u, d.k), std::pair(2u, d.v)}) {
      if (gradients.wants(i)) gradients.give(i, dx);
    }
  }
  Attention a;
  bool masked;
};

struct PackedAttentionNode final : NodeOf<PackedAttentionNode> {
  static constexpr std::string_view op = "packed_attention", formula = kFormula,
                                    gradient = kGradient;
  PackedAttentionNode(const Attention& sizes, std::int64_t heads, bool has_mask)
      : a(sizes), num_heads(heads), masked(has_mask) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor qkv = bounded_input(*this, 0);
    if (GradMode::is_enabled() && g.numel() > 0) {
      return recorded_backward(std::array{qkv}, {g}, gradients,
                               [&] { return by_ops(qkv, g.sizes()); });
    }
    const Tensor upstream = as_contiguous(g);
    Tensor dqkv = empty(qkv.sizes(), g.dtype());
    attend_back(op, a, parts_of(qkv, num_heads, masked ? saved_extra(1) : Tensor()),
                heads_of(saved_output(), 1, 0, num_heads), heads_of(upstream, 1, 0, num_heads),
                saved_extra(0), parts_of(dqkv, num_heads, {}));
    gradients.give(0, std::move(dqkv));
  }
  Tensor by_ops(const Tensor& qkv, const Shape& sizes) const {
    const Tensor parts = qkv.reshape({sizes[0], sizes[1], 3, num_heads, sizes[2] / num_heads})
                             .permute({2, 0, 3, 1, 4});
    const Tensor y = attend_by_ops(a, {parts.select(0, 0), parts.select(0, 1), parts.select(0, 2),
                                       masked ? saved_extra(1) : Tensor()});
    return y.transpose(1, 2).reshape(sizes);
  }
  Attention a;
  std::int64_t num_heads;
  bool masked;
};

// The mask seen with `sizes`.
Tensor mask_of(std::string_view op, const Tensor& mask, const Shape& sizes) {
  if (!mask.defined()) return mask;
  require<DTypeError>(mask.dtype() == kBool,
                      "{}: attn_mask is {} {}; it must be bool, true where a query may look", op,
                      mask.dtype(), mask.sizes());
  bool fits = mask.dim() <= sizes.size();
  for (int d = 1; fits && d <= mask.dim(); ++d)
    fits = mask.size(-d) == 1 || mask.size(-d) == sizes[sizes.size() - d];
  require<ShapeError>(fits, "{}: attn_mask is {}; it must broadcast to {}", op, mask.sizes(),
                      sizes);
  return expanded(mask, sizes);
}

// Of queries and keys without numbers there may be more than can be counted.
void require_countable(std::string_view op, const Attention& a, std::int64_t width) {
  constexpr std::int64_t kMost = std::int64_t{1} << 52;  // a block takes hundreds of bytes for each
  std::int64_t scores = 0;
  const bool fits = std::max({a.queries, a.keys, width}) <= kMost &&
                    !__builtin_mul_overflow(a.heads, a.queries, &scores) &&
                    !__builtin_mul_overflow(scores, std::max<std::int64_t>(a.keys, 1), &scores);
  require<ShapeError>(fits,
                      "{}: {} heads of {} queries and {} keys, each {} wide, cannot be counted in "
                      "63 bits; use shorter sequences",
                      op, a.heads, a.queries, a.keys, width);
}

// Takes as many of the generator's numbers as there are weights.
Dropout dropout_of(std::string_view op, const AttentionOptions& options, const Attention& a) {
  const double p = options.dropout_p;
  require<ValueError>(p >= 0 && p <= 1, "{}: dropout_p is {}; give a probability in [0, 1]", op, p);
  if (p == 0) return {};
  Generator& generator = options.generator != nullptr ? *options.generator : default_generator();
  constexpr std::int64_t kPerBlock = 4;
  const std::int64_t blocks = a.heads * a.queries * ((a.keys + kPerBlock - 1) / kPerBlock);
  return {generator.seed(), generator.reserve(static_cast<std::uint64_t>(blocks)),
          static_cast<std::uint64_t>(p * 0x1p32), p == 1 ? 0 : 1 / (1 - p)};
}

double scale_of(const AttentionOptions& options, std::int64_t width) {
  return options.scale.value_or(width == 0 ? 1.0 : 1.0 / std::sqrt(static_cast<double>(width)));
}

void check(const Tensor& q, const Tensor& k, const Tensor& v) {
  constexpr std::string_view op = AttentionNode::op;
  require_defined(op, {&q, &k, &v});
  require<DTypeError>(q.dtype() == k.dtype() && q.dtype() == v.dtype() && is_floating(q.dtype()),
                      "{}: query is {} {}, key {} {}, value {} {}; all must be float32 or all "
                      "float64",
                      op, q.dtype(), q.sizes(), k.dtype(), k.sizes(), v.dtype(), v.sizes());
  bool fits = q.dim() >= 2 && q.dim() == k.dim() && q.dim() == v.dim() &&
              q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2);
  for (int d = 0; fits && d < q.dim() - 2; ++d)
    fits = q.sizes()[d] == k.sizes()[d] && q.sizes()[d] == v.sizes()[d];
  require<ShapeError>(fits,
                      "{}: query is {}, key {}, value {}; they must be [.., T, D], [.., S, D] and "
                      "[.., S, E] with equal leading dims",
                      op, q.sizes(), k.sizes(), v.sizes());
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options) {
  constexpr std::string_view op = AttentionNode::op;
  check(query, key, value);
  Attention a = {
      1, query.size(-2), key.size(-2), scale_of(options, query.size(-1)), options.is_causal, {}};
  Shape sizes = query.sizes(), of_scores = query.sizes();
  for (int d = 0; d < query.dim() - 2; ++d) a.heads *= sizes[d];
  sizes[query.dim() - 1] = value.size(-1);
  of_scores[query.dim() - 1] = a.keys;
  require_countable(op, a, std::max(query.size(-1), value.size(-1)));
  const Parts parts = {query, key, value, mask_of(op, options.attn_mask, of_scores)};
  Tensor y = empty(sizes, query.dtype());
  a.dropout = dropout_of(op, options, a);
  const Tensor facts = attend(op, a, parts, y);
  return record<AttentionNode>(
      y, {&query, &key, &value},
      [&](AttentionNode& node) {
        node.save_input(0, query);
        node.save_input(1, key);
        node.save_input(2, value);
        node.save_output(y);
        node.save_extra(facts);
        if (node.masked) node.save_extra(parts.mask);
      },
      a, parts.mask.defined());
}

Tensor packed_attention(const Tensor& qkv, std::int64_t num_heads,
                        const AttentionOptions& options) {
  constexpr std::string_view op = PackedAttentionNode::op;
  require_defined(op, {&qkv});
  if (!qkv.is_floating_point()) refuse_dtype(op, qkv.dtype(), "float32 or float64");
  require<ShapeError>(qkv.dim() == 3 && num_heads > 0 && num_heads <= qkv.size(2) &&
                          qkv.size(2) % (3 * num_heads) == 0,
                      "{}: qkv is {}, num_heads {}; it must be [B, T, 3 E], and E divisible by "
                      "num_heads",
                      op, qkv.sizes(), num_heads);
  const std::int64_t batch = qkv.size(0), steps = qkv.size(1), width = qkv.size(2) / 3;
  Attention a = {batch * num_heads, steps, steps, scale_of(options, width / num_heads),
                 options.is_causal, {}};
  require_countable(op, a, width);
  const Tensor mask = mask_of(op, options.attn_mask, {batch, num_heads, steps, steps});
  const Tensor dense = as_contiguous(qkv);
  Tensor y = empty({batch, steps, width}, qkv.dtype());
  a.dropout = dropout_of(op, options, a);
  const Tensor facts =
      attend(op, a, parts_of(dense, num_heads, mask), heads_of(y, 1, 0, num_heads));
  return record<PackedAttentionNode>(
      y, {&qkv},
      [&](PackedAttentionNode& node) {
        node.save_input(0, dense);
        node.save_output(y);
        node.save_extra(facts);
        if (mask.defined()) node.save_extra(mask);
      },
      a, num_heads, mask.defined());
}

}  // namespace retrace
