#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace retrace::fuzz {

/// A target of ./fuzz: its folders in seeds/ and crashes/ are called `name`.
struct Target {
  const char* name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

/// All; CMake writes the list.
std::span<const Target> targets();

}  // namespace retrace::fuzz
