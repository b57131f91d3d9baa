#pragma once

#include <retrace/nn/attention.h>
#include <retrace/nn/dropout.h>
#include <retrace/nn/layer_norm.h>

namespace retrace::nn {

struct TransformerBlockOptions {
  std::int64_t hidden = 0;  ///< width of the feed-forward part; 0: four times embed_dim
  double dropout = 0;       ///< of attention's weights and of what each part adds
  double eps = 1e-5;
  bool bias = true;
  bool is_causal = true;
  DType dtype = kFloat32;
};

/// One layer of a transformer with the norms in front (pre-LN): x + attention(ln1(x)), and to that
/// + out(gelu(fc(ln2(·)))).  x: [B, T, embed_dim]; y: the same.
///
/// Parts: ln1, attention (a CausalSelfAttention), ln2, fc and out (Linears), and dropout.
/// Source: Radford et al. 2019, Language models are unsupervised multitask learners; Xiong et al.
/// 2020, arXiv:2002.04745, figure 1b.
class TransformerBlock : public Module {
 public:
  /// ValueError unless num_heads divides embed_dim, DTypeError unless floating.
  TransformerBlock(std::int64_t embed_dim, std::int64_t num_heads,
                   const TransformerBlockOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  LayerNorm ln1;
  CausalSelfAttention attention;
  LayerNorm ln2;
  Linear fc, out;
  Dropout dropout;
};

}  // namespace retrace::nn
