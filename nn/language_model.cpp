#include <retrace/nn/language_model.h>

#include <cmath>

#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>

namespace retrace::nn {
namespace {

// 0.02 at the width of GPT-2; smaller products sum fewer terms.
double deviation_at(std::int64_t width) {
  return 0.02 * std::sqrt(768.0 / static_cast<double>(width));
}

std::int64_t checked(std::int64_t vocab_size, const TransformerOptions& o) {
  require<ValueError>(vocab_size > 0 && o.context > 0 && o.layers > 0,
                      "Transformer: vocab_size is {}, context {}, layers {}; give at least 1",
                      vocab_size, o.context, o.layers);
  return vocab_size;
}

NormOptions norm_of(const TransformerOptions& o) {
  return {.kind = o.norm, .eps = o.eps, .bias = o.bias, .dtype = o.dtype};
}

TransformerBlockOptions block_of(const TransformerOptions& o, bool is_causal) {
  return {.hidden = o.hidden,
          .dropout = o.dropout,
          .eps = o.eps,
          .bias = o.bias,
          .is_causal = is_causal,
          .activation = o.activation,
          .norm = o.norm,
          .norm_first = o.norm_first,
          .rotary = o.positions == Positions::rotary,
          .dtype = o.dtype};
}

// Products: normal and without bias; those that add to the residual stream so small that the sum
// over all layers keeps its size.
void start(const Module& module, double deviation) {
  for (auto& [name, tensor] : module.named_parameters()) {
    if (name.ends_with("bias")) init::zeros_(tensor);
    if (name.ends_with("weight") && tensor.dim() == 2) init::normal_(tensor, 0, deviation);
  }
}

}  // namespace

Tensor sinusoidal_positions(std::int64_t steps, std::int64_t dim, DType dtype) {
  require<ValueError>(dim % 2 == 0, "sinusoidal_positions: dim is {}; it must be even", dim);
  Tensor table = empty({steps, dim}, kFloat64);
  double* row = table.data_ptr<double>();
  for (std::int64_t t = 0; t < steps; ++t, row += dim) {
    for (std::int64_t i = 0; i < dim; i += 2) {
      const double rate = std::pow(10000, -static_cast<double>(i) / static_cast<double>(dim));
      row[i] = std::sin(static_cast<double>(t) * rate);
      row[i + 1] = std::cos(static_cast<double>(t) * rate);
    }
  }
  return table.to(dtype);
}

Transformer::Transformer(std::int64_t vocab_size, bool is_causal, const TransformerOptions& options)
    : tokens(checked(vocab_size, options), options.embed_dim, {.dtype = options.dtype}),
      dropout(options.dropout),
      norm(options.embed_dim, norm_of(options)),
      options_(options) {
  register_module("tokens", tokens);
  const Shape table = {options.context, options.embed_dim};
  if (options.positions == Positions::learned)
    positions = register_parameter("positions", empty(table, options.dtype));
  if (options.positions == Positions::sinusoidal)
    // Rounded to float32 in every dtype: conversions do not change them then, and a model that is
    // made in the dtype that another was converted to has the same.
    positions = register_buffer(
        "positions", sinusoidal_positions(table[0], table[1], kFloat32).to(options.dtype), false);
  register_module("dropout", dropout);
  for (std::int64_t i = 0; i < options.layers; ++i)
    blocks.push_back(
        TransformerBlock(options.embed_dim, options.heads, block_of(options, is_causal)));
  register_module("blocks", blocks);
  register_module("norm", norm);

  const double deviation = deviation_at(options.embed_dim);
  start(*this, deviation);
  if (options.positions == Positions::learned) init::normal_(positions, 0, deviation);
  const double residual = deviation / std::sqrt(2 * static_cast<double>(options.layers));
  for (const TransformerBlock& block : blocks) {
    init::normal_(block.attention.proj.weight, 0, residual);
    init::normal_(block.out.weight, 0, residual);
  }
}

Tensor Transformer::embed(const Tensor& ids, std::int64_t first) const {
  Tensor x = tokens(ids);
  if (positions.defined()) x = x + positions.narrow(0, first, ids.size(1));
  return dropout(options_.norm_first ? x : norm(x));
}

Tensor Transformer::forward(const Tensor& ids, KeyValueCache* cache,
                            const Tensor& attn_mask) const {
  const PlaceScope scope(*this);
  require<ShapeError>(ids.defined() && ids.dim() == 2, "Transformer: ids are {}; give [B, T]",
                      ids.defined() ? ids.sizes() : Shape());
  const std::int64_t first = cache != nullptr ? cache->length() : 0, steps = ids.size(1);
  require<ValueError>(first + steps <= options_.context,
                      "Transformer: {} tokens a row{}; this model reads at most {}", steps,
                      first > 0 ? fmt::format(" behind {} in the cache", first) : "",
                      options_.context);
  require<ShapeError>(first == 0 || cache->batch() == ids.size(0),
                      "Transformer: ids are {}, and the cache has {} rows; clear() it before other "
                      "rows",
                      ids.sizes(), cache != nullptr ? cache->batch() : 0);
  SelfAttentionContext context = {.cache = cache, .layer = 0, .capacity = options_.context};
  context.attn_mask = attn_mask;
  Tensor x = embed(ids, first);
  for (const TransformerBlock& block : blocks) {
    x = block(x, context);
    ++context.layer;
  }
  if (options_.norm_first) x = norm(x);
  if (cache != nullptr) cache->advance(steps);
  return x;
}

Gpt::Gpt(std::int64_t vocab_size, const TransformerOptions& options)
    : transformer(vocab_size, /*is_causal=*/true, options),
      head(options.tied_head
               ? Linear(transformer.tokens.weight)
               : Linear(options.embed_dim, vocab_size, {.bias = false, .dtype = options.dtype})) {
  register_module("transformer", transformer);
  register_module("head", head);
  if (!options.tied_head) start(head, deviation_at(options.embed_dim));
}

Tensor Gpt::forward(const Tensor& ids) const {
  const PlaceScope scope(*this);
  return head(transformer(ids));
}

Tensor Gpt::forward(const Tensor& ids, KeyValueCache& cache) const {
  const PlaceScope scope(*this);
  return head(transformer(ids, &cache));
}

Tensor Gpt::next_logits(const Tensor& ids, KeyValueCache* cache) const {
  const PlaceScope scope(*this);
  return head(transformer(ids, cache).select(1, -1));
}

Gpt without_dropout(const Gpt& model) {
  TransformerOptions options = model.options();
  options.dropout = 0;
  options.dtype = model.transformer.tokens.weight.dtype();  // to() may have changed it
  Generator& generator = default_generator();
  const std::uint64_t seed = generator.seed(), position = generator.position();
  Gpt copy(model.vocab_size(), options);
  generator.set_state(seed, position);  // as if first values, which nobody sees, were not drawn
  copy.load_state_dict(model.state_dict());
  const auto frozen = model.named_parameters();
  for (auto& [name, parameter] : copy.named_parameters())
    Tensor(parameter).requires_grad_(frozen.at(name).requires_grad());
  return copy;
}

Bert::Bert(std::int64_t vocab_size, const TransformerOptions& options)
    : transformer(vocab_size, /*is_causal=*/false, options),
      dense(options.embed_dim, options.embed_dim, {.dtype = options.dtype}),
      norm(options.embed_dim, norm_of(options)),
      decoder(options.tied_head ? transformer.tokens.weight
                                : empty({vocab_size, options.embed_dim}, options.dtype),
              zeros({vocab_size}, options.dtype)) {
  register_module("transformer", transformer);
  register_module("dense", dense);
  register_module("norm", norm);
  register_module("decoder", decoder);
  start(dense, deviation_at(options.embed_dim));
  if (!options.tied_head) start(decoder, deviation_at(options.embed_dim));
}

Tensor Bert::forward(const Tensor& ids, const Tensor& padding) const {
  const PlaceScope scope(*this);
  Tensor mask;
  if (padding.defined()) {
    require<ShapeError>(padding.sizes() == ids.sizes(),
                        "Bert: ids are {}, padding {}; it must have a place for each", ids.sizes(),
                        padding.sizes());
    mask = logical_not(padding).view({ids.size(0), 1, 1, ids.size(1)});
  }
  return decoder(norm(gelu(dense(transformer(ids, nullptr, mask)))));
}

}  // namespace retrace::nn
