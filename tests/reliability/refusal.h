#pragma once

// What holds for every refused call, for tables of them.

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <retrace/retrace.h>

#include <cstring>
#include <string>
#include <string_view>
#include <typeindex>
#include <vector>

namespace retrace::testing {

using Arguments = std::vector<Tensor>;

/// A call that is refused.
struct BadCall {
  std::string number;
  Arguments (*make)();
  void (*call)(const Arguments&);
  std::type_index type;
  /// The message starts with the first of these and has the others.
  std::vector<std::string_view> words;
};

/// All that can be seen of a tensor.
class Snapshot {
 public:
  explicit Snapshot(const Tensor& x) : tensor_(x), grad_(x.grad()), version_(x.version()) {
    const NoGradGuard guard;
    numbers_ = x.clone();
    if (grad_.defined()) grad_numbers_ = grad_.clone();
    requires_grad_ = x.requires_grad();
    is_leaf_ = x.is_leaf();
    strides_ = x.strides();
  }
  bool holds() const {
    const Tensor grad = tensor_.grad();
    return same_bits(tensor_, numbers_) && tensor_.version() == version_ &&
           tensor_.strides() == strides_ && tensor_.requires_grad() == requires_grad_ &&
           tensor_.is_leaf() == is_leaf_ && grad.is_same(grad_) &&
           (!grad.defined() || same_bits(grad, grad_numbers_));
  }

 private:
  static bool same_bits(const Tensor& a, const Tensor& b) {
    if (a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
    const NoGradGuard guard;
    const Tensor dense = a.clone();
    const auto bytes = static_cast<std::size_t>(a.numel() * size_of(a.dtype()));
    return bytes == 0 || std::memcmp(dense.get().data, b.get().data, bytes) == 0;
  }
  Tensor tensor_, numbers_, grad_, grad_numbers_;
  std::uint32_t version_;
  bool requires_grad_ = false, is_leaf_ = true;
  Strides strides_;
};

/// Blocks and bytes.
using InUse = std::pair<std::int64_t, std::int64_t>;
/// What a thousand refusals must leave as it is: of tensors; tests/heap counts all of malloc.
inline InUse (*memory_in_use)() = []() -> InUse {
  const MemoryStats stats = memory_stats();
  return {stats.live_blocks, stats.live_bytes};
};
inline std::int64_t repeated_calls = 0, leaking_calls = 0;

/// A product and its gradient: what should go on working after any refused call.
inline bool engine_works() {
  const Tensor x = tensor({1.0, 2.0}).requires_grad_();
  (x.matmul(x) + x.exp().sum() * 0.0).backward();
  return x.grad().equal(tensor({2.0, 4.0}));
}

/// What a call threw: its type, void when nothing, and what it said.
struct Refusal {
  std::type_index type;
  std::string message;
};

inline Refusal refuse(const BadCall& bad, const Arguments& arguments) {
  try {
    bad.call(arguments);
  } catch (const Error& error) {
    return {typeid(error), error.what()};
  } catch (const std::exception& error) {
    return {typeid(error), error.what()};
  }
  return {typeid(void), "nothing was thrown"};
}

/// Says what is wrong with the refusal of a call; empty when nothing is.
inline std::string objection(const BadCall& bad) {
  const Arguments arguments = bad.make();
  std::vector<Snapshot> before(arguments.begin(), arguments.end());
  const auto [type, message] = refuse(bad, arguments);
  if (type != bad.type) return "another type of exception: " + message;
  if (!message.starts_with(bad.words.front())) return "another start: " + message;
  for (const std::string_view words : bad.words) {
    if (message.find(words) == std::string::npos)
      return "lacks \"" + std::string(words) + "\": " + message;
  }
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (!before[i].holds()) return "argument " + std::to_string(i) + " changed";
  }
  if (!engine_works()) return "the next call does not work";
  const auto [blocks, bytes] = memory_in_use();
  for (int i = 0; i < 1000; ++i) refuse(bad, arguments);
  const auto [blocks_now, bytes_now] = memory_in_use();
  const bool leaks = blocks_now != blocks || bytes_now != bytes;
  ++repeated_calls;
  leaking_calls += leaks;
  return leaks ? fmt::format("leaves {} blocks, {} bytes", blocks_now - blocks, bytes_now - bytes)
               : "";
}

}  // namespace retrace::testing
