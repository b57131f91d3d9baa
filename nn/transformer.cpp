#include <retrace/nn/transformer.h>

#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/tensor/check.h>

namespace retrace::nn {
namespace {

std::int64_t hidden_of(std::int64_t embed_dim, const TransformerBlockOptions& options) {
  require<ValueError>(options.hidden >= 0, "TransformerBlock: hidden is {}; give at least 0",
                      options.hidden);
  return options.hidden == 0 ? 4 * embed_dim : options.hidden;
}

}  // namespace

TransformerBlock::TransformerBlock(std::int64_t embed_dim, std::int64_t num_heads,
                                   const TransformerBlockOptions& options)
    : ln1(embed_dim, {.eps = options.eps, .bias = options.bias, .dtype = options.dtype}),
      attention(embed_dim, num_heads,
                {.dropout = options.dropout,
                 .bias = options.bias,
                 .is_causal = options.is_causal,
                 .dtype = options.dtype}),
      ln2(embed_dim, {.eps = options.eps, .bias = options.bias, .dtype = options.dtype}),
      fc(embed_dim, hidden_of(embed_dim, options), {.bias = options.bias, .dtype = options.dtype}),
      out(hidden_of(embed_dim, options), embed_dim, {.bias = options.bias, .dtype = options.dtype}),
      dropout(options.dropout) {
  register_module("ln1", ln1);
  register_module("attention", attention);
  register_module("ln2", ln2);
  register_module("fc", fc);
  register_module("out", out);
  register_module("dropout", dropout);
}

Tensor TransformerBlock::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  const Tensor y = x + dropout(attention(ln1(x)));
  return y + dropout(out(gelu(fc(ln2(y)))));
}

}  // namespace retrace::nn
