#pragma once

// The one table of every public op and loss. The gradient checks, the expected values, the atlas
// and the page of all of them read it; an op without a row fails a test.

#include <string>
#include <string_view>
#include <vector>

#include <retrace/catalogue/call.h>
#include <retrace/catalogue/card.h>

namespace retrace::catalogue {

/// Numbers to fill an input with: uniform in [low, high], at least 0.01 away from each kink. int64:
/// whole numbers in [low, high]. bool: either value. Where there are `choices`, one of them.
struct Domain {
  double low = -2, high = 2;
  std::vector<double> kinks = {};
  DType dtype = kFloat64;
  std::vector<double> choices = {};
};

/// An input of a sample call.
struct Input {
  std::string name;
  Shape sizes;
  Domain domain = {};
  bool wants_gradient = true;  ///< when it is floating
};

/// A call worth trying: shapes and domains of its tensors, and plain arguments.
struct Sample {
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, Argument>> arguments = {};
};

/// An op or a loss: how to call it, what it asks, what holds for it.
struct Row {
  std::string name;      ///< of the row: "add", "add_scalar"
  std::string family;    ///< "arithmetic", "view", "regression", ...
  std::string question;  ///< that it answers, in one line
  Results (*run)(const Call& call);
  std::vector<Sample> samples;
  std::string function = {};  ///< that it calls, as declared; by default of the row's name
  bool differentiable = true;
  /// False for inputs that lie at a kink: such are drawn again.
  bool (*smooth)(const Call& call) = nullptr;
  bool allows_repeats = true;  ///< has a derivative where elements along dim 0 are equal
  bool allows_same = true;     ///< has one where its first two inputs are the same tensor
  /// Results that are reported only: they depend on the inputs, but have no gradient.
  std::vector<std::string> detached = {};
  /// Of each activation and each loss.
  Card card = {};

  std::string_view called() const { return function.empty() ? name : function; }
};

/// All rows, family by family.
const std::vector<Row>& rows();
/// Null when there is none of that name.
const Row* find(std::string_view name);

/// The call that a sample describes, with fresh numbers from `seed`: floating inputs in `dtype`.
Call make_call(const Row& row, const Sample& sample, std::uint64_t seed, DType dtype = kFloat64);

}  // namespace retrace::catalogue
