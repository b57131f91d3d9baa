#pragma once

#include <string>

#include <retrace/tensor/error.h>

namespace retrace::train {

/// What a program returns to its caller. A signal that ended it gives 128 + its number: 130 for
/// SIGINT, 143 for SIGTERM, 129 for SIGHUP.
enum class ExitCode {
  done = 0,
  failure = 1,
  usage = 2,
  bad_file = 3,  ///< data or a model that cannot be read
  not_finite = 4,
  missed_bound = 5,  ///< --check: the gap is larger than it may be
  diff_failure = 6,  ///< of `retrace diff`, where 1 says that two traces differ
};

/// A command line that makes no sense; the message says what is wrong with it.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// A loss or gradient that is NaN or infinite.
class NotFiniteError : public Error {
 public:
  using Error::Error;
};

/// A result worse than --check allows.
class MissedBound : public Error {
 public:
  using Error::Error;
};

/// A file that cannot be written: a failure, where an IoError speaks of a file that was given.
class WriteError : public Error {
 public:
  using Error::Error;
};

/// f(), which writes or removes a file; its IoError becomes a WriteError.
template <class F>
auto writing(F&& f) {
  try {
    return f();
  } catch (const IoError& error) {
    throw WriteError(error.what());
  }
}

/// A signal asked the program to stop, and it did so in an orderly way.
class Interrupted : public Error {
 public:
  Interrupted(int signal, const std::string& message) : Error(message), signal_(signal) {}
  int signal() const { return signal_; }

 private:
  int signal_;
};

}  // namespace retrace::train
