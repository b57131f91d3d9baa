#pragma once

// What refused calls say.

#include <string>
#include <string_view>

#include <retrace/tensor/error.h>

namespace retrace::testing {

/// The message of the exception of type E that f throws; "" when it throws none.
template <class E = Error, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

inline bool says(const std::string& message, std::string_view words) {
  return message.find(words) != std::string::npos;
}

}  // namespace retrace::testing
