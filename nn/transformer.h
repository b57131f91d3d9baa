#pragma once

#include <functional>
#include <string>

#include <retrace/nn/attention.h>
#include <retrace/nn/dropout.h>
#include <retrace/nn/norm.h>

namespace retrace::nn {

struct TransformerBlockOptions {
  /// Width of the feed-forward part; 0: four times embed_dim, or with a gate 8/3 of it, which are
  /// as many parameters.
  std::int64_t hidden = 0;
  double dropout = 0;  ///< of attention's weights and of what each part adds
  double eps = 1e-5;
  bool bias = true;
  bool is_causal = true;
  /// "swiglu", "gelu_tanh", or one of activation_names().
  std::string activation = "gelu";
  NormKind norm = NormKind::layer_norm;
  bool norm_first = true;  ///< pre-LN; false: post-LN
  bool rotary = false;     ///< see CausalSelfAttention
  DType dtype = kFloat32;
};

/// One layer of a transformer.  x: [B, T, embed_dim]; y: the same.
///
/// With the norms in front (pre-LN): y = x + attention(ln1(x)), then y + ffn(ln2(y)); else
/// (post-LN) y = ln1(x + attention(x)), then ln2(y + ffn(y)). The feed-forward part is
/// out(gelu(fc(x))) or another activation; with "swiglu" fc gives values and gate, and out gets
/// silu(gate) · values.
///
/// Parts: ln1, attention (a CausalSelfAttention), ln2, fc and out (Linears), and dropout.
/// Source: pre-LN Radford et al. 2019, Language models are unsupervised multitask learners, and
/// Xiong et al. 2020, arXiv:2002.04745, figure 1b; post-LN Vaswani et al. 2017, arXiv:1706.03762,
/// section 3.1; SwiGLU Shazeer 2020, arXiv:2002.05202, equation 6.
class TransformerBlock : public Module {
 public:
  /// ValueError unless num_heads divides embed_dim, and for an unknown activation; DTypeError
  /// unless floating.
  TransformerBlock(std::int64_t embed_dim, std::int64_t num_heads,
                   const TransformerBlockOptions& options = {});

  Tensor forward(const Tensor& x, const SelfAttentionContext& context = {}) const;
  Tensor operator()(const Tensor& x, const SelfAttentionContext& context = {}) const {
    return forward(x, context);
  }

  Norm ln1;
  CausalSelfAttention attention;
  Norm ln2;
  Linear fc, out;
  Dropout dropout;

 private:
  Tensor feed_forward(const Tensor& x) const;
  std::function<Tensor(const Tensor&)> activation_;
  bool norm_first_;
};

}  // namespace retrace::nn
