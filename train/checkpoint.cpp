#include <retrace/train/checkpoint.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <filesystem>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/view.h>
#include <retrace/train/exit.h>
#include <retrace/train/log.h>

namespace retrace::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "checkpoint-", kSuffix = ".safetensors";
constexpr const char *kFormat = "checkpoint.version", *kStage = "checkpoint.stage";
constexpr std::string_view kVersion = "1";

Tensor as_tensor(std::uint64_t bits) { return tensor(std::bit_cast<std::int64_t>(bits)); }

std::uint64_t bits_of(const StateDict& state, std::string_view name) {
  const auto item = state.find(name);
  require<IoError>(
      item != state.end() && item->second.dtype() == kInt64 && item->second.numel() == 1,
      "checkpoint: has no random state ({})", name);
  return std::bit_cast<std::uint64_t>(item->second.item<std::int64_t>());
}

bool belongs(std::string_view name, std::string_view part) {
  return name.size() > part.size() && name.starts_with(part) && name[part.size()] == '.';
}

// A model of somebody else, or one that cannot be read: not ours to remove.
void require_of_a_run(const std::string& path) {
  std::error_code none;
  if (!fs::is_regular_file(path, none)) return;
  std::string why = "it does not say which program trained it";
  try {
    if (load_safetensors_metadata(path).contains("program")) return;
  } catch (const IoError& error) {
    why = error.what();
  }
  throw WriteError(fmt::format(
      "{}: is there already, and is no model of a run ({}); remove it, or save elsewhere", path,
      why));
}

bool removed(const std::string& path) {
  return writing([&] { return remove_file(path); });
}

}  // namespace

void CheckpointParts::check_name(const std::string& name) const {
  const auto require_apart = [&](const std::string& other) {
    require<ValueError>(name != other && !belongs(name, other) && !belongs(other, name),
                        "checkpoint: \"{}\" cannot be told from \"{}\"; give another name", name,
                        other);
  };
  require_apart("random");
  for (const Part& part : parts_) require_apart(part.name);
}

StateDict CheckpointParts::state_dict() const {
  StateDict all;
  for (const Part& part : parts_) {
    for (const auto& [name, value] : part.save()) all.insert(part.name + "." + name, value);
  }
  all.insert("random.seed", as_tensor(default_generator().seed()));
  all.insert("random.position", as_tensor(default_generator().position()));
  return all;
}

StateDict CheckpointParts::copy() const {
  StateDict all;
  for (const auto& [name, value] : state_dict()) all.insert(name, contiguous_copy(value));
  return all;
}

void CheckpointParts::load_state_dict(const StateDict& state) const {
  const std::uint64_t seed = bits_of(state, "random.seed");
  const std::uint64_t position = bits_of(state, "random.position");
  for (const auto& [name, value] : state) {
    const auto owns = [&, &entry = name](const Part& part) { return belongs(entry, part.name); };
    require<ValueError>(
        belongs(name, "random") || std::any_of(parts_.begin(), parts_.end(), owns),
        "checkpoint: {} belongs to nothing that this program keeps; resume with the program and "
        "options that wrote it",
        name);
  }
  const StateDict before = copy();
  try {
    load_parts(state);
  } catch (...) {
    load_parts(before);
    throw;
  }
  default_generator().set_state(seed, position);
}

void CheckpointParts::load_parts(const StateDict& state) const {
  for (const Part& part : parts_) {
    StateDict of_part;
    for (const auto& [name, value] : state) {
      if (belongs(name, part.name)) of_part[name.substr(part.name.size() + 1)] = value;
    }
    part.load(of_part);
  }
}

CheckpointFolder::CheckpointFolder(std::string path, std::size_t keep)
    : path_(std::move(path)), keep_(keep) {
  writing([&] { create_folder(path_); });
}

std::string CheckpointFolder::model_path() const {
  return (fs::path(path_) / "model.safetensors").string();
}

std::vector<std::string> CheckpointFolder::model_paths() const {
  std::vector<std::string> paths = {model_path()};
  for (const std::string& name : stages()) paths.push_back(stage(name).model_path());
  return paths;
}

std::string CheckpointFolder::checkpoint_path(std::int64_t step) const {
  return (fs::path(path_) / fmt::format("{}{}{}", kPrefix, step, kSuffix)).string();
}

std::vector<std::int64_t> CheckpointFolder::steps() const {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in_folder(path_)) {
    if (name.size() <= kPrefix.size() + kSuffix.size() || !name.starts_with(kPrefix) ||
        !name.ends_with(kSuffix))
      continue;
    std::int64_t step = 0;
    const char* last = name.data() + name.size() - kSuffix.size();
    const auto [stop, problem] = std::from_chars(name.data() + kPrefix.size(), last, step);
    if (problem == std::errc() && stop == last && step >= 0) steps.push_back(step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

std::optional<Checkpoint> CheckpointFolder::newest() const {
  std::string problem;
  for (const std::int64_t step : steps()) {
    try {
      SafetensorsFile file = load_safetensors_file(checkpoint_path(step));
      const std::string& version = file.metadata[kFormat];
      require<IoError>(version == kVersion,
                       "{}: is a checkpoint of version \"{}\", this program reads version {}",
                       checkpoint_path(step), version, kVersion);
      return Checkpoint{step, std::move(file.tensors), std::move(file.metadata)};
    } catch (const IoError& error) {
      problem = error.what();
      log_warning("passed over: " + problem);
    }
  }
  require<IoError>(problem.empty(), "{}: no checkpoint is sound; the oldest: {}", path_, problem);
  return {};
}

void CheckpointFolder::save(std::int64_t step, const StateDict& state, Metadata metadata) const {
  metadata[kFormat] = kVersion;
  metadata[kStage] = stage_;
  writing([&] { save_safetensors(checkpoint_path(step), state, metadata); });
  const std::vector<std::int64_t> all = steps();
  std::size_t kept = 0;
  for (const std::int64_t each : all) {
    if (each <= step && ++kept > keep_) removed(checkpoint_path(each));
  }
}

void CheckpointFolder::require_writable() const {
  writing([&] { OutputFile never_there(model_path()); });
}

void CheckpointFolder::save_model(const StateDict& state, const Metadata& metadata) const {
  writing([&] { save_safetensors(model_path(), state, metadata); });
}

CheckpointFolder CheckpointFolder::stage(const std::string& name) const {
  CheckpointFolder folder((fs::path(path_) / name).string(), keep_);
  folder.stage_ = name;
  return folder;
}

std::vector<std::string> CheckpointFolder::stages() const {
  std::vector<std::string> names;
  for (const std::string& name : names_in_folder(path_)) {
    std::error_code ignored;  // it is no folder, then
    const fs::file_status status = fs::symlink_status(fs::path(path_) / name, ignored);
    if (!fs::is_directory(status)) continue;
    std::optional<Checkpoint> checkpoint = stage(name).newest();
    if (checkpoint && checkpoint->metadata[kStage] == name) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool CheckpointFolder::clear() const {
  for (const std::string& path : model_paths()) require_of_a_run(path);
  bool any = false;
  for (const std::string& path : model_paths()) any = removed(path) || any;
  for (const std::string& name : stages()) any = stage(name).clear() || any;
  for (const std::int64_t step : steps()) any = removed(checkpoint_path(step)) || any;
  return any;
}

}  // namespace retrace::train
