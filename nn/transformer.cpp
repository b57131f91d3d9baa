#include <retrace/nn/transformer.h>

#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/gated.h>
#include <retrace/nn/by_name.h>
#include <retrace/tensor/check.h>

namespace retrace::nn {
namespace {

constexpr std::string_view kGated = "swiglu";

std::int64_t hidden_of(std::int64_t embed_dim, const TransformerBlockOptions& options) {
  require<ValueError>(options.hidden >= 0, "TransformerBlock: hidden is {}; give at least 0",
                      options.hidden);
  if (options.hidden > 0) return options.hidden;
  return options.activation == kGated ? 8 * embed_dim / 3 : 4 * embed_dim;
}

std::int64_t fc_width(std::int64_t embed_dim, const TransformerBlockOptions& options) {
  const std::int64_t hidden = hidden_of(embed_dim, options);
  return options.activation == kGated ? 2 * hidden : hidden;
}

std::function<Tensor(const Tensor&)> activation_of(const std::string& name) {
  if (name == kGated) return [](const Tensor& x) { return swiglu(x); };
  if (name == "gelu_tanh") return [](const Tensor& x) { return gelu(x, Approximate::tanh); };
  return activation(name);
}

NormOptions norm_of(const TransformerBlockOptions& options) {
  return {.kind = options.norm, .eps = options.eps, .bias = options.bias, .dtype = options.dtype};
}

}  // namespace

TransformerBlock::TransformerBlock(std::int64_t embed_dim, std::int64_t num_heads,
                                   const TransformerBlockOptions& options)
    : ln1(embed_dim, norm_of(options)),
      attention(embed_dim, num_heads,
                {.dropout = options.dropout,
                 .bias = options.bias,
                 .is_causal = options.is_causal,
                 .rotary = options.rotary,
                 .dtype = options.dtype}),
      ln2(embed_dim, norm_of(options)),
      fc(embed_dim, fc_width(embed_dim, options), {.bias = options.bias, .dtype = options.dtype}),
      out(hidden_of(embed_dim, options), embed_dim, {.bias = options.bias, .dtype = options.dtype}),
      dropout(options.dropout),
      activation_(activation_of(options.activation)),
      norm_first_(options.norm_first) {
  register_module("ln1", ln1);
  register_module("attention", attention);
  register_module("ln2", ln2);
  register_module("fc", fc);
  register_module("out", out);
  register_module("dropout", dropout);
  describe(fmt::format("{}{}", options.activation, norm_first_ ? "" : ", norm_first=false"));
}

Tensor TransformerBlock::feed_forward(const Tensor& x) const { return out(activation_(fc(x))); }

Tensor TransformerBlock::forward(const Tensor& x, const SelfAttentionContext& context) const {
  const PlaceScope scope(*this);
  if (norm_first_) {
    const Tensor y = x + dropout(attention(ln1(x), context));
    return y + dropout(feed_forward(ln2(y)));
  }
  const Tensor y = ln1(x + dropout(attention(x, context)));
  return ln2(y + dropout(feed_forward(y)));
}

}  // namespace retrace::nn
