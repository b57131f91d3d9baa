#include <retrace/train/classifier.h>

#include <retrace/nn/activation.h>
#include <retrace/nn/by_name.h>
#include <retrace/nn/conv.h>
#include <retrace/nn/pooling.h>
#include <retrace/tensor/check.h>
#include <retrace/train/saved_model.h>

namespace retrace::train {
namespace {

constexpr const char* kActivationKey = "activation";

nn::Sequential convolutions() {
  return nn::Sequential{[](const Tensor& x) { return x.unsqueeze(1); },
                        nn::Conv2d(1, 16, 3, {.padding = 1}),
                        nn::ReLU(),
                        nn::MaxPool2d(2),
                        nn::Conv2d(16, 32, 3, {.padding = 1}),
                        nn::ReLU(),
                        nn::MaxPool2d(2)};
}

// Numbers that the first hidden layer sees.
std::int64_t features_of(const data::InputFormat& inputs, bool cnn) {
  if (!cnn) return inputs.features();
  require<ValueError>(!inputs.image.empty(), "Classifier: convolutions are for images");
  return 32 * (inputs.image[0] / 4) * (inputs.image[1] / 4);
}

// Without an activation a stack of linear layers is one linear layer.
nn::MlpOptions layers_of(const ClassifierOptions& options) {
  nn::MlpOptions layers = {.hidden = options.hidden, .dropout = options.dropout};
  layers.activation = options.activation.empty() ? [](const Tensor& x) { return x; }
                                                 : nn::activation(options.activation);
  return layers;
}

}  // namespace

Classifier::Classifier(const data::ClassificationFormat& format, const ClassifierOptions& options)
    : features(options.cnn ? convolutions() : nn::Sequential()),
      mlp(features_of(format.inputs, options.cnn), format.outputs.size(), layers_of(options)),
      format_(format),
      activation_(options.activation) {
  register_module("features", features);
  register_module("mlp", mlp);
}

Tensor Classifier::forward(const Tensor& x) const { return mlp(features(x)); }

Metadata Classifier::description() const {
  Metadata description = format_.to_metadata();
  description[kActivationKey] = activation_;
  return description;
}

Classifier Classifier::load(const std::string& folder_or_file) {
  const SavedModel saved(folder_or_file);
  const auto format = data::ClassificationFormat::from_metadata(saved.metadata(), saved.path());
  const bool cnn = saved.has("features.1.weight");
  try {
    const ClassifierOptions options = {
        .hidden = saved.hidden_layers(features_of(format.inputs, cnn), "mlp.layers"),
        .activation = saved.description(kActivationKey),
        .cnn = cnn};
    Classifier model(format, options);
    saved.load_into(model);
    return model;
  } catch (const ValueError& error) {
    fail<IoError>("{}: {}", saved.path(), error.what());
  }
}

}  // namespace retrace::train
