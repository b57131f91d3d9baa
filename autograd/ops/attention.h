#pragma once

// Attention: each query takes a mean of the values, weighted by how well its key fits.

#include <optional>

#include <retrace/tensor/tensor.h>

namespace retrace {

class Generator;

struct AttentionOptions {
  Tensor attn_mask = {};   ///< bool, true: may be looked at; broadcasts to [.., T, S]
  double dropout_p = 0;    ///< probability with which a weight in P is dropped, see dropout()
  bool is_causal = false;  ///< query t sees the keys up to t + S - T: the last query sees all
  std::optional<double> scale = {};  ///< by default 1 / sqrt(D)
  Generator* generator = nullptr;    ///< decides what is dropped; by default default_generator()
};

/// y = P v, P = softmax(scale · q kᵀ) over the keys.
///
/// query [.., T, D], key [.., S, D], value [.., S, E], with equal leading dims (batch, heads);
/// float32 or float64, one dtype. Returns [.., T, E]. With fewer queries than keys, as in
/// generation with a cache, the queries are the last of the sequence. A query that may look at
/// nothing gives 0 and no gradient; one whose scores overflow, NaN. P is never kept: backward
/// computes it again, row block by row block, and a causal mask halves the work.
/// Gradient: dv = Pᵀ g, dP = g vᵀ, dS = P · (dP - Σ P · dP), dq = scale · dS k, dk = scale · dSᵀ q.
/// Errors: ShapeError, DTypeError, ValueError for a dropout_p outside [0, 1].
/// Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1; in blocks: Dao et al. 2022,
/// arXiv:2205.14135, algorithms 1 and 4.
Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& options = {});

/// Self-attention of several heads on one tensor that holds queries, keys and values side by side,
/// as one product computes them: scaled_dot_product_attention of its parts, without copies.
///
/// qkv [B, T, 3 · E], each part E = num_heads · D wide, its heads side by side. Returns [B, T, E];
/// an attn_mask broadcasts to [B, num_heads, T, T].
/// Gradient and errors: see scaled_dot_product_attention.
/// Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
Tensor packed_attention(const Tensor& qkv, std::int64_t num_heads,
                        const AttentionOptions& options = {});

struct RopeOptions {
  double base = 10000;
  std::int64_t offset = 0;  ///< position of the first row
};
/// Rotary position embedding: channel i is turned with channel i + D / 2 by the angle
/// a = (t + offset) · base^(-2 i / D), in radians: y(i) = x(i) cos a - x(i + D/2) sin a,
/// y(i + D/2) = x(i + D/2) cos a + x(i) sin a. Products of two such rows depend on their distance.
///
/// x [.., T, D], D even; float32 or float64; position t is the last dim but one. Angles are
/// computed in double.
/// Gradient: dx = g turned back.
/// Errors: ShapeError, DTypeError, ValueError for a base that is not positive.
/// Source: Su et al. 2021, arXiv:2104.09864, equation 34, in the halves layout of GPT-NeoX.
Tensor rope(const Tensor& x, const RopeOptions& options = {});

}  // namespace retrace
