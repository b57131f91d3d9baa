#pragma once

#include <string>
#include <utility>
#include <vector>

#include <retrace/nn/module.h>
#include <retrace/tensor/safetensors.h>

namespace retrace::train {

class Run;

/// A model that a run has kept. All errors are IoErrors that name the file.
class SavedModel {
 public:
  /// The folder of a run (its model.safetensors), or the file itself.
  explicit SavedModel(const std::string& folder_or_file);

  const std::string& path() const { return path_; }
  /// What Trainer::describe was given.
  const Metadata& metadata() const { return file_.metadata; }
  /// What it says of `key`.
  const std::string& description(const std::string& key) const;
  bool has(std::string_view tensor) const { return file_.tensors.contains(tensor); }
  /// Of all tensors.
  std::int64_t elements() const;
  /// The size of a dim of a tensor, for making a model of the same shape: no larger than the file.
  std::int64_t size_of(std::string_view name, std::int64_t dim) const;
  /// How many neurons each hidden layer of an nn::Mlp has, which takes so many `inputs` and whose
  /// layers are called `layers` there.
  std::vector<std::int64_t> hidden_layers(std::int64_t inputs,
                                          const std::string& layers = "layers") const;
  /// Strict: every difference between the file and the model is listed.
  void load_into(nn::Module& model) const;

 private:
  std::string path_;
  SafetensorsFile file_;
};

/// Before training that begins with models which are there already, folders of runs or files, each
/// under the name of its option ("" where none is given): UsageError when one of them is in the
/// folder of --save, from which a new run removes it.
void require_kept(const Run& run, const std::vector<std::pair<std::string, std::string>>& models);

}  // namespace retrace::train
