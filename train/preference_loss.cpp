#include <retrace/train/preference_loss.h>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/language.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/check.h>
#include <retrace/train/predict.h>

namespace retrace::train {
namespace {

constexpr std::int64_t kBatch = 64;

Tensor logps_of(const nn::Gpt& model, const data::Responses& rows) {
  return losses::sequence_logps(model(rows.tokens), rows.tokens, rows.mask);
}

}  // namespace

Tensor response_logps(const nn::Gpt& model, const data::Responses& responses) {
  const EvalGuard eval(model);
  const NoGradGuard no_grad;
  std::vector<Tensor> parts;
  for (const auto& [tokens, mask] :
       data::TensorDataset{responses.tokens, responses.mask}.batches(kBatch))
    parts.push_back(logps_of(model, {tokens, mask}));
  return cat(parts, 0);
}

PreferenceLoss::PreferenceLoss(const PreferenceObjective& objective,
                               const data::Responses& responses, const nn::Gpt& reference)
    : objective_(objective),
      responses_(responses),
      lengths_(responses.mask.sum(1)),
      reference_(response_logps(reference, responses)) {
  require<ValueError>(isfinite(reference_).all().item<bool>(),
                      "PreferenceLoss: a log-probability of the reference is not finite; the model "
                      "is not usable");
  if (!objective.needs_kl()) return;
  elsewhere_ = data::mispaired(responses);
  reference_elsewhere_ = response_logps(reference, elsewhere_);
}

PairLogps PreferenceLoss::logps(const nn::Gpt& policy, const Tensor& pairs) const {
  const auto in_pairs = [&pairs](const Tensor& rows) { return rows.view(pairs.sizes()); };
  const auto of_pairs = [&](const Tensor& table) {
    return in_pairs(index_select(table, 0, pairs.reshape({pairs.numel()})));
  };
  const Tensor logps = in_pairs(logps_of(policy, responses_.take(pairs)));
  const Tensor reference = of_pairs(reference_), lengths = of_pairs(lengths_);
  PairLogps known = {.chosen = logps.select(1, 0),
                     .rejected = logps.select(1, 1),
                     .reference_chosen = reference.select(1, 0),
                     .reference_rejected = reference.select(1, 1),
                     .chosen_lengths = lengths.select(1, 0),
                     .rejected_lengths = lengths.select(1, 1)};
  if (objective_.needs_kl()) {
    const NoGradGuard no_grad;
    known.kl = losses::kto_kl(in_pairs(logps_of(policy, elsewhere_.take(pairs))),
                              of_pairs(reference_elsewhere_));
  }
  return known;
}

BatchLoss PreferenceLoss::operator()(const nn::Gpt& policy, const Tensor& pairs) const {
  const PairLogps known = logps(policy, pairs);
  return {objective_.losses(known).mean(), pairs.size(0), objective_.metrics(known)};
}

Metrics PreferenceLoss::score(const nn::Gpt& policy, const Tensor& pairs) const {
  const EvalGuard eval(policy);
  const NoGradGuard no_grad;
  Metrics means;
  for (const auto& [batch, same] : data::TensorDataset{pairs, pairs}.batches(kBatch)) {
    const BatchLoss of_batch = (*this)(policy, batch);
    Metrics all = {{"loss", of_batch.loss.item<double>()}};
    all.insert(all.end(), of_batch.metrics.begin(), of_batch.metrics.end());
    const double share = static_cast<double>(batch.size(0)) / static_cast<double>(pairs.size(0));
    if (means.empty())
      for (const auto& [name, value] : all) means.emplace_back(name, 0);
    for (std::size_t i = 0; i < all.size(); ++i) means[i].second += share * all[i].second;
  }
  return means;
}

}  // namespace retrace::train
