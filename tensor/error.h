#pragma once

#include <stdexcept>
#include <string>

namespace retrace {

/// Base of every exception that Retrace throws. The message reads
/// `op: what is wrong, with every shape and dtype involved; what to do`; inside a module it starts
/// with the module's path (`block0.norm: layer_norm: ...`).
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message);
};

/// Sizes that do not fit each other or the operation.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A dtype that the operation does not take, or two that differ: there is no silent promotion.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// An index, dim or class outside its range.
class IndexError : public Error {
 public:
  using Error::Error;
};

/// A value that the operation does not accept, an undefined tensor, memory that cannot be had.
class ValueError : public Error {
 public:
  using Error::Error;
};

/// Misuse of recording or of the backward pass.
class AutogradError : public Error {
 public:
  using Error::Error;
};

/// A file that is missing, broken, or cannot be written.
class IoError : public Error {
 public:
  using Error::Error;
};

}  // namespace retrace
