#pragma once

// The saves that are disturbed: of tensors, and of a run with its checkpoints and its model.

#include <string>
#include <string_view>

#include <retrace/retrace.h>
#include <retrace/train/checkpoint.h>

namespace retrace::testing {

inline StateDict state_of(std::int64_t version) {
  const Tensor weight = full({16, 8}, static_cast<double>(version));
  return {{"weight", weight}, {"tied", weight}, {"step", tensor(version)}, {"empty", zeros({0})}};
}

/// Files of one version in the folder; those of the version before are replaced or removed.
inline void save(std::string_view what, const std::string& folder, std::int64_t version) {
  if (what == "tensors") {
    save_safetensors(folder + "/model.safetensors", state_of(version), {{"by", "a test"}});
  } else {
    const train::CheckpointFolder run(folder + "/run", 1);
    run.save(version, state_of(version), {});
    run.save_model(state_of(version), {});
  }
}

}  // namespace retrace::testing
