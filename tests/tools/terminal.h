#pragma once

// A program on a pseudo-terminal, and what its screen shows: as much of a VT100 as ncurses uses.

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace retrace::testing {

class Terminal {
 public:
  Terminal(const std::string& program, std::vector<std::string> arguments, int rows, int columns,
           const std::string& type = "vt100") {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(rows);
    size.ws_col = static_cast<unsigned short>(columns);
    clear(rows, columns);
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    process_ = forkpty(&master_, nullptr, nullptr, &size);
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      setenv("TERM", type.c_str(), 1);
      setenv("LC_ALL", "C.UTF-8", 1);
      unsetenv("LINES");
      unsetenv("COLUMNS");
      execv(program.c_str(), argv.data());
      _exit(127);
    }
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      waitpid(process_, nullptr, 0);
    }
    close(master_);
  }

  void type(const std::string& keys) {
    CHECK(write(master_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
  }
  void resize(int rows, int columns) {
    winsize size{};
    size.ws_row = static_cast<unsigned short>(rows);
    size.ws_col = static_cast<unsigned short>(columns);
    read_for(100);
    clear(rows, columns);
    CHECK(ioctl(master_, TIOCSWINSZ, &size) == 0);
  }

  /// Waits until the screen has these words and nothing more comes; false if they do not come.
  bool shows(const std::string& words) {
    for (int tries = 0; tries < 100; ++tries) {
      read_for(60);
      if (text().find(words) != std::string::npos) return true;
    }
    INFO(text());
    CHECK(false);
    return false;
  }
  std::string row(int i) const {
    std::string line;
    for (const std::string& cell : cells_[static_cast<std::size_t>(i)]) line += cell;
    return line;
  }
  std::string text() const {
    std::string all;
    for (int i = 0; i < rows(); ++i) all += row(i) + "\n";
    return all;
  }
  /// The exit code, or minus the signal that ended it.
  int wait() {
    int status = 0;
    while (waitpid(process_, &status, WNOHANG) == 0) read_for(20);
    process_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  int rows() const { return static_cast<int>(cells_.size()); }
  int columns() const { return static_cast<int>(cells_[0].size()); }
  void clear(int rows, int columns) {
    cells_.assign(static_cast<std::size_t>(rows),
                  std::vector<std::string>(static_cast<std::size_t>(columns), " "));
    row_ = column_ = 0;
  }

  // Until nothing comes for so long.
  void read_for(int milliseconds) {
    pollfd ready{master_, POLLIN, 0};
    char bytes[4096];
    while (poll(&ready, 1, milliseconds) > 0) {
      const ssize_t count = read(master_, bytes, sizeof bytes);
      if (count <= 0) {
        usleep(static_cast<useconds_t>(milliseconds) * 1000);
        return;
      }
      for (ssize_t i = 0; i < count; ++i) take(bytes[i]);
    }
  }

  void take(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (!sequence_.empty()) {
      sequence_ += c;
      const bool is_csi = sequence_.size() > 1 && sequence_[1] == '[';
      const bool is_charset = sequence_.size() > 1 && (sequence_[1] == '(' || sequence_[1] == ')');
      const bool ends = is_csi ? sequence_.size() > 2 && byte >= 0x40
                               : sequence_.size() == (is_charset ? 3u : 2u);
      if (ends) {
        if (is_csi) obey(c);
        if (sequence_ == "\x1bM" && row_ > 0) --row_;
        sequence_.clear();
      }
    } else if (c == '\x1b') {
      sequence_ = c;
    } else if (c == '\r') {
      column_ = 0;
    } else if (c == '\n') {
      row_ = std::min(row_ + 1, rows() - 1);
    } else if (c == '\b') {
      column_ = std::max(column_ - 1, 0);
    } else if ((byte & 0xC0) == 0x80) {
      if (column_ > 0) cell(column_ - 1) += c;
    } else if (byte >= ' ') {
      if (column_ < columns()) cell(column_) = std::string(1, c);
      column_ = std::min(column_ + 1, columns());
    }
  }

  std::string& cell(int column) {
    return cells_[static_cast<std::size_t>(row_)][static_cast<std::size_t>(column)];
  }

  void obey(char command) {
    std::vector<int> numbers(1, 0);
    for (const char c : sequence_.substr(2)) {
      if (c >= '0' && c <= '9') numbers.back() = numbers.back() * 10 + (c - '0');
      if (c == ';') numbers.push_back(0);
    }
    const int first = std::max(numbers[0], 1);
    const auto blank = [this](int row, int from, int to) {
      for (int i = from; i < to; ++i)
        cells_[static_cast<std::size_t>(row)][static_cast<std::size_t>(i)] = " ";
    };
    switch (command) {
      case 'H':
        row_ = std::clamp(numbers[0] - 1, 0, rows() - 1);
        column_ = std::clamp((numbers.size() > 1 ? numbers[1] : 1) - 1, 0, columns() - 1);
        break;
      case 'A':
        row_ = std::max(row_ - first, 0);
        break;
      case 'B':
        row_ = std::min(row_ + first, rows() - 1);
        break;
      case 'C':
        column_ = std::min(column_ + first, columns() - 1);
        break;
      case 'D':
        column_ = std::max(column_ - first, 0);
        break;
      case 'K':
        blank(row_, numbers[0] == 1 ? 0 : column_,
              numbers[0] == 1 ? std::min(column_ + 1, columns()) : columns());
        break;
      case 'J':
        if (numbers[0] == 0) blank(row_, column_, columns());
        for (int i = numbers[0] == 0 ? row_ + 1 : 0; i < rows(); ++i) blank(i, 0, columns());
        break;
      default:
        break;
    }
  }

  pid_t process_ = 0;
  int master_ = -1;
  std::vector<std::vector<std::string>> cells_;
  int row_ = 0, column_ = 0;
  std::string sequence_;
};

}  // namespace retrace::testing
