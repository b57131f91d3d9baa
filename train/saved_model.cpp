#include <retrace/train/saved_model.h>

#include <filesystem>

#include <retrace/tensor/check.h>
#include <retrace/train/run.h>

namespace retrace::train {
namespace {

std::string file_of(const std::string& folder_or_file) {
  std::error_code ignored;  // what is wrong with a path, opening it says
  if (!std::filesystem::is_directory(folder_or_file, ignored)) return folder_or_file;
  return (std::filesystem::path(folder_or_file) / "model.safetensors").string();
}

}  // namespace

SavedModel::SavedModel(const std::string& folder_or_file)
    : path_(file_of(folder_or_file)), file_(load_safetensors_file(path_)) {}

const std::string& SavedModel::description(const std::string& key) const {
  const auto value = metadata().find(key);
  require<IoError>(value != metadata().end(), "{}: is another kind of model: it says nothing of {}",
                   path_, key);
  return value->second;
}

std::int64_t SavedModel::elements() const {
  std::int64_t total = 0;
  for (const auto& [name, tensor] : file_.tensors) total += tensor.numel();
  return total;
}

std::int64_t SavedModel::size_of(std::string_view name, std::int64_t dim) const {
  const auto tensor = file_.tensors.find(name);
  // Beside a dim of 0 another can be of any size.
  const bool has_size = tensor != file_.tensors.end() && dim < tensor->second.dim() &&
                        (tensor->second.numel() > 0 || tensor->second.size(dim) == 0);
  require<IoError>(has_size, "{}: is another kind of model: it has no dim {} of a tensor {}", path_,
                   dim, name);
  return tensor->second.size(dim);
}

std::vector<std::int64_t> SavedModel::hidden_layers(std::int64_t inputs,
                                                    const std::string& layers) const {
  const auto weight = [&layers](std::size_t i) { return fmt::format("{}.{}.weight", layers, i); };
  std::vector<std::int64_t> sizes;
  std::int64_t given = inputs;
  for (std::size_t i = 0; i == 0 || file_.tensors.contains(weight(i)); ++i) {
    // Of small layers that do not fit each other, larger ones than any file would be made.
    const std::int64_t takes = size_of(weight(i), 1);
    require<IoError>(takes == given, "{}: is another kind of model: {} takes {} numbers, not {}",
                     path_, weight(i), takes, given);
    given = size_of(weight(i), 0);
    sizes.push_back(given);
  }
  sizes.pop_back();  // what the last layer gives is no hidden layer
  return sizes;
}

void SavedModel::load_into(nn::Module& model) const {
  try {
    model.load_state_dict(file_.tensors);
  } catch (const ValueError& error) {
    fail<IoError>("{}: is another kind of model: {}", path_, error.what());
  }
}

void require_kept(const Run& run, const std::vector<std::pair<std::string, std::string>>& models) {
  const Options& options = run.options();
  std::error_code ignored;  // what is not there is not removed
  if (options.resume || !run.is_first() || !std::filesystem::is_directory(options.save, ignored))
    return;
  const std::vector<std::string> removed = CheckpointFolder(options.save).model_paths();
  for (const auto& [option, path] : models) {
    for (const std::string& model : removed)
      require<UsageError>(!std::filesystem::equivalent(file_of(path), model, ignored),
                          "{} {}: a new run with --save {} removes that model; save elsewhere",
                          option, path, options.save);
  }
}

}  // namespace retrace::train
