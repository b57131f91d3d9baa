#pragma once

#include <retrace/nn/module.h>

namespace retrace::train {

/// A model as it was when its validation loss was smallest; part of a checkpoint.
class BestModel {
 public:
  explicit BestModel(const nn::Module& model);

  /// Keeps the model if the loss is smaller than any before.
  void watch(const nn::Module& model, double loss);
  /// How many times in a row it was not.
  std::int64_t waited() const;
  /// Whether there has been a loss that is finite: else it holds the model as it was at first.
  bool has_any() const;
  /// Copies the numbers that were kept into the model.
  void give_to(nn::Module& model) const;

  StateDict state_dict() const { return state_; }
  /// ShapeError, ValueError when it is of another model; then nothing was changed.
  void load_state_dict(const StateDict& state);

 private:
  StateDict state_;  // "loss", "waited", and the model's tensors as "model.NAME"
};

}  // namespace retrace::train
