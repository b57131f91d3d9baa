#pragma once

#include <string>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Writes NumPy's .npy format, version 1.0: float32, float64, int64 or bool, row-major. The old
/// file stays until the new one is complete (see OutputFile).
void save_npy(const std::string& path, const Tensor& tensor);

/// Reads .npy files of versions 1.0, 2.0 and 3.0, of either byte order, row-major or Fortran order.
/// float16 becomes float32, whole numbers int64; every value is exact. IoError, beginning with the
/// path, for anything else: objects (they are pickled programs), structures, texts, more than 8
/// dims, a file whose length is not what its header says.
Tensor load_npy(const std::string& path);

}  // namespace retrace
