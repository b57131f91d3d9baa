#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <vector>

#include <retrace/autograd/grad_mode.h>
#include <retrace/data/dataset.h>
#include <retrace/losses/perplexity.h>
#include <retrace/nn/eval_guard.h>
#include <retrace/train/batch_loss.h>

namespace retrace::train {

using nn::EvalGuard;

/// forward(rows) for all rows of `inputs`, in batches, unrecorded, joined along the first dim.
Tensor predict(const std::function<Tensor(const Tensor&)>& forward, const Tensor& inputs,
               std::int64_t batch_size = 1024);

/// The same of a model's forward(), in evaluation mode.
template <std::derived_from<nn::Module> Model>
Tensor predict(Model& model, const Tensor& inputs, std::int64_t batch_size = 1024) {
  const EvalGuard eval(model);
  return predict([&model](const Tensor& x) { return model.forward(x); }, inputs, batch_size);
}

/// That, as a function of the inputs; it holds the model.
template <std::derived_from<nn::Module> Model>
std::function<Tensor(const Tensor&)> predictor(const Model& model) {
  return [model](const Tensor& inputs) { return predict(model, inputs); };
}

/// The mean over rows, in batches, of f(inputs, targets), itself a mean over its rows; unrecorded.
/// ValueError without rows.
double mean_over_batches(
    const data::TensorDataset& rows, std::int64_t batch_size,
    const std::function<double(const Tensor& inputs, const Tensor& targets)>& f);

/// The mean over samples, in batches of rows, of f(inputs, targets), itself a mean over as many as
/// it says, or over its rows if it does not; unrecorded. A batch of 0 samples adds nothing.
/// ValueError without rows.
double mean_over_samples(
    const data::TensorDataset& rows, std::int64_t batch_size,
    const std::function<BatchLoss(const Tensor& inputs, const Tensor& targets)>& f);

/// The mean over tokens of what f says of each batch, unrecorded. ValueError when f does not say
/// how many those are.
losses::TokenAverage mean_over_tokens(
    const std::vector<data::TensorDataset>& batches,
    const std::function<BatchLoss(const Tensor& inputs, const Tensor& targets)>& f);

/// How well the labels of rows, or of tokens, are found.
struct LabelScore {
  double loss = 0;      ///< mean cross-entropy, in nats
  double accuracy = 0;  ///< share of labels that are the most probable ones
};

/// `logits` maps inputs to [.., classes]. Targets are labels, int64 [..], -100 where there is none;
/// or the probability of each class, [.., classes], whose label is the most probable one. NaN
/// without labels.
LabelScore score_labels(const std::function<Tensor(const Tensor&)>& logits,
                        const std::vector<data::TensorDataset>& batches);

/// Numbers for each row as CSV, under a header: `values` [rows, names].
std::string numbers_csv(const Tensor& values, const std::vector<std::string>& names);

/// The most probable class of each row, and the probability of every class, as CSV with a header:
/// "prediction,p(cat),p(dog)". `probabilities` [rows, classes].
std::string predictions_csv(const Tensor& probabilities, const std::vector<std::string>& classes);

}  // namespace retrace::train
