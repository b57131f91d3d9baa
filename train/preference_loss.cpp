#include <retrace/train/preference_loss.h>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/language.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/predict.h>

namespace retrace::train {
namespace {

constexpr std::int64_t kBatch = 64;

// Of the responses with these numbers, of any shape: alike.
Tensor logps_of(const nn::Gpt& model, const data::Responses& responses, const Tensor& numbers) {
  const data::Responses rows = responses.take(numbers);
  return losses::sequence_logps(model(rows.tokens), rows.tokens, rows.mask).view(numbers.sizes());
}

}  // namespace

Tensor response_logps(const nn::Gpt& model, const data::Responses& responses) {
  const EvalGuard eval(model);
  const auto logps = [&](const Tensor& numbers) { return logps_of(model, responses, numbers); };
  return predict(logps, arange(responses.size()), kBatch);
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
  const Tensor logps = logps_of(policy, responses_, pairs);
  const Tensor reference = reference_.index({pairs}), lengths = lengths_.index({pairs});
  PairLogps known = {.chosen = logps.select(1, 0),
                     .rejected = logps.select(1, 1),
                     .reference_chosen = reference.select(1, 0),
                     .reference_rejected = reference.select(1, 1),
                     .chosen_lengths = lengths.select(1, 0),
                     .rejected_lengths = lengths.select(1, 1)};
  if (objective_.needs_kl()) {
    const NoGradGuard no_grad;
    known.kl =
        losses::kto_kl(logps_of(policy, elsewhere_, pairs), reference_elsewhere_.index({pairs}));
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
