#pragma once

// What fuzz targets share. A target is a .cpp file with LLVMFuzzerTestOneInput, which libFuzzer
// calls with bytes that it makes up (./fuzz), and fuzz_replay with the files of seeds/ and
// crashes/. What is wrong is thrown, or ends the process.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <retrace/tensor/error.h>
#include <retrace/tensor/tensor.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace retrace::fuzz {

/// A promise of the library that an input has broken.
struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

template <class... Args>
void expect(bool holds, fmt::format_string<Args...> promise, Args&&... args) {
  if (!holds) throw Broken(fmt::format(promise, std::forward<Args>(args)...));
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A number that follows from the bytes, for what is too slow to be done with each input. (From
/// their number alone, inputs that are slow would be most of those that libFuzzer keeps.)
inline std::size_t turn_of(const std::uint8_t* data, std::size_t size) {
  return std::hash<std::string_view>()(text_of(data, size));
}

/// A file in memory: readers take paths.
class MemoryFile {
 public:
  MemoryFile()
      : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)),
        path_(fmt::format("/proc/self/fd/{}", descriptor_)) {
    if (descriptor_ < 0) throw std::runtime_error("no file in memory");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  const std::string& path() const { return path_; }
  const std::string& put(std::string_view contents) {
    const auto size = static_cast<ssize_t>(contents.size());
    if (::ftruncate(descriptor_, size) != 0 ||
        ::pwrite(descriptor_, contents.data(), contents.size(), 0) != size)
      throw std::runtime_error("cannot write a file in memory");
    return path_;
  }

 private:
  int descriptor_;
  std::string path_;
};

/// Where a target writes what it has read; in memory where there is such a folder.
class KeptFile {
 public:
  KeptFile()
      : path_(fmt::format("{}/retrace-fuzz-{}", is_folder("/dev/shm") ? "/dev/shm" : "/tmp",
                          ::getpid())) {}
  KeptFile(const KeptFile&) = delete;
  KeptFile& operator=(const KeptFile&) = delete;
  ~KeptFile() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  static bool is_folder(const char* path) { return ::access(path, W_OK | X_OK) == 0; }
  std::string path_;
};

/// What is refused is refused in a short line.
inline void expect_line(std::string_view message) {
  const bool is_line = std::none_of(message.begin(), message.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  expect(!message.empty() && is_line, "a message is a line: {}", message);
  expect(message.size() < 1000, "a message is short: {}", message);
}

/// Whether f() came to an end. It may also throw an E with a message that is a short line and
/// begins with `start`; any other exception goes on, to be reported.
template <class E = IoError, class F>
bool accepts(std::string_view start, F&& f) {
  try {
    f();
    return true;
  } catch (const E& error) {
    const std::string_view message = error.what();
    expect(message.starts_with(start), "a message begins with {}: {}", start, message);
    expect_line(message);
    return false;
  }
}

/// f(), where nothing may be refused.
template <class F>
auto accepted(F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw Broken(fmt::format("refused: {}", error.what()));
  }
}

/// The same bits, NaN among them.
inline bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  const auto bytes = static_cast<std::size_t>(x.numel() * size_of(x.dtype()));
  return std::equal(x.get().data, x.get().data + bytes, y.get().data);
}

/// A small file does not become a large tensor: the smallest stored element has one byte, the
/// largest of a tensor eight.
inline void expect_no_more_than(std::size_t file_bytes, std::int64_t elements) {
  expect(elements <= static_cast<std::int64_t>(file_bytes), "{} elements come from {} bytes",
         elements, file_bytes);
}

}  // namespace retrace::fuzz
