#pragma once

// Files, read and written so that nothing half-done is ever seen. Every error is an IoError that
// starts with the path and names the step and the system's reason.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retrace {

/// A regular file open for reading. Folders, FIFOs and devices are refused, and never waited for.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  /// Bytes, when it was opened.
  std::uint64_t size() const { return size_; }
  /// Fills `bytes` from `offset` on. IoError when the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;

 private:
  std::string path_;
  int descriptor_;
  std::uint64_t size_ = 0;
};

/// The whole file. IoError when it is larger than `limit` bytes.
std::string read_file(const std::string& path,
                      std::uint64_t limit = std::numeric_limits<std::uint64_t>::max());

/// Names of all that is in a folder but itself and the one above, in no order.
std::vector<std::string> names_in_folder(const std::string& path);

/// Makes the folder, unless there is one, in a folder that is there, which is synced.
void create_folder(const std::string& path);

/// Removes the file, or the link; whether there was one.
bool remove_file(const std::string& path);

/// A file being written: whoever opens `path` sees the complete old file until commit() and the
/// complete new one after it, whenever the process or the machine stops. The bytes go into a
/// temporary file in the same folder; one that a dead process left behind is removed by the next
/// OutputFile there. A symbolic link is followed, wherever it leads; an existing file's permissions
/// are kept.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();  ///< without commit(): `path` stays as it was

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Syncs the bytes, puts the file in its place, and syncs the folder.
  void commit();

 private:
  void create_temporary(const std::string& folder);

  std::string path_, target_, folder_, temporary_;
  int descriptor_ = -1;
  int lock_ = -1;  // keeps other processes from taking the temporary for a dead one's
};

/// Whether nobody else writes into what the descriptor has open, from now until it is closed, or
/// the process has ended, however. On a file system without locks nobody ever does.
bool lock_to_write(int descriptor);

/// A folder that one process at a time writes into: held until destroyed, or until the process has
/// ended, however. IoError when another one holds it.
class FolderLock {
 public:
  explicit FolderLock(const std::string& path);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int descriptor_;
};

/// Writes the whole file with an OutputFile.
void write_file(const std::string& path, std::string_view contents);

}  // namespace retrace
