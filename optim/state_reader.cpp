#include <retrace/optim/state_reader.h>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::optim {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::string_view kVersionSuffix = ".version";

std::string version_name(std::string_view type) {
  return std::string(type) + std::string(kVersionSuffix);
}

}  // namespace

StateDict new_state(std::string_view type) {
  StateDict state;
  state.insert(version_name(type), to_tensor(kVersion));
  return state;
}

Tensor to_tensor(double value) { return full({}, value, kFloat64); }
Tensor to_tensor(std::int64_t value) { return full({}, value, kInt64); }
Tensor to_tensor(bool value) { return full({}, value, kBool); }
Tensor to_tensor(std::span<const double> values) {
  Tensor tensor = empty({static_cast<std::int64_t>(values.size())}, kFloat64);
  std::copy(values.begin(), values.end(), elements<double>(tensor));
  return tensor;
}

StateReader::StateReader(const StateDict& state, std::string_view type)
    : state_(state), type_(type) {
  if (!has(version_name(type))) {
    for (const auto& [name, tensor] : state) {
      require<ValueError>(!name.ends_with(kVersionSuffix),
                          "{}: the state is one of {}; load it into that, or start without a state",
                          type, name.substr(0, name.size() - kVersionSuffix.size()));
    }
    fail<ValueError>("{}: not a state of {}, there is no \"{}\"; give what state_dict() returned",
                     type, type, version_name(type));
  }
  std::int64_t version = 0;
  read(version_name(type), version);
  require<ValueError>(problems_.empty(), "{}: the state does not fit:{}", type, problems_);
  require<ValueError>(version == kVersion,
                      "{}: the state has version {}, this library reads version {}; load it with "
                      "the library that wrote it",
                      type, version, kVersion);
}

const Tensor* StateReader::find(const std::string& name, const Shape& sizes, DType dtype) {
  known_.insert(name);
  const auto item = state_.find(name);
  if (item == state_.end()) {
    add_problem(fmt::format("{} is missing", name));
    return nullptr;
  }
  const Tensor& tensor = item->second;
  if (!tensor.defined()) {
    add_problem(fmt::format("{} is undefined", name));
    return nullptr;
  }
  if (tensor.sizes() != sizes || tensor.dtype() != dtype) {
    add_problem(fmt::format("{} is {} {}, expected {} {}", name, tensor.dtype(), tensor.sizes(),
                            dtype, sizes));
    return nullptr;
  }
  return &tensor;
}

void StateReader::read_numbers(const std::string& name, const Shape& sizes, double* values) {
  if (const Tensor* tensor = find(name, sizes, kFloat64)) {
    const Tensor row_major = as_contiguous(*tensor);
    std::copy(elements<double>(row_major), elements<double>(row_major) + row_major.numel(), values);
  }
}

void StateReader::read(const std::string& name, double& value) { read_numbers(name, {}, &value); }
void StateReader::read(const std::string& name, std::span<double> values) {
  read_numbers(name, {static_cast<std::int64_t>(values.size())}, values.data());
}
void StateReader::read(const std::string& name, std::int64_t& value) {
  if (const Tensor* tensor = find(name, {}, kInt64)) value = tensor->item<std::int64_t>();
}
void StateReader::read(const std::string& name, bool& value) {
  if (const Tensor* tensor = find(name, {}, kBool)) value = tensor->item<bool>();
}

Tensor StateReader::read_tensor(const std::string& name, const Shape& sizes, DType dtype) {
  const Tensor* tensor = find(name, sizes, dtype);
  return tensor == nullptr ? Tensor() : contiguous_copy(*tensor);
}

void StateReader::add_problem(std::string problem) { problems_ += "\n  " + std::move(problem); }

void StateReader::finish() {
  for (const auto& [name, tensor] : state_) {
    if (!known_.contains(name)) add_problem(fmt::format("{} is unexpected", name));
  }
  require<ValueError>(problems_.empty(),
                      "{}: the state does not fit, nothing was loaded; check that parameters and "
                      "options are those it was saved with:{}",
                      type_, problems_);
}

}  // namespace retrace::optim
