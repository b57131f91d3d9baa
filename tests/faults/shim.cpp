// Preloaded into a program, counts its system calls that concern files below one folder, and lets
// one of them fail or be the last. The environment says which:
//   RETRACE_FAULTS_FOLDER  where
//   RETRACE_FAULTS_AT      the number of the call, from 1
//   RETRACE_FAULTS_HOW     `kill`: the process ends before it; `torn`: after half of a write;
//                          `short`: half of a write is all that is done; a number: it fails with
//                          that errno
//   RETRACE_FAULTS_LOG     a file that gets a line for each call: its name, the path
//   RETRACE_FAULTS_RECORD  a file that gets what changed, and what was synced: name, number of
//                          bytes, path, new path or -, on a line, and the bytes on the next
// What is counted is what programs call by name; calls within libc are not seen.
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace {

enum class Fate { as_usual, fails, half, torn };

int calls = 0;

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

struct Path {
  explicit Path(int descriptor) {
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const ssize_t length = readlink(link, text, sizeof text - 1);
    text[length < 0 ? 0 : length] = '\0';
  }
  char text[4096];
};

void note(const char* call, const char* path) {
  const char* log = getenv("RETRACE_FAULTS_LOG");
  if (log == nullptr) return;
  char line[4200];
  const int length = snprintf(line, sizeof line, "%s %s\n", call, path);
  const long file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  syscall(SYS_write, file, line, length);
  syscall(SYS_close, file);
}

bool concerns(const char* path) {
  const char* folder = getenv("RETRACE_FAULTS_FOLDER");
  return folder != nullptr && strncmp(path, folder, strlen(folder)) == 0;
}

// Of a call that succeeded.
void record(const char* call, const char* path, const char* to = "-", const void* bytes = nullptr,
            size_t count = 0) {
  const char* to_file = getenv("RETRACE_FAULTS_RECORD");
  if (to_file == nullptr || !concerns(path)) return;
  char line[8400];
  const int length = snprintf(line, sizeof line, "%s %zu %s %s\n", call, count, path, to);
  const long file = syscall(SYS_openat, AT_FDCWD, to_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  syscall(SYS_write, file, line, length);
  syscall(SYS_write, file, bytes, count);
  syscall(SYS_write, file, "\n", 1);
  syscall(SYS_close, file);
}

// What becomes of a call; errno is set if it fails.
Fate fate_of(const char* call, const char* path) {
  if (!concerns(path)) return Fate::as_usual;
  note(call, path);
  const char *at = getenv("RETRACE_FAULTS_AT"), *how = getenv("RETRACE_FAULTS_HOW");
  if (at == nullptr || how == nullptr || ++calls != atoi(at)) return Fate::as_usual;
  if (strcmp(how, "kill") == 0) die();
  if (strcmp(how, "torn") == 0) return Fate::torn;
  if (strcmp(how, "short") == 0) return Fate::half;
  errno = atoi(how);
  return Fate::fails;
}
Fate fate_of(const char* call, int descriptor) { return fate_of(call, Path(descriptor).text); }

template <class... Arguments>
int unless_failing(Fate fate, long number, Arguments... arguments) {
  return fate == Fate::fails ? -1 : static_cast<int>(syscall(number, arguments...));
}

// `write(count)` writes that many bytes.
template <class Write>
ssize_t written(Fate fate, size_t count, Write write) {
  if (fate == Fate::fails) return -1;
  if (fate == Fate::as_usual || count < 2) return write(count);
  const ssize_t half = write(count / 2);
  if (fate == Fate::torn) die();
  return half;
}

int open_file(int folder, const char* path, int flags, mode_t mode) {
  const int file = unless_failing(fate_of("open", path), SYS_openat, folder, path, flags, mode);
  if (file >= 0 && (flags & O_CREAT) != 0) record("create", path);
  return file;
}

int recorded(int result, const char* call, const char* path, const char* to = "-") {
  if (result == 0) record(call, path, to);
  return result;
}

// The mode is there only if a file may be made.
mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(folder, path, flags, mode);
}

int creat(const char* path, mode_t mode) {
  return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

ssize_t write(int file, const void* bytes, size_t count) {
  return written(fate_of("write", file), count, [=](size_t n) {
    const ssize_t done = syscall(SYS_write, file, bytes, n);
    if (done > 0) record("write", Path(file).text, "-", bytes, static_cast<size_t>(done));
    return done;
  });
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t offset) {
  record("pwrite", Path(file).text);
  return written(fate_of("pwrite", file), count,
                 [=](size_t n) { return syscall(SYS_pwrite64, file, bytes, n, offset); });
}

ssize_t writev(int file, const iovec* parts, int count) {
  record("writev", Path(file).text);
  // Half of several parts is the first of them.
  return written(fate_of("writev", file), static_cast<size_t>(count),
                 [=](size_t n) { return syscall(SYS_writev, file, parts, n); });
}

int fsync(int file) {
  return recorded(unless_failing(fate_of("fsync", file), SYS_fsync, file), "sync", Path(file).text);
}
int fdatasync(int file) {
  return recorded(unless_failing(fate_of("fdatasync", file), SYS_fdatasync, file), "sync",
                  Path(file).text);
}
int flock(int file, int how) noexcept {
  return unless_failing(fate_of("flock", file), SYS_flock, file, how);
}
int fchmod(int file, mode_t mode) noexcept {
  return unless_failing(fate_of("fchmod", file), SYS_fchmod, file, mode);
}
int ftruncate(int file, off_t size) noexcept {
  return recorded(unless_failing(fate_of("ftruncate", file), SYS_ftruncate, file, size),
                  "ftruncate", Path(file).text);
}

// A file is closed even if that fails.
int close(int file) {
  const Fate fate = fate_of("close", file);
  const int error = errno;
  const int result = static_cast<int>(syscall(SYS_close, file));
  if (fate != Fate::fails) return result;
  errno = error;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  return recorded(unless_failing(fate_of("rename", to), SYS_rename, from, to), "rename", from, to);
}
int fstat(int file, struct stat* status) noexcept {
  return unless_failing(fate_of("fstat", file), SYS_newfstatat, file, "", status, AT_EMPTY_PATH);
}
int stat(const char* path, struct stat* status) noexcept {
  return unless_failing(fate_of("stat", path), SYS_newfstatat, AT_FDCWD, path, status, 0);
}
int lstat(const char* path, struct stat* status) noexcept {
  return unless_failing(fate_of("lstat", path), SYS_newfstatat, AT_FDCWD, path, status,
                        AT_SYMLINK_NOFOLLOW);
}
int fcntl(int file, int what, ...) {
  va_list arguments;
  va_start(arguments, what);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  return unless_failing(fate_of("fcntl", file), SYS_fcntl, file, what, argument);
}
DIR* opendir(const char* path) {
  const int folder = unless_failing(fate_of("opendir", path), SYS_openat, AT_FDCWD, path,
                                    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  return folder < 0 ? nullptr : fdopendir(folder);
}
int mkdir(const char* path, mode_t mode) noexcept {
  return recorded(unless_failing(fate_of("mkdir", path), SYS_mkdir, path, mode), "mkdir", path);
}
int unlink(const char* path) noexcept {
  return recorded(unless_failing(fate_of("unlink", path), SYS_unlink, path), "remove", path);
}
int remove(const char* path) noexcept {
  return recorded(unless_failing(fate_of("remove", path), SYS_unlink, path), "remove", path);
}

}  // extern "C"
