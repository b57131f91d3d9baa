#include <retrace/nn/reward_model.h>

#include <retrace/autograd/ops/indexing.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

RewardModel::RewardModel(const Transformer& backbone)
    : transformer(backbone),
      head(zeros({1, backbone.options().embed_dim}, backbone.tokens.weight.dtype()),
           zeros({1}, backbone.tokens.weight.dtype())) {
  register_module("transformer", transformer);
  register_module("head", head);
}

RewardModel::RewardModel(std::int64_t vocab_size, const TransformerOptions& options)
    : RewardModel(Transformer(vocab_size, /*is_causal=*/true, options)) {}

RewardModel::RewardModel(const Gpt& gpt) : RewardModel(clone(gpt.transformer)) {}

Tensor RewardModel::scores(const Tensor& ids) const {
  const PlaceScope scope(*this);
  return head(transformer(ids)).squeeze(2);
}

Tensor RewardModel::forward(const Tensor& ids, const Tensor& last) const {
  const PlaceScope scope(*this);
  const bool fits = ids.defined() && last.defined() && ids.dim() == 2 && last.dim() == 1 &&
                    last.size(0) == ids.size(0);
  require<ShapeError>(fits, "RewardModel: ids are {}, last {}; give [B, T] and [B]",
                      ids.defined() ? ids.sizes() : Shape(),
                      last.defined() ? last.sizes() : Shape());
  return gather(scores(ids), 1, last.unsqueeze(1)).squeeze(1);
}

}  // namespace retrace::nn
