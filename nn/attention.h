#pragma once

// Attention with its projections. What is computed between them, its gradient and errors: see
// autograd/ops/attention.h.

#include <retrace/autograd/ops/attention.h>
#include <retrace/nn/key_value_cache.h>
#include <retrace/nn/linear.h>
#include <retrace/nn/module.h>

namespace retrace::nn {

struct MultiheadAttentionOptions {
  double dropout = 0;  ///< in training, of the weights of attention
  bool bias = true;
  bool batch_first = false;  ///< tensors are [B, T, embed_dim], not [T, B, embed_dim]
  DType dtype = kFloat32;
};
struct MultiheadAttentionForwardOptions {
  Tensor key_padding_mask = {};  ///< bool [B, S], true: the key is left out
  Tensor attn_mask = {};         ///< bool [T, S], true: the query may not look at the key
  bool is_causal = false;        ///< no query looks at keys behind it
};

/// num_heads attentions side by side: queries, keys and values are projected, each head attends in
/// its part of embed_dim / num_heads channels, and the parts are projected once more.
/// query [T, B, embed_dim], key and value [S, B, embed_dim]; result as the query. The weights of
/// attention are not returned: they are never computed as a whole.
///
/// Parameters, named as in PyTorch: in_proj_weight [3 · embed_dim, embed_dim], the projections of
/// query, key and value stacked, uniform in ±√(6 / (4 · embed_dim)) at first; in_proj_bias, 0; and
/// out_proj, a Linear whose bias is 0.
/// Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
class MultiheadAttention : public Module {
 public:
  /// ValueError unless num_heads divides embed_dim and dropout is in [0, 1], DTypeError unless
  /// floating.
  MultiheadAttention(std::int64_t embed_dim, std::int64_t num_heads,
                     const MultiheadAttentionOptions& options = {});

  /// DTypeError for a mask that is not bool, ShapeError for one of another shape.
  Tensor forward(const Tensor& query, const Tensor& key, const Tensor& value,
                 const MultiheadAttentionForwardOptions& options = {}) const;
  /// Self-attention.
  Tensor forward(const Tensor& x) const { return forward(x, x, x); }
  Tensor operator()(const Tensor& query, const Tensor& key, const Tensor& value,
                    const MultiheadAttentionForwardOptions& options = {}) const {
    return forward(query, key, value, options);
  }
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor in_proj_weight, in_proj_bias;  ///< the bias is undefined when there is none
  Linear out_proj;

 private:
  Tensor project(const Tensor& x, std::int64_t part) const;
  std::int64_t num_heads_;
  double dropout_;
  bool batch_first_;
};

struct CausalSelfAttentionOptions {
  double dropout = 0;  ///< in training, of the weights of attention
  bool bias = true;
  bool is_causal = true;
  bool rotary = false;  ///< queries and keys are turned by their position, see rope()
  DType dtype = kFloat32;
};

/// What self-attention goes by besides x.
struct SelfAttentionContext {
  Tensor attn_mask = {};           ///< bool, true: may be looked at; broadcasts to [B, heads, T, T]
  KeyValueCache* cache = nullptr;  ///< of the tokens before x; then nothing may be recorded
  std::size_t layer = 0;           ///< which of the cache's is this one
  std::int64_t capacity = 0;       ///< tokens that a row of the cache can have
};

/// Self-attention in which no place looks at those behind it, as language models have it.
/// x: [B, T, embed_dim]; y: the same.
///
/// Parts: qkv, a Linear to 3 · embed_dim channels, and proj, a Linear back; in between
/// packed_attention(), without copies, unless positions are turned or a cache is used.
/// Source: Radford et al. 2018, Improving language understanding by generative pre-training.
class CausalSelfAttention : public Module {
 public:
  /// ValueError unless num_heads divides embed_dim (for rotary into even parts) and dropout is in
  /// [0, 1], DTypeError unless floating.
  CausalSelfAttention(std::int64_t embed_dim, std::int64_t num_heads,
                      const CausalSelfAttentionOptions& options = {});

  Tensor forward(const Tensor& x, const SelfAttentionContext& context = {}) const;
  Tensor operator()(const Tensor& x, const SelfAttentionContext& context = {}) const {
    return forward(x, context);
  }

  Linear qkv, proj;

 private:
  Tensor attend_apart(const Tensor& qkv, const SelfAttentionContext& context,
                      const AttentionOptions& options) const;
  std::int64_t num_heads_;
  double dropout_;
  bool is_causal_, rotary_;
};

}  // namespace retrace::nn
