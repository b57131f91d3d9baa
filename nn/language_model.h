#pragma once

// Transformers that read tokens: the backbone, a GPT and a BERT on it.

#include <string>

#include <retrace/nn/embedding.h>
#include <retrace/nn/module_list.h>
#include <retrace/nn/transformer.h>

namespace retrace::nn {

enum class Positions {
  learned,     ///< a vector for each place, added to the token's
  sinusoidal,  ///< the same with sinusoidal_positions() in float32, converted
  rotary,      ///< queries and keys are turned, see rope()
};

struct TransformerOptions {
  std::int64_t context = 128;  ///< tokens that a row may have
  std::int64_t layers = 4, heads = 4, embed_dim = 128;
  std::int64_t hidden = 0;  ///< see TransformerBlockOptions, as for all below
  Positions positions = Positions::learned;
  std::string activation = "gelu";
  NormKind norm = NormKind::layer_norm;
  bool norm_first = true;
  bool bias = true;
  bool tied_head = false;  ///< the head's weight is the table of tokens
  double dropout = 0;      ///< also of the sum of embeddings
  double eps = 1e-5;
  DType dtype = kFloat32;
};

/// sin and cos of t / 10000^(2i / dim) at the channels 2i and 2i + 1 of row t: [steps, dim].
/// ValueError for an odd dim. Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
Tensor sinusoidal_positions(std::int64_t steps, std::int64_t dim, DType dtype = kFloat32);

/// Tokens int64 [B, T] to vectors [B, T, embed_dim]: embeddings, blocks, and a norm: with
/// norm_first behind the blocks, else behind the embeddings.
///
/// Parts: tokens, an Embedding; positions [context, embed_dim]; blocks; norm. Weights are normal
/// at first, with deviation d = 0.02 √(768 / embed_dim), those that add to the residual stream with
/// d / √(2 · layers); biases are 0.
/// Source: Radford et al. 2019, Language models are unsupervised multitask learners, section 2.3,
/// whose smallest model is 768 wide.
class Transformer : public Module {
 public:
  /// ValueError for sizes that are not positive, and those of TransformerBlock.
  Transformer(std::int64_t vocab_size, bool is_causal, const TransformerOptions& options);

  /// With a cache the tokens are the next ones of its rows. `attn_mask` as in SelfAttentionContext.
  /// ShapeError unless [B, T], ValueError for more than `context` tokens a row.
  Tensor forward(const Tensor& ids, KeyValueCache* cache = nullptr,
                 const Tensor& attn_mask = {}) const;
  Tensor operator()(const Tensor& ids, KeyValueCache* cache = nullptr,
                    const Tensor& attn_mask = {}) const {
    return forward(ids, cache, attn_mask);
  }

  const TransformerOptions& options() const { return options_; }
  std::int64_t vocab_size() const { return tokens.weight.size(0); }

  Embedding tokens;
  Tensor positions;  ///< a parameter if learned; undefined if rotary
  Dropout dropout;
  ModuleList<TransformerBlock> blocks;
  Norm norm;

 private:
  Tensor embed(const Tensor& ids, std::int64_t first) const;
  TransformerOptions options_;
};

/// A language model: the logits at each place are of the token that comes next.
///
/// Parts: transformer, and head, a Linear without bias, tied to the table of tokens if wanted.
/// Source: Radford et al. 2018, Improving language understanding by generative pre-training.
class Gpt : public Module {
 public:
  /// Errors: those of Transformer.
  explicit Gpt(std::int64_t vocab_size, const TransformerOptions& options = {});

  /// ids int64 [B, T]; logits [B, T, vocab_size]. Rows that are shorter than others are filled up
  /// behind their end with any token: what comes later is not looked at.
  Tensor forward(const Tensor& ids) const;
  Tensor operator()(const Tensor& ids) const { return forward(ids); }
  /// The same with the cached tokens before `ids`, which join them. Unrecorded: AutogradError
  /// unless a NoGradGuard lives.
  Tensor forward(const Tensor& ids, KeyValueCache& cache) const;
  Tensor operator()(const Tensor& ids, KeyValueCache& cache) const { return forward(ids, cache); }
  /// Logits of the last place alone, [B, vocab_size].
  Tensor next_logits(const Tensor& ids, KeyValueCache* cache = nullptr) const;

  const TransformerOptions& options() const { return transformer.options(); }
  std::int64_t vocab_size() const { return transformer.vocab_size(); }

  Transformer transformer;
  Linear head;
};

/// A copy that shares nothing with the model and drops nothing out: for methods that compare
/// log-probabilities, in which dropout would be noise. Draws no random numbers.
Gpt without_dropout(const Gpt& model);

/// A masked language model, which looks both ways: the logits at each place are of the token that
/// belongs there.
///
/// Parts: transformer; the head: dense (a Linear), gelu, norm, and decoder, a Linear with a bias,
/// tied to the table of tokens if wanted. There is one kind of segment.
/// Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1.
class Bert : public Module {
 public:
  /// Errors: those of Transformer.
  explicit Bert(std::int64_t vocab_size, const TransformerOptions& options = {});

  /// ids int64 [B, T]; padding bool [B, T], true: no token, which nothing looks at; it may be
  /// undefined. Logits [B, T, vocab_size].
  Tensor forward(const Tensor& ids, const Tensor& padding = {}) const;
  Tensor operator()(const Tensor& ids, const Tensor& padding = {}) const {
    return forward(ids, padding);
  }

  const TransformerOptions& options() const { return transformer.options(); }
  std::int64_t vocab_size() const { return transformer.vocab_size(); }

  Transformer transformer;
  Linear dense;
  Norm norm;
  Linear decoder;
};

}  // namespace retrace::nn
