#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <utility>

#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>

namespace retrace {
namespace {

constexpr std::size_t kMostAtOnce = 1 << 30;  // Linux moves at most 2 GiB a call
constexpr std::string_view kTemporaryPrefix = ".retrace-", kTemporarySuffix = ".tmp";

[[noreturn]] void fail_step(const std::string& path, std::string_view step, int error) {
  fail<IoError>("{}: cannot {}: {}", path, step, std::system_category().message(error));
}

// Repeats a system call while signals interrupt it.
template <class F>
auto retried(F&& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string_view kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

void check_path(const std::string& path) {
  require<IoError>(!path.empty(), "(empty path): a file needs a name");
  // The system would take the name to end there.
  require<IoError>(path.find('\0') == std::string::npos,
                   "{}: the path holds a NUL byte; no file can have that name",
                   path.substr(0, path.find('\0')));
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  check_path(path);
  // Without blocking: opening a FIFO would wait for a writer.
  descriptor_ =
      retried([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); });
  if (descriptor_ < 0) fail_step(path, "open for reading", errno);
  struct stat status {};
  const int error = ::fstat(descriptor_, &status) < 0 ? errno : 0;
  if (error != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    if (error != 0) fail_step(path, "examine", error);
    fail<IoError>("{}: is {}, not a regular file", path, kind_of(status.st_mode));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const std::size_t wanted = std::min(bytes.size(), kMostAtOnce);
    const ssize_t got = retried(
        [&] { return ::pread(descriptor_, bytes.data(), wanted, static_cast<off_t>(offset)); });
    if (got < 0) fail_step(path_, "read", errno);
    require<IoError>(got > 0, "{}: ends at byte {}, {} more were expected", path_, offset,
                     bytes.size());
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

std::string read_file(const std::string& path, std::uint64_t limit) {
  const InputFile file(path);
  require<IoError>(file.size() <= limit, "{}: has {} bytes, more than the limit of {}", path,
                   file.size(), limit);
  std::string contents(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(contents)));
  return contents;
}

std::vector<std::string> names_in_folder(const std::string& path) {
  check_path(path);
  std::vector<std::string> names;
  // Not std::filesystem's iterator: g++ 12's ends the program when there is no memory for it.
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(path.c_str()), ::closedir);
  if (!listing) fail_step(path, "list the folder", errno);
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) fail_step(path, "list the folder", errno);
  return names;
}

// Writing ---------------------------------------------------------------------------------------

namespace {

bool is_temporary(std::string_view name) {
  return name.starts_with(kTemporaryPrefix) && name.ends_with(kTemporarySuffix);
}

// Removes temporaries whose lock nobody holds: their writers are dead. What cannot be removed
// stays.
void remove_stale_temporaries(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), ::closedir);
  if (!listing) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (!is_temporary(entry->d_name)) continue;
    const std::string path = folder + "/" + entry->d_name;
    const int descriptor =
        ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(path.c_str());
    ::close(descriptor);
  }
}

// The folder that a path's last name is in.
std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Where a path leads, symbolic links followed; itself while it does not exist.
std::string target_of(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr),
                                                        std::free);
  if (resolved) return resolved.get();
  if (errno != ENOENT) fail_step(path, "find", errno);
  // A link may lead to what is not there yet. (In a circle they were refused above.)
  std::string link(PATH_MAX, '\0');
  const ssize_t length = ::readlink(path.c_str(), link.data(), link.size());
  if (length <= 0) return path;
  link.resize(static_cast<std::size_t>(length));
  return target_of(link[0] == '/' ? link : folder_of(path) + "/" + link);
}

// After a name in it has changed. EINVAL: a file system that does not sync folders.
int error_of_sync(int folder) {
  const int error = retried([&] { return ::fsync(folder); }) < 0 ? errno : 0;
  ::close(folder);
  return error == EINVAL ? 0 : error;
}

int open_folder(const std::string& path) {
  return retried([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
}

}  // namespace

void create_folder(const std::string& path) {
  check_path(path);
  if (::mkdir(path.c_str(), 0777) < 0) {
    const int error = errno;
    struct stat status {};
    if (error == EEXIST && ::stat(path.c_str(), &status) < 0) fail_step(path, "examine", errno);
    if (error == EEXIST && S_ISDIR(status.st_mode)) return;
    fail_step(path, "make the folder", error);
  }
  const std::string name = path.substr(0, path.find_last_not_of('/') + 1);
  const int above = open_folder(folder_of(name));
  const int error = above < 0 ? errno : error_of_sync(above);
  if (error != 0) fail_step(path, "sync the folder that the new one is in", error);
}

bool remove_file(const std::string& path) {
  check_path(path);
  if (::unlink(path.c_str()) == 0) return true;
  if (errno != ENOENT) fail_step(path, "remove", errno);
  return false;
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  check_path(path);
  target_ = target_of(path);
  struct stat status {};
  const bool exists = ::stat(target_.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) fail_step(path, "examine", errno);
  require<IoError>(!exists || S_ISREG(status.st_mode), "{}: is {}, not a regular file", path,
                   kind_of(status.st_mode));
  folder_ = folder_of(target_);
  require<IoError>(!target_.ends_with('/'), "{}: a file needs a name after the last /", path);
  remove_stale_temporaries(folder_);
  create_temporary(folder_);
  // Best effort: a file system without permissions is no reason not to save.
  if (exists) static_cast<void>(::fchmod(descriptor_, status.st_mode & 0777));
}

void OutputFile::create_temporary(const std::string& folder) {
  static std::atomic<unsigned> counter{0};
  for (;;) {
    temporary_ = fmt::format("{}/{}{}-{}{}", folder, kTemporaryPrefix, ::getpid(), counter++,
                             kTemporarySuffix);
    descriptor_ = retried([&] {
      return ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    });
    if (descriptor_ < 0 && errno == EEXIST) continue;  // another one's, with our process number
    if (descriptor_ < 0) {
      temporary_.clear();
      fail_step(path_, "create a temporary file in its folder", errno);
    }
    // The lock is shared by the duplicate, so that it outlives the checked close before renaming.
    // A file system without locks has no stale files removed, either.
    lock_ = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
    struct stat status {};
    int error = lock_ < 0 ? errno : 0;
    // Another process may have taken it for a dead one's before it was locked: it holds the lock,
    // or has removed the file.
    const bool taken = retried([&] { return ::flock(descriptor_, LOCK_EX | LOCK_NB); }) < 0 &&
                       errno == EWOULDBLOCK;
    if (error == 0 && ::fstat(descriptor_, &status) < 0) error = errno;
    if (error == 0 && !taken && status.st_nlink > 0) return;
    if (error != 0) ::unlink(temporary_.c_str());
    ::close(descriptor_);
    if (lock_ >= 0) ::close(lock_);
    if (error != 0) fail_step(path_, "lock and examine a temporary file in its folder", error);
  }
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
  if (lock_ >= 0) ::close(lock_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = retried(
        [&] { return ::write(descriptor_, bytes.data(), std::min(bytes.size(), kMostAtOnce)); });
    if (written < 0) fail_step(path_, "write", errno);
    if (written == 0) fail_step(path_, "write", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void OutputFile::commit() {
  if (retried([&] { return ::fsync(descriptor_); }) < 0) fail_step(path_, "sync", errno);
  // After EINTR the descriptor is closed all the same.
  if (::close(std::exchange(descriptor_, -1)) < 0 && errno != EINTR) {
    fail_step(path_, "close", errno);
  }
  // Opened before the renaming: what can fail should do so while the old file stands.
  const int folder = open_folder(folder_);
  if (folder < 0) fail_step(path_, "open its folder to sync it", errno);
  if (::rename(temporary_.c_str(), target_.c_str()) < 0) {
    const int error = errno;
    ::close(folder);
    fail_step(path_, "put the new file in place", error);
  }
  temporary_.clear();
  if (const int error = error_of_sync(folder); error != 0)
    fail_step(path_, "sync its folder (the new file is in place, until a power failure)", error);
}

bool lock_to_write(int descriptor) {
  return retried([&] { return ::flock(descriptor, LOCK_EX | LOCK_NB); }) == 0 ||
         errno != EWOULDBLOCK;
}

FolderLock::FolderLock(const std::string& path) {
  check_path(path);
  descriptor_ = open_folder(path);
  if (descriptor_ < 0) fail_step(path, "open the folder", errno);
  if (lock_to_write(descriptor_)) return;
  ::close(descriptor_);
  fail<IoError>("{}: another process is writing there", path);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

void write_file(const std::string& path, std::string_view contents) {
  OutputFile file(path);
  file.write(contents);
  file.commit();
}

}  // namespace retrace
