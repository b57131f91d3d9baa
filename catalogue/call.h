#pragma once

// A call of an op by names: what a table, a file of expected values or a command line can make.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace::catalogue {

/// A plain argument. Not given (monostate): the op's default.
using Argument =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<double>>;

/// Named tensors and plain arguments of one call. Asking for a tensor or an argument without a
/// default that is not there, or that has another type, is a ValueError with its name.
class Call {
 public:
  Call() = default;
  Call(std::vector<std::pair<std::string, Tensor>> tensors,
       std::vector<std::pair<std::string, Argument>> arguments)
      : tensors_(std::move(tensors)), arguments_(std::move(arguments)) {}

  const std::vector<std::pair<std::string, Tensor>>& tensors() const { return tensors_; }
  const std::vector<std::pair<std::string, Argument>>& arguments() const { return arguments_; }
  /// The same call of other tensors, in the order of tensors().
  Call with(const std::vector<Tensor>& tensors) const;

  const Tensor& operator[](std::string_view name) const;
  /// Undefined when it was not given.
  Tensor optional(std::string_view name) const;

  bool has(std::string_view name) const { return given(name) != nullptr; }
  bool is_list(std::string_view name) const;
  bool flag(std::string_view name, std::optional<bool> otherwise = {}) const;
  std::int64_t integer(std::string_view name, std::optional<std::int64_t> otherwise = {}) const;
  std::optional<std::int64_t> maybe_integer(std::string_view name) const;
  /// Whole numbers as well, and the texts "inf" and "-inf".
  double number(std::string_view name, std::optional<double> otherwise = {}) const;
  std::optional<double> maybe_number(std::string_view name) const;
  /// A number that knows whether it is whole.
  Scalar scalar(std::string_view name, std::optional<Scalar> otherwise = {}) const;
  std::optional<Scalar> maybe_scalar(std::string_view name) const;
  std::string text(std::string_view name, std::optional<std::string> otherwise = {}) const;
  /// Whole numbers; one number counts as a list of one.
  Shape list(std::string_view name) const;
  std::vector<double> numbers(std::string_view name) const;

  /// "add(a, b, alpha = 2)"-like, for messages.
  std::string str() const;

 private:
  const Argument* given(std::string_view name) const;
  template <class T>
  const T& as(std::string_view name, std::string_view type) const;

  std::vector<std::pair<std::string, Tensor>> tensors_;
  std::vector<std::pair<std::string, Argument>> arguments_;
};

/// Named results; a single one is called "out".
class Results {
 public:
  Results(Tensor out) { add("out", std::move(out)); }
  Results(std::vector<std::pair<std::string, Tensor>> named) : named_(std::move(named)) {}
  Results(TensorPair pair) {
    add("values", std::move(pair.values));
    add("indices", std::move(pair.indices));
  }
  /// out0, out1, ...
  Results(const std::vector<Tensor>& numbered);

  const std::vector<std::pair<std::string, Tensor>>& named() const { return named_; }
  std::vector<Tensor> tensors() const;
  /// Undefined when there is none of that name.
  Tensor operator[](std::string_view name) const;

 private:
  void add(std::string name, Tensor tensor) {
    named_.emplace_back(std::move(name), std::move(tensor));
  }
  std::vector<std::pair<std::string, Tensor>> named_;
};

}  // namespace retrace::catalogue
