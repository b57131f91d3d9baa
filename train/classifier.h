#pragma once

// Networks that tell classes apart, and their files.

#include <string>
#include <vector>

#include <retrace/data/files.h>
#include <retrace/nn/mlp.h>
#include <retrace/nn/sequential.h>

namespace retrace::train {

struct ClassifierOptions {
  std::vector<std::int64_t> hidden = {64, 64};  ///< neurons of each hidden layer
  std::string activation = "gelu";              ///< of nn::activation_names(); "": none
  bool cnn = false;    ///< two convolutions before the hidden layers, for images
  double dropout = 0;  ///< after each hidden layer
};

/// A multilayer perceptron; of images, behind convolutions if asked for.
///
/// Parts: features, mlp.
class Classifier : public nn::Module {
 public:
  /// ValueError for convolutions of what is no image, and those of nn::Mlp and nn::activation.
  Classifier(const data::ClassificationFormat& format, const ClassifierOptions& options);
  /// The folder of a run that kept one, or its file. IoError.
  static Classifier load(const std::string& folder_or_file);

  /// Inputs as data::load_classification gives them; logits [rows, classes].
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  const data::ClassificationFormat& format() const { return format_; }
  /// For its file (see Trainer::describe): what load() must know.
  Metadata description() const;

  nn::Sequential features;
  nn::Mlp mlp;

 private:
  data::ClassificationFormat format_;
  std::string activation_;
};

}  // namespace retrace::train
