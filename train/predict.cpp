#include <retrace/train/predict.h>
#include <retrace/train/report.h>

#include <algorithm>

#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/data/loader.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/language.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::train {
namespace {

// Quoted where it must be (RFC 4180), or where read_csv would leave spaces out.
void append_field(std::string& csv, std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const bool quotes = text.find_first_of(",\"\r\n") != text.npos ||
                      (!text.empty() && (is_blank(text.front()) || is_blank(text.back())));
  if (quotes) csv += '"';
  for (const char c : text) csv.append(c == '"' ? 2 : 1, c);
  if (quotes) csv += '"';
}

}  // namespace

Tensor predict(const std::function<Tensor(const Tensor&)>& forward, const Tensor& inputs,
               std::int64_t batch_size) {
  require<ValueError>(batch_size >= 1, "predict: batch_size must be at least 1, not {}",
                      batch_size);
  const NoGradGuard no_grad;
  const std::int64_t rows = inputs.size(0);
  if (rows <= batch_size) return forward(inputs);
  Tensor result;
  for (std::int64_t begin = 0; begin < rows; begin += batch_size) {
    const std::int64_t size = std::min(batch_size, rows - begin);
    const Tensor part = forward(inputs.narrow(0, begin, size));
    if (!result.defined()) {
      require<ShapeError>(part.dim() > 0 && part.size(0) == size,
                          "predict: {} rows gave {}; the model must give one row for each", size,
                          part.sizes());
      Shape sizes = part.sizes();
      sizes[0] = rows;
      result = empty(sizes, part.dtype());
    }
    result.narrow(0, begin, size).copy_(part);
  }
  return result;
}

double mean_over_batches(const data::TensorDataset& rows, std::int64_t batch_size,
                         const std::function<double(const Tensor&, const Tensor&)>& f) {
  const NoGradGuard no_grad;
  double sum = 0;
  for (const auto& [inputs, targets] : data::DataLoader(rows, {.batch_size = batch_size}))
    sum += f(inputs, targets) * static_cast<double>(inputs.size(0));
  return sum / static_cast<double>(rows.size());
}

double mean_over_samples(const data::TensorDataset& rows, std::int64_t batch_size,
                         const std::function<BatchLoss(const Tensor&, const Tensor&)>& f) {
  const NoGradGuard no_grad;
  double sum = 0, samples = 0;
  for (const auto& [inputs, targets] : data::DataLoader(rows, {.batch_size = batch_size})) {
    const BatchLoss batch = f(inputs, targets);
    const double count = batch.samples.value_or(static_cast<double>(inputs.size(0)));
    if (count == 0) continue;  // the mean over nothing is NaN
    sum += batch.loss.item<double>() * count;
    samples += count;
  }
  return sum / samples;
}

losses::TokenAverage mean_over_tokens(
    const std::vector<data::TensorDataset>& batches,
    const std::function<BatchLoss(const Tensor& inputs, const Tensor& targets)>& f) {
  const NoGradGuard no_grad;
  losses::TokenAverage average;
  for (const auto& [inputs, targets] : batches) {
    const BatchLoss loss = f(inputs, targets);
    require<ValueError>(loss.samples.has_value(),
                        "mean_over_tokens: a loss does not say of how many tokens it is the mean; "
                        "give BatchLoss their number");
    average.add(loss.loss.item<double>() * *loss.samples, static_cast<std::int64_t>(*loss.samples));
  }
  return average;
}

LabelScore score_labels(const std::function<Tensor(const Tensor&)>& logits,
                        const std::vector<data::TensorDataset>& batches) {
  const NoGradGuard no_grad;
  double loss = 0, right = 0, labels = 0;
  for (const auto& [inputs, targets] : batches) {
    const Tensor of_inputs = logits(inputs), scores = of_inputs.flatten(0, -2);
    const bool is_soft = targets.is_floating_point();
    const Tensor wanted = is_soft ? targets.flatten(0, -2) : targets.flatten(),
                 label = is_soft ? wanted.argmax(1) : wanted;
    loss += (is_soft ? losses::cross_entropy(scores, wanted, {.reduction = Reduction::sum})
                     : losses::masked_lm_loss(scores, wanted, {.reduction = Reduction::sum}))
                .item<double>();
    right += eq(scores.argmax(1), label).sum().item<double>();
    labels += ge(label, 0).sum().item<double>();
  }
  return {loss / labels, right / labels};
}

std::string numbers_csv(const Tensor& values, const std::vector<std::string>& names) {
  require<ShapeError>(values.dim() == 2 && values.size(1) == std::ssize(names) && !names.empty(),
                      "numbers_csv: values must be [rows, {}], not {}", names.size(),
                      values.sizes());
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += ',';
    append_field(text, name);
  }
  text += '\n';
  const std::vector<double> numbers = values.to_vector<double>();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    text += number_text(numbers[i]);
    text += (i + 1) % names.size() == 0 ? '\n' : ',';
  }
  return text;
}

std::string predictions_csv(const Tensor& probabilities, const std::vector<std::string>& classes) {
  require<ShapeError>(
      probabilities.dim() == 2 && probabilities.size(1) == std::ssize(classes) && !classes.empty(),
      "predictions_csv: probabilities must be [rows, {}], not {}", classes.size(),
      probabilities.sizes());
  std::string text = "prediction";
  for (const std::string& name : classes) {
    text += ',';
    append_field(text, fmt::format("p({})", name));
  }
  text += '\n';
  const std::vector<float> values = probabilities.to_vector<float>();
  for (auto row = values.begin(); row != values.end(); row += std::ssize(classes)) {
    const auto best = std::max_element(row, row + std::ssize(classes)) - row;
    append_field(text, classes[static_cast<std::size_t>(best)]);
    for (std::ptrdiff_t i = 0; i < std::ssize(classes); ++i) text += fmt::format(",{}", row[i]);
    text += '\n';
  }
  return text;
}

}  // namespace retrace::train
