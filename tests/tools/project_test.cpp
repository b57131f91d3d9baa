// `retrace inspect`, `retrace new`: what they print and write, and with which code they end.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <limits>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tensor/version.h>
#include <retrace/tests/files.h>
#include <retrace/tests/tools/tool.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("inspect lists tensors with their ranges, those that are not finite, and metadata") {
  const TemporaryFolder folder;
  const std::string path = folder / "model.safetensors";
  const float inf = std::numeric_limits<float>::infinity();
  save_safetensors(path,
                   {{"w", tensor({{1.0, 2.0}, {3.0, 6.0}})},
                    {"n", tensor({7, 9})},
                    {"none", zeros({0, 3}, kFloat64)},
                    {"mask", tensor({true, false})},
                    {"bad\nname", tensor({inf, 0.0F, inf})}},
                   {{"made", "here\nand now"}});
  const Outcome outcome = run_tool({"inspect", path});
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  const std::size_t at = outcome.out.find('\n');
  CHECK(outcome.out.substr(0, at) == path + ": 5 tensors, 11 numbers, 46 bytes");
  CHECK(outcome.out.substr(at) ==
        "\n\n"
        "     name    dtype   shape  numbers  min  max  mean    std  not finite\n"
        "        n    int64     [2]        2    7    9     8      1           0\n"
        "     none  float64  [0, 3]        0    -    -     -      -           -\n"
        "bad\\nname  float32     [3]        3    0  inf   inf    nan           2\n"
        "        w  float32  [2, 2]        4    1    6     3  1.871           0\n"
        "     mask     bool     [2]        2    0    1   0.5    0.5           0\n"
        "\n"
        "metadata\n"
        "  format: pt\n"
        "  made: here\\nand now\n");
}

TEST_CASE("inspect of what is no model: the file and the reason, exit code 3") {
  const TemporaryFolder folder;
  const Outcome absent = run_tool({"inspect", folder / "absent"});
  CHECK(absent.code == 3);
  CHECK(says(absent.err, "absent: cannot open for reading"));
  const Outcome broken = run_tool({"inspect", folder.put("short", "1234")});
  CHECK(broken.code == 3);
  CHECK(says(broken.err, "short: "));
  CHECK(broken.out.empty());
  CHECK(run_tool({"inspect"}).code == 2);
}

TEST_CASE("new makes a project of the template, in which nothing is left to fill in") {
  const TemporaryFolder folder;
  const Outcome outcome = run_tool({"new", "sine_2"}, folder.path());
  CHECK(outcome.code == 0);
  CHECK(says(outcome.out, "cmake -S sine_2 -B sine_2/build"));
  for (const char* file : {"CMakeLists.txt", "main.cpp", "README.md", ".gitignore"}) {
    const std::string text = contents_of(folder / "sine_2/" + file);
    CAPTURE(file);
    CHECK(!text.empty());
    CHECK(!says(text, "my_model"));
    CHECK(!says(text, "@"));
  }
  CHECK(says(contents_of(folder / "sine_2/CMakeLists.txt"), "add_executable(sine_2 main.cpp)"));
  CHECK(says(contents_of(folder / "sine_2/CMakeLists.txt"), "find_package(retrace 0."));

  const std::string before = contents_of(folder / "sine_2/main.cpp");
  const Outcome again = run_tool({"new", "sine_2"}, folder.path());
  CHECK(again.code == 1);
  CHECK(again.err == "retrace: sine_2: cannot make the folder: there is one already\n");
  CHECK(contents_of(folder / "sine_2/main.cpp") == before);
  const Outcome nowhere = run_tool({"new", "sine_2"}, "/proc");
  CHECK(nowhere.code == 1);
  CHECK(nowhere.err.starts_with("retrace: sine_2: cannot make the folder: "));
}

TEST_CASE("new refuses names that are none for a program: exit code 2, and nothing is made") {
  const TemporaryFolder folder;
  for (const char* name : {"", "My_model", "2nd", "../up", "a b", "a-b", "a/b", "install"}) {
    CAPTURE(name);
    const Outcome outcome = run_tool({"new", name}, folder.path());
    CHECK(outcome.code == 2);
    CHECK(says(outcome.err, "take small letters, digits and _, a letter first"));
  }
  CHECK(folder.files() == 0);
}

TEST_CASE("the version is that of the header") {
  const std::string version =
      fmt::format("{}.{}.{}", RETRACE_VERSION_MAJOR, RETRACE_VERSION_MINOR, RETRACE_VERSION_PATCH);
  CHECK(retrace::version() == version);
  CHECK(run_tool({"--version"}).out.starts_with("retrace " + version + "\n"));
}
