#pragma once

#include <retrace/nn/language_model.h>

namespace retrace::nn {

/// A transformer that says of a text how good it is: a score at each place, of what stands up to
/// there. The score at a response's last token is its reward; those before it can be the values of
/// an actor-critic method.
///
/// Parts: transformer, causal, and head, a Linear with one output that is 0 at first: so are all
/// scores then, and losses::reward_loss is ln 2.
/// Source: Stiennon et al. 2020, arXiv:2009.01325, section 3.4, with a head of random numbers.
class RewardModel : public Module {
 public:
  /// Errors: those of Transformer. `tied_head` says nothing here.
  explicit RewardModel(std::int64_t vocab_size, const TransformerOptions& options = {});
  /// Begins with a copy of what a language model knows.
  explicit RewardModel(const Gpt& gpt);

  /// ids int64 [B, T]; the score at each place, [B, T]. Errors: those of Transformer.
  Tensor scores(const Tensor& ids) const;
  /// The score at the place `last`, int64 [B], of each row, [B]. What stands behind it, padding, is
  /// not looked at. Errors also: ShapeError, DTypeError, and IndexError for a place outside [0, T).
  Tensor forward(const Tensor& ids, const Tensor& last) const;
  Tensor operator()(const Tensor& ids, const Tensor& last) const { return forward(ids, last); }

  const TransformerOptions& options() const { return transformer.options(); }
  std::int64_t vocab_size() const { return transformer.vocab_size(); }

  Transformer transformer;
  Linear head;

 private:
  explicit RewardModel(const Transformer& backbone);
};

}  // namespace retrace::nn
