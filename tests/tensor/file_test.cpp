#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include <retrace/tensor/error.h>
#include <retrace/tensor/file.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;
namespace fs = std::filesystem;

namespace {

std::string reading_error(const std::string& path) {
  return message_of<IoError>([&] { read_file(path); });
}
std::string writing_error(const std::string& path) {
  return message_of<IoError>([&] { write_file(path, "new"); });
}

}  // namespace

TEST_CASE("what is written is read back") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.bin", contents("\0\xff text\n", 8);
  write_file(path, contents);
  CHECK(read_file(path) == contents);
  write_file(path, "");
  CHECK(read_file(path).empty());
  CHECK(folder.files() == 1);

  const InputFile file(folder.put("b", "0123456789"));
  std::byte bytes[3];
  file.read(4, bytes);
  CHECK(bytes[0] == std::byte{'4'});
  CHECK(file.size() == 10);
  CHECK(says(message_of<IoError>([&] { file.read(8, bytes); }), "/b: ends at byte 10"));
}

TEST_CASE("every error begins with the path and ends with the reason") {
  const TemporaryFolder folder;
  CHECK(reading_error(folder / "none") ==
        folder / "none" + ": cannot open for reading: No such file or directory");
  CHECK(reading_error(folder.path()) == folder.path() + ": is a folder, not a regular file");
  CHECK(reading_error("/dev/zero") == "/dev/zero: is a device, not a regular file");
  CHECK(says(reading_error(""), "empty path"));
  CHECK(says(reading_error(std::string("a\0b", 3)), "a: the path holds a NUL"));
  CHECK(says(reading_error(folder / std::string(300, 'x')), "File name too long"));
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(says(reading_error(folder / "fifo"), "fifo: is a FIFO"));  // and does not wait for it
  fs::create_symlink("loop", folder / "loop");
  CHECK(says(reading_error(folder / "loop"), "loop: cannot open for reading: Too many levels"));
  CHECK(says(message_of<IoError>([&] { read_file(folder.put("big", "12345"), 4); }),
             "big: has 5 bytes, more than the limit of 4"));

  CHECK(says(writing_error(folder / "no/such"),
             "no/such: cannot create a temporary file in its "
             "folder: No such file or directory"));
  CHECK(writing_error(folder.path()) == folder.path() + ": is a folder, not a regular file");
  CHECK(says(writing_error(folder / "fifo"), "is a FIFO"));
  CHECK(says(writing_error("/dev/null"), "/dev/null: is a device"));
  CHECK(says(writing_error(folder / "loop"), "Too many levels"));
  CHECK(says(writing_error(folder / "big/x"), "Not a directory"));
  CHECK(says(writing_error(folder / "new/"), "a file needs a name"));
  CHECK(says(writing_error(folder / std::string(300, 'x')), "File name too long"));
  CHECK(says(writing_error(""), "empty path"));
}

TEST_CASE("until commit the old file stands, and nothing is left behind without it") {
  const TemporaryFolder folder;
  const std::string path = folder.put("model", "old");
  {
    OutputFile file(path);
    file.write("half of the new");
    CHECK(read_file(path) == "old");
    CHECK(folder.files() == 2);
  }
  CHECK(read_file(path) == "old");
  CHECK(folder.files() == 1);
  {
    OutputFile file(path);
    file.write("new");
    file.commit();
  }
  CHECK(read_file(path) == "new");
  CHECK(folder.files() == 1);
}

TEST_CASE("permissions are kept and links followed") {
  const TemporaryFolder folder;
  const std::string path = folder.put("model", "old");
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("model", folder / "latest");
  write_file(folder / "latest", "new");
  CHECK(fs::is_symlink(folder / "latest"));
  CHECK(read_file(path) == "new");
  CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));

  // Also to what is not there yet, by way of another folder and another link.
  fs::create_directory(folder / "disk");
  fs::create_symlink("disk/link", folder / "first");
  fs::create_symlink("later", folder / "disk/link");
  write_file(folder / "first", "made");
  CHECK(read_file(folder / "disk/later") == "made");
  CHECK(fs::is_symlink(folder / "first"));
  CHECK(fs::is_symlink(folder / "disk/link"));
  fs::create_symlink("nowhere/file", folder / "lost");
  CHECK(message_of<IoError>([&] { write_file(folder / "lost", "x"); }) ==
        folder / "lost" +
            ": cannot create a temporary file in its folder: No such file or directory");
  CHECK(fs::is_symlink(folder / "lost"));
}

TEST_CASE("a folder is made in one that is there") {
  const TemporaryFolder folder;
  create_folder(folder / "new");
  create_folder(folder / "new");
  create_folder(folder / "new/slash/");
  CHECK(fs::is_directory(folder / "new/slash"));
  CHECK(message_of<IoError>([&] { create_folder(folder.put("file", "")); }) ==
        folder / "file" + ": cannot make the folder: File exists");
  CHECK(message_of<IoError>([&] { create_folder(folder / "no/such"); }) ==
        folder / "no/such" + ": cannot make the folder: No such file or directory");
}

TEST_CASE("a file is removed, and a link, not what it leads to") {
  const TemporaryFolder folder;
  const std::string file = folder.put("file", "x");
  fs::create_symlink(file, folder / "link");
  CHECK(remove_file(folder / "link"));
  CHECK(fs::exists(file));
  CHECK(remove_file(file));
  CHECK_FALSE(fs::exists(file));
  CHECK_FALSE(remove_file(file));
  CHECK(message_of<IoError>([&] { remove_file(folder.path()); }) ==
        folder.path() + ": cannot remove: Is a directory");
}

TEST_CASE("a full disk leaves the old file and no temporary") {
  const TemporaryFolder folder;
  const std::string path = folder.put("model", "old");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // The limit on file sizes is refused as a full disk is: by write, after some bytes.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message =
        message_of<IoError>([&] { write_file(path, std::string(10'000, 'x')); });
    ::_exit(message == path + ": cannot write: File too large" ? 0 : 1);
  }
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(read_file(path) == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("the temporary of a killed process goes with the next save, that of a live one stays") {
  const TemporaryFolder folder;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    OutputFile file(folder / "theirs");
    file.write("half");
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char x = 0;
  REQUIRE(::read(ready[0], &x, 1) == 1);
  CHECK(folder.files() == 1);
  write_file(folder / "ours", "1");
  CHECK(folder.files() == 2);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(folder.files() == 2);
  write_file(folder / "ours", "2");
  CHECK(folder.files() == 1);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("two writers of one path: one complete file wins") {
  const TemporaryFolder folder;
  const std::string path = folder / "model";
  const auto writer = [&](char c) {
    for (int i = 0; i < 50; ++i) write_file(path, std::string(10'000, c));
  };
  std::thread a(writer, 'a'), b(writer, 'b');
  a.join();
  b.join();
  const std::string contents = read_file(path);
  CHECK((contents == std::string(10'000, 'a') || contents == std::string(10'000, 'b')));
  CHECK(folder.files() == 1);
}

TEST_CASE("processes that write into one folder do not take each other for dead") {
  const TemporaryFolder folder;
  const auto writes_all = [&](int process) {
    for (int i = 0; i < 1000; ++i) {
      if (!writing_error(folder / std::to_string(process)).empty()) return false;
    }
    return true;
  };
  std::vector<pid_t> children;
  for (int process = 0; process < 4; ++process) {
    children.push_back(::fork());
    REQUIRE(children.back() >= 0);
    if (children.back() == 0) ::_exit(writes_all(process) ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  CHECK(folder.files() == 4);
}

TEST_CASE("a folder is held by one at a time, and freed when its holder dies") {
  const TemporaryFolder folder;
  {
    const FolderLock ours(folder.path());
    CHECK(message_of<IoError>([&] { FolderLock{folder.path()}; }) ==
          folder.path() + ": another process is writing there");
    write_file(folder / "file", "a lock keeps nobody from writing");
  }
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const FolderLock theirs(folder.path());
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char x = 0;
  REQUIRE(::read(ready[0], &x, 1) == 1);
  CHECK_THROWS_AS(FolderLock{folder.path()}, IoError);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  const FolderLock again(folder.path());
  CHECK(message_of<IoError>([&] { FolderLock{folder / "none"}; }).starts_with(folder / "none"));
  ::close(ready[0]);
  ::close(ready[1]);
}
