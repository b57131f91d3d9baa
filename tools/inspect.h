#pragma once

#include <string>

namespace retrace::tools {

/// `retrace inspect MODEL.safetensors`: what is in a model's file, a line to a tensor with its
/// shape and the range, mean and standard deviation of its numbers; and its metadata. IoError when
/// the file is not sound.
std::string inspect(const std::string& path);

}  // namespace retrace::tools
