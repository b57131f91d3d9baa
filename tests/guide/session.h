#pragma once

// What a page's program runs in, and what holds its output against the page.

#include <sstream>
#include <streambuf>
#include <string>

#include <retrace/tests/guide/page.h>

namespace retrace::guide {

/// Runs the parts of a page: its session, and each block that is a program of its own. Each has a
/// process of its own, so that nodes, random numbers and files begin anew. The constructor returns
/// in these; in the process that they come from it compares what they printed with the page, says
/// where it differs, and ends the process: 0 when all is as the page says. With --update it writes
/// what was printed into the page instead.
class Session {
 public:
  Session(int argc, char** argv, const std::string& page);

  /// Number of the block that is a program, or -1: the session.
  int part() const { return part_; }
  /// What is printed from here on is what that block prints.
  void at(int block);
  /// Runs the commands of a block.
  void execute(int block);
  int finish();
  int fail(const std::string& message);

 private:
  void flush();

  Page page_;
  int part_ = -1;
  int block_ = -1;
  std::string record_;  // the file that this process says in what it printed
  std::ostringstream printed_;
  std::streambuf* before_ = nullptr;
};

}  // namespace retrace::guide
