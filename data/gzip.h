#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace retrace::data {

/// How much a compressed file may unpack to: a few kilobytes can hold gigabytes of zeros.
struct UnpackLimits {
  std::uint64_t bytes = std::uint64_t{4} << 30;
  /// Unpacked over packed size, from `free_bytes` on. Text and images stay below 100; the format
  /// itself ends at 1032.
  double ratio = 200;
  std::uint64_t free_bytes = std::uint64_t{16} << 20;
};

/// The contents of a file from front to back: unpacked when it starts as a gzip file (whatever its
/// name), else as they are. IoError, beginning with the path, for a file that is missing, damaged,
/// cut short, followed by something else, or beyond the limits.
class FileReader {
 public:
  explicit FileReader(const std::string& path, const UnpackLimits& limits = {});
  ~FileReader();

  /// Appends about so many more bytes; false, and none, at the end.
  bool read(std::string& contents, std::size_t bytes);

 private:
  struct Source;
  std::unique_ptr<Source> source_;
};

/// All of them at once.
std::string read_plain_or_gzip(const std::string& path, const UnpackLimits& limits = {});

/// Writes `contents` as a gzip file, the same bytes for the same contents.
void write_gzip(const std::string& path, std::string_view contents);

}  // namespace retrace::data
