#pragma once

// State of optimizers and schedules as tensors: numbers are kept bit for bit, and a file of tensors
// can hold it.

#include <span>
#include <string>
#include <type_traits>
#include <unordered_set>

#include <retrace/tensor/named.h>

namespace retrace::optim {

/// A state that says whose it is: {"AdamW.version": 1}.
StateDict new_state(std::string_view type);

Tensor to_tensor(double value);
Tensor to_tensor(std::int64_t value);
Tensor to_tensor(bool value);
Tensor to_tensor(std::span<const double> values);
template <class Enum>
requires std::is_enum_v<Enum> Tensor to_tensor(Enum value) {
  return to_tensor(static_cast<std::int64_t>(value));
}

/// Reads a state and collects all that is wrong with it; the objects read into may then be thrown
/// away. `finish` throws one ValueError with the whole list.
class StateReader {
 public:
  /// ValueError when the state is that of another type or version.
  StateReader(const StateDict& state, std::string_view type);

  bool has(const std::string& name) const { return state_.contains(name); }
  void read(const std::string& name, double& value);
  void read(const std::string& name, std::int64_t& value);
  void read(const std::string& name, bool& value);
  /// As many numbers as `values` has.
  void read(const std::string& name, std::span<double> values);
  /// The value may be none of its names.
  template <class Enum>
  requires std::is_enum_v<Enum>
  void read(const std::string& name, Enum& value) {
    auto number = static_cast<std::int64_t>(value);
    read(name, number);
    value = static_cast<Enum>(number);
  }
  /// A row-major copy; undefined when it is missing or of another shape or dtype.
  Tensor read_tensor(const std::string& name, const Shape& sizes, DType dtype);
  void add_problem(std::string problem);
  void finish();

 private:
  const Tensor* find(const std::string& name, const Shape& sizes, DType dtype);
  void read_numbers(const std::string& name, const Shape& sizes, double* values);

  const StateDict& state_;
  std::string type_, problems_;
  std::unordered_set<std::string> known_;
};

}  // namespace retrace::optim
