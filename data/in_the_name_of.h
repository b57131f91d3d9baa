#pragma once

#include <string>

#include <retrace/tensor/check.h>

namespace retrace::data {

/// f(), whose errors do not know of the file: then an IoError that begins with its path.
template <class F>
auto in_the_name_of(const std::string& path, F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    fail<IoError>("{}: {}", path, error.what());
  }
}

}  // namespace retrace::data
