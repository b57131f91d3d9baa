// Programs in a small address space.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <retrace/tests/faults/disturbed.h>
#include <retrace/tests/figures.h>

using namespace retrace::testing;

#ifndef RETRACE_NO_POOL  // a sanitizer needs terabytes of it
TEST_CASE("a program in a small address space does its work or says that memory is missing") {
  struct Program {
    std::string name;
    std::vector<std::string> arguments;
  };
  const TemporaryFolder folder;
  const std::vector<Program> programs = {
      {"xor", {}},
      {"mlp_classifier", {"--steps", "20"}},
      {"mlp_classifier", {"--steps", "5", "--batch-size", "100000"}},
      {"tiny_lm", {"--steps", "2"}}};
  int good = 0, all = 0, worked = 0;
  for (const int mebibytes : {24, 32, 64, 96, 128, 192, 256, 512, 1024}) {
    for (const Program& program : programs) {
      std::vector<std::string> arguments = {
          "-c",
          "ulimit -v " + std::to_string(mebibytes * 1024) + "; exec timeout -s KILL 20 \"$@\"",
          "sh", example(program.name)};
      arguments.insert(arguments.end(), program.arguments.begin(), program.arguments.end());
      Process process("/bin/sh", arguments, folder / "out", folder / "err");
      const int code = process.wait();
      const std::string said = contents_of(folder / "err");
      const bool ended = code == 0 || (code > 0 && code < 124 && says(said, "memory"));
      CHECK_MESSAGE(ended,
                    program.name << " in " << mebibytes << " MiB: code " << code << ", " << said);
      good += ended;
      worked += code == 0;
      ++all;
    }
  }
  CHECK(worked > 0);
  figure("R72", "programs under ulimit -v of 24 to 1024 MiB",
         fmt::format("{} do their work ({}) or say that memory is missing ({})", of(good, all),
                     worked, good - worked),
         good == all);
}
#endif
