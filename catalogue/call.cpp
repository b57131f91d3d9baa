#include <retrace/catalogue/call.h>
#include <retrace/tensor/check.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/ranges.h>

namespace retrace::catalogue {
namespace {

template <class Pairs>
auto find_named(Pairs& pairs, std::string_view name) {
  return std::find_if(pairs.begin(), pairs.end(),
                      [name](const auto& entry) { return entry.first == name; });
}

}  // namespace

Call Call::with(const std::vector<Tensor>& tensors) const {
  Call call = *this;
  for (std::size_t i = 0; i < tensors.size(); ++i) call.tensors_[i].second = tensors[i];
  return call;
}

const Tensor& Call::operator[](std::string_view name) const {
  const auto entry = find_named(tensors_, name);
  require<ValueError>(entry != tensors_.end(), "call: the tensor \"{}\" is missing", name);
  return entry->second;
}

Tensor Call::optional(std::string_view name) const {
  const auto entry = find_named(tensors_, name);
  return entry == tensors_.end() ? Tensor() : entry->second;
}

const Argument* Call::given(std::string_view name) const {
  const auto entry = find_named(arguments_, name);
  if (entry == arguments_.end() || std::holds_alternative<std::monostate>(entry->second))
    return nullptr;
  return &entry->second;
}

template <class T>
const T& Call::as(std::string_view name, std::string_view type) const {
  const Argument* argument = given(name);
  require<ValueError>(argument != nullptr, "call: the argument \"{}\" is missing", name);
  const T* value = std::get_if<T>(argument);
  require<ValueError>(value != nullptr, "call: the argument \"{}\" is not a {}", name, type);
  return *value;
}

bool Call::is_list(std::string_view name) const {
  const Argument* argument = given(name);
  return argument != nullptr && std::holds_alternative<std::vector<double>>(*argument);
}

bool Call::flag(std::string_view name, std::optional<bool> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  return as<bool>(name, "truth value");
}

std::int64_t Call::integer(std::string_view name, std::optional<std::int64_t> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  return as<std::int64_t>(name, "whole number");
}

std::optional<std::int64_t> Call::maybe_integer(std::string_view name) const {
  return has(name) ? std::optional(integer(name)) : std::nullopt;
}

double Call::number(std::string_view name, std::optional<double> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  const Argument* argument = given(name);
  if (argument != nullptr) {
    if (const auto* whole = std::get_if<std::int64_t>(argument)) return static_cast<double>(*whole);
    if (const auto* text = std::get_if<std::string>(argument)) {
      if (*text == "inf") return std::numeric_limits<double>::infinity();
      if (*text == "-inf") return -std::numeric_limits<double>::infinity();
    }
  }
  return as<double>(name, "number");
}

std::optional<double> Call::maybe_number(std::string_view name) const {
  return has(name) ? std::optional(number(name)) : std::nullopt;
}

Scalar Call::scalar(std::string_view name, std::optional<Scalar> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  const Argument* argument = given(name);
  if (argument != nullptr && std::holds_alternative<std::int64_t>(*argument))
    return std::get<std::int64_t>(*argument);
  return number(name);
}

std::optional<Scalar> Call::maybe_scalar(std::string_view name) const {
  return has(name) ? std::optional(scalar(name)) : std::nullopt;
}

std::string Call::text(std::string_view name, std::optional<std::string> otherwise) const {
  if (otherwise && !has(name)) return *otherwise;
  return as<std::string>(name, "text");
}

std::vector<double> Call::numbers(std::string_view name) const {
  if (is_list(name)) return as<std::vector<double>>(name, "list of numbers");
  return {number(name)};
}

Shape Call::list(std::string_view name) const {
  std::vector<std::int64_t> values;
  for (const double value : numbers(name)) {
    require<ValueError>(std::abs(value) < 0x1p53 && value == std::floor(value),
                        "call: the argument \"{}\" holds {}, not a whole number", name, value);
    values.push_back(static_cast<std::int64_t>(value));
  }
  return values;
}

std::string Call::str() const {
  std::vector<std::string> parts;
  for (const auto& [name, tensor] : tensors_)
    parts.push_back(name + " " + (tensor.defined() ? tensor.sizes().str() : "undefined"));
  for (const auto& [name, argument] : arguments_) {
    if (!has(name)) continue;
    const std::string& label = name;
    std::visit(
        [&](const auto& value) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(value)>, std::monostate>)
            parts.push_back(fmt::format("{} = {}", label, value));
        },
        argument);
  }
  return fmt::format("({})", fmt::join(parts, ", "));
}

Results::Results(const std::vector<Tensor>& numbered) {
  for (std::size_t i = 0; i < numbered.size(); ++i) add(fmt::format("out{}", i), numbered[i]);
}

std::vector<Tensor> Results::tensors() const {
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : named_) tensors.push_back(tensor);
  return tensors;
}

Tensor Results::operator[](std::string_view name) const {
  const auto entry = find_named(named_, name);
  return entry == named_.end() ? Tensor() : entry->second;
}

}  // namespace retrace::catalogue
