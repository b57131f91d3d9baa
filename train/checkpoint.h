#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <retrace/tensor/safetensors.h>

namespace retrace::train {

/// Anything that can be saved and resumed: a module, an optimizer, a schedule, a loader.
template <class T>
concept Stateful = requires(T& object, const StateDict& state) {
  { object.state_dict() } -> std::convertible_to<StateDict>;
  object.load_state_dict(state);
};

/// Stateful objects under names, saved and loaded together. Does not own them.
class CheckpointParts {
 public:
  /// ValueError for a name that is taken, or that of "random", or that continues another with a
  /// dot.
  template <Stateful T>
  void add(std::string name, T& object) {
    check_name(name);
    parts_.push_back({std::move(name), [&object] { return object.state_dict(); },
                      [&object](const StateDict& state) { object.load_state_dict(state); }});
  }

  /// "model.fc1.weight", "optimizer.0.step", ...: what their state_dict() gives, which may be their
  /// own memory. With the state of the default generator, "random.seed" and "random.position".
  StateDict state_dict() const;
  /// The same as copies: what load_state_dict() can go back to, whatever changed since.
  StateDict copy() const;
  /// All of it or nothing: when one object refuses its part, the others get back what they had, and
  /// the error goes on; where memory is missing for that, too, they are left half loaded.
  /// ValueError when there is something of an object that was not added.
  void load_state_dict(const StateDict& state) const;

 private:
  struct Part {
    std::string name;
    std::function<StateDict()> save;
    std::function<void(const StateDict&)> load;
  };
  void check_name(const std::string& name) const;
  void load_parts(const StateDict& state) const;

  std::vector<Part> parts_;
};

/// A checkpoint as it was read.
struct Checkpoint {
  std::int64_t step = 0;
  StateDict state;
  Metadata metadata;
};

/// A folder of checkpoints of one run, checkpoint-STEP.safetensors, and its final model. Each file
/// is complete or not there at all (see OutputFile), and every bit of it is under a checksum.
class CheckpointFolder {
 public:
  /// Made if it is not there (not its parents); WriteError when that fails.
  explicit CheckpointFolder(std::string path, std::size_t keep = 3);

  const std::string& path() const { return path_; }
  /// A folder in it, made if it is not there: for a training before the one that the run is about.
  CheckpointFolder stage(const std::string& name) const;
  /// Names of those that have checkpoints, which say so themselves: a folder of another run is
  /// none. IoError when there is a folder in it with checkpoints, none of which is sound.
  std::vector<std::string> stages() const;
  std::string model_path() const;
  /// Where its model and those of its stages are, if they are there; errors as stages().
  std::vector<std::string> model_paths() const;
  std::string checkpoint_path(std::int64_t step) const;

  /// Steps of which there is a file, newest first, sound or not.
  std::vector<std::int64_t> steps() const;
  /// The newest checkpoint that can be read; a warning is logged for each newer one that cannot.
  /// Nothing when there is no checkpoint. IoError when there are, but none is sound.
  std::optional<Checkpoint> newest() const;

  /// Writes the checkpoint, then removes all but the newest `keep` files up to it: what has a later
  /// step was passed over by newest(). WriteError.
  void save(std::int64_t step, const StateDict& state, Metadata metadata) const;
  /// WriteError when nothing can be written there: better known before training.
  void require_writable() const;
  void save_model(const StateDict& state, const Metadata& metadata) const;
  /// Removes all checkpoints and the model, those of stages too: another run begins, and nobody is
  /// to take what the last one left for its. False if there was nothing. WriteError, and nothing is
  /// removed, when a model there is none that save_model() has written for a program, which the
  /// metadata name.
  bool clear() const;

 private:
  std::string path_, stage_;
  std::size_t keep_;
};

}  // namespace retrace::train
