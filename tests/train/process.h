#pragma once

// Programs of the build tree, started as a user would start them.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <retrace/tests/files.h>

namespace retrace::testing {

/// build/examples/NAME, seen from the test program in build/tests.
inline std::string example(const std::string& name) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  return (self.parent_path().parent_path() / "examples" / name).string();
}

/// A child process with its output in files.
class Process {
 public:
  Process(const std::string& program, std::vector<std::string> arguments, const std::string& out,
          const std::string& err) {
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const auto redirect = [&files](int descriptor, const std::string& path) {
      posix_spawn_file_actions_addopen(&files, descriptor, path.c_str(),
                                       O_WRONLY | O_CREAT | O_TRUNC, 0600);
    };
    redirect(STDOUT_FILENO, out);
    redirect(STDERR_FILENO, err);
    const int error =
        posix_spawn(&process_, program.c_str(), &files, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::runtime_error("cannot start " + program);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (process_ == 0) return;
    send(SIGKILL);
    wait();
  }

  void send(int signal) const { ::kill(process_, signal); }

  /// The exit code, or minus the signal that ended it.
  int wait() {
    int status = 0;
    while (waitpid(process_, &status, 0) < 0) {
    }
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t process_ = 0;
};

inline double metric(const nlohmann::json& result, const std::string& name) {
  return result["metrics"].at(name).get<double>();
}

struct Outcome {
  int code;
  std::string out, err;
};

/// Runs an example to its end.
inline Outcome run_example(const std::string& name, std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  Process process(example(name), std::move(arguments), folder / "out", folder / "err");
  const int code = process.wait();
  return {code, contents_of(folder / "out"), contents_of(folder / "err")};
}

inline bool is_one_line(const std::string& text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

inline std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

/// The result that an example reports under --check, after it ended with `code`.
inline nlohmann::json result_of(const std::string& name, std::vector<std::string> arguments,
                                int code = 0) {
  arguments.insert(arguments.end(), {"--check", "--json", "-"});
  const Outcome outcome = run_example(name, arguments);
  CAPTURE(name);
  CAPTURE(arguments);
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == code);
  return json_lines(outcome.out).back();
}

/// Checks that a call ends with `code`, one line that says why (`words` among it), and nothing
/// else.
inline void check_refused(const std::string& name, int code,
                          const std::vector<std::string>& arguments,
                          const std::string& words = "") {
  const Outcome outcome = run_example(name, arguments);
  CAPTURE(name);
  CAPTURE(arguments);
  CAPTURE(outcome.err);
  CHECK(outcome.code == code);
  CHECK(outcome.out.empty());
  CHECK(is_one_line(outcome.err));
  CHECK(says(outcome.err, words));
}

}  // namespace retrace::testing
