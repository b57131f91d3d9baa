#pragma once

// Tensors by name in a file: the safetensors format, which PyTorch, Hugging Face's libraries and
// many other programs read and write.

#include <map>
#include <string>

#include <retrace/tensor/named.h>

namespace retrace {

/// Texts that belong to a file as a whole, such as the step of a checkpoint.
using Metadata = std::map<std::string, std::string>;

/// All that a file holds.
struct SafetensorsFile {
  StateDict tensors;
  Metadata metadata;
};

/// Writes the tensors, float32, float64, int64 or bool, each row-major, and the metadata ("format"
/// is "pt" unless given, as Hugging Face's loaders want it). The old file stays until the new one
/// is complete and synced (see OutputFile).
///
/// Checksums of the header and of every tensor are kept in the metadata, so that load_safetensors
/// detects any changed bit. Tensors that are the same (tied weights) are stored once under the name
/// that comes first; the metadata names the others, and loading gives back one tensor for all.
///
/// ValueError for an undefined tensor, and for a name or metadata that could not be loaded: names
/// are well-formed UTF-8 of 1 to 65,536 bytes without NUL, and not "__metadata__"; metadata are any
/// UTF-8, with keys of up to 65,536 bytes, of which those that start with "retrace." are taken.
/// IoError when the file cannot be written.
void save_safetensors(const std::string& path, const StateDict& tensors,
                      const Metadata& metadata = {});

/// Reads all tensors, in the order of the header. float16 and bfloat16 become float32, whole
/// numbers int64; every value is exact. IoError, beginning with the path, for a file that is not
/// complete and consistent to the last byte, or whose checksums (if it has any) do not match.
StateDict load_safetensors(const std::string& path);

/// Tensors and metadata; of the metadata, only what save_safetensors was given, and "format".
SafetensorsFile load_safetensors_file(const std::string& path);

/// CRC-32 of dtypes, sizes and, in row-major order, elements: tensors with another one are others.
std::uint32_t checksum_of(const std::vector<Tensor>& tensors);

/// The metadata alone: reads the header, not the tensors.
Metadata load_safetensors_metadata(const std::string& path);

}  // namespace retrace
