#include <retrace/nn/attention.h>

#include <cmath>
#include <tuple>

#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/attention.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

// embed_dim, when heads can share it.
std::int64_t checked(std::string_view type, std::int64_t embed_dim, std::int64_t num_heads,
                     double dropout) {
  require<ValueError>(dropout >= 0 && dropout <= 1,
                      "{}: dropout is {}; give a probability in [0, 1]", type, dropout);
  require<ValueError>(embed_dim > 0 && num_heads > 0 && embed_dim % num_heads == 0,
                      "{}: embed_dim is {}, num_heads {}; give a number that divides embed_dim",
                      type, embed_dim, num_heads);
  return embed_dim;
}

void check_mask(const char* name, const Tensor& mask, const Shape& sizes, const char* dims) {
  if (!mask.defined()) return;
  require<DTypeError>(mask.dtype() == kBool,
                      "MultiheadAttention: {} is {} {}; it must be bool, true: not looked at", name,
                      mask.dtype(), mask.sizes());
  require<ShapeError>(mask.sizes() == sizes, "MultiheadAttention: {} is {}; it must be {} = {}",
                      name, mask.sizes(), dims, sizes);
}

// True where a query may look, broadcasting to [batch, heads, T, S]; undefined for everywhere.
Tensor allowed(const MultiheadAttentionForwardOptions& options, std::int64_t batch,
               std::int64_t queries, std::int64_t keys) {
  const Tensor& padding = options.key_padding_mask;
  Tensor banned = options.attn_mask;
  check_mask("attn_mask", banned, {queries, keys}, "[T, S]");
  check_mask("key_padding_mask", padding, {batch, keys}, "[B, S]");
  if (padding.defined()) {
    const Tensor by_key = padding.view({padding.size(0), 1, 1, padding.size(1)});
    banned = banned.defined() ? logical_or(banned, by_key) : by_key;
  }
  return banned.defined() ? logical_not(banned) : banned;
}

}  // namespace

MultiheadAttention::MultiheadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                                       const MultiheadAttentionOptions& options)
    : out_proj(checked("MultiheadAttention", embed_dim, num_heads, options.dropout), embed_dim,
               {.bias = options.bias, .dtype = options.dtype}),
      num_heads_(num_heads),
      dropout_(options.dropout),
      batch_first_(options.batch_first) {
  in_proj_weight =
      register_parameter("in_proj_weight", empty({3 * embed_dim, embed_dim}, options.dtype));
  init::xavier_uniform_(in_proj_weight);
  if (options.bias) {
    in_proj_bias = register_parameter("in_proj_bias", zeros({3 * embed_dim}, options.dtype));
    init::zeros_(out_proj.bias);
  }
  register_module("out_proj", out_proj);
  describe(fmt::format("{}, num_heads={}, bias={}, batch_first={}", embed_dim, num_heads,
                       options.bias, options.batch_first));
}

// Part 0, 1, 2: queries, keys, values, [B, heads, T, D].
Tensor MultiheadAttention::project(const Tensor& x, std::int64_t part) const {
  const std::int64_t width = out_proj.weight.size(0), first = part * width;
  const Tensor bias = in_proj_bias.defined() ? in_proj_bias.narrow(0, first, width) : in_proj_bias;
  const Tensor y = linear(x, in_proj_weight.narrow(0, first, width), bias);
  return y.view({y.size(0), y.size(1), num_heads_, width / num_heads_})
      .permute(batch_first_ ? Shape{0, 2, 1, 3} : Shape{1, 2, 0, 3});
}

Tensor MultiheadAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                   const MultiheadAttentionForwardOptions& options) const {
  const PlaceScope scope(*this);
  require_defined("MultiheadAttention", {&query, &key, &value});
  for (const Tensor* x : {&query, &key, &value})
    require<ShapeError>(x->dim() == 3, "MultiheadAttention: a tensor is {}; it must be [{}, {}]",
                        x->sizes(), batch_first_ ? "B, T" : "T, B", out_proj.weight.size(0));
  AttentionOptions inner = {.dropout_p = is_training() ? dropout_ : 0,
                            .is_causal = options.is_causal};
  const int rows = batch_first_ ? 0 : 1;
  inner.attn_mask = allowed(options, query.size(rows), query.size(1 - rows), key.size(1 - rows));
  if (query.is_same(key) && query.is_same(value)) {
    const auto turned = [this](const Tensor& x) { return batch_first_ ? x : x.transpose(0, 1); };
    const Tensor qkv = linear(turned(query), in_proj_weight, in_proj_bias);
    return out_proj(turned(packed_attention(qkv, num_heads_, inner)));
  }
  const Tensor y =
      scaled_dot_product_attention(project(query, 0), project(key, 1), project(value, 2), inner);
  return out_proj(
      y.permute(batch_first_ ? Shape{0, 2, 1, 3} : Shape{2, 0, 1, 3}).reshape(query.sizes()));
}

CausalSelfAttention::CausalSelfAttention(std::int64_t embed_dim, std::int64_t num_heads,
                                         const CausalSelfAttentionOptions& options)
    : qkv(checked("CausalSelfAttention", embed_dim, num_heads, options.dropout), 3 * embed_dim,
          {.bias = options.bias, .dtype = options.dtype}),
      proj(embed_dim, embed_dim, {.bias = options.bias, .dtype = options.dtype}),
      num_heads_(num_heads),
      dropout_(options.dropout),
      is_causal_(options.is_causal),
      rotary_(options.rotary) {
  require<ValueError>(!rotary_ || embed_dim / num_heads % 2 == 0,
                      "CausalSelfAttention: embed_dim is {}, num_heads {}; rotary positions turn "
                      "pairs of channels: each head needs an even number of them",
                      embed_dim, num_heads);
  register_module("qkv", qkv);
  register_module("proj", proj);
  describe(fmt::format("num_heads={}{}{}", num_heads, is_causal_ ? "" : ", is_causal=false",
                       rotary_ ? ", rotary" : ""));
}

Tensor CausalSelfAttention::forward(const Tensor& x, const SelfAttentionContext& context) const {
  const PlaceScope scope(*this);
  AttentionOptions options = {.dropout_p = is_training() ? dropout_ : 0, .is_causal = is_causal_};
  options.attn_mask = context.attn_mask;
  const Tensor projected = qkv(x);
  return proj(rotary_ || context.cache != nullptr
                  ? attend_apart(projected, context, options)
                  : packed_attention(projected, num_heads_, options));
}

// Queries, keys and values by themselves: new ones are turned, and then join those that are kept.
Tensor CausalSelfAttention::attend_apart(const Tensor& projected,
                                         const SelfAttentionContext& context,
                                         const AttentionOptions& options) const {
  const std::int64_t batch = projected.size(0), steps = projected.size(1),
                     width = projected.size(2) / 3;
  const Tensor parts =
      projected.view({batch, steps, 3, num_heads_, width / num_heads_}).permute({2, 0, 3, 1, 4});
  Tensor q = parts[0], k = parts[1], v = parts[2];
  if (rotary_) {
    const RopeOptions at = {.offset = context.cache != nullptr ? context.cache->length() : 0};
    q = rope(q, at);
    k = rope(k, at);
  }
  if (context.cache != nullptr) {
    require<AutogradError>(!k.requires_grad(),
                           "CausalSelfAttention: a cache keeps numbers, not how they came to be; "
                           "use it while a NoGradGuard lives");
    std::tie(k, v) = context.cache->join(context.layer, context.capacity, k, v);
  }
  return scaled_dot_product_attention(q, k, v, options)
      .transpose(1, 2)
      .reshape({batch, steps, width});
}

}  // namespace retrace::nn
