// What a person sees who stands in gdb, with tools/gdb/retrace.py.
#include <doctest/doctest.h>

#include <cstdlib>
#include <map>

#include <retrace/tests/train/process.h>

using namespace retrace::testing;

namespace {

std::string gdb() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (const auto file = std::filesystem::path(folder) / "gdb"; std::filesystem::exists(file))
      return file.string();
  }
  return "";
}

std::string run_gdb(const std::vector<std::string>& commands, const std::string& program) {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = {"-q", "-nx", "-batch", "-x",
                                        RETRACE_SOURCE_DIR "/tools/gdb/retrace.py"};
  for (const char* first : {"set host-charset UTF-8", "set style enabled off", "set width 0"})
    arguments.insert(arguments.end(), {"-ex", first});
  for (const std::string& command : commands) arguments.insert(arguments.end(), {"-ex", command});
  arguments.push_back(program);
  Process process(gdb(), arguments, folder / "out", folder / "err");
  process.wait();
  return contents_of(folder / "out") + contents_of(folder / "err");
}

/// Says so when there is no gdb that can run and print; rules.cpp knows the message.
bool has_gdb() {
  static const std::string missing = [] {
    if (gdb().empty()) return std::string("no gdb was found; install Debian's package gdb");
    const std::string said = run_gdb({"python print(6 * 7)", "run", "print 40 + 4"}, "/bin/true");
    if (!says(said, "42")) return std::string("this gdb has no Python");
    if (!says(said, "exited normally")) return "gdb may not run a program here: " + said;
    // gdb 13 does not know how large the state of a processor with AMX is.
    const std::string called =
        run_gdb({"set environment RETRACE_TRAP_NODE=3", "run", "print (int)getpid()"},
                example("lessons/one_neuron"));
    if (says(called, "Couldn't write extended state"))
      return std::string("gdb cannot call a program's functions on this processor");
    return std::string();
  }();
  if (!missing.empty()) MESSAGE("skipped: " << missing);
  return missing.empty();
}

std::string in_tests(const std::string& name) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  return (self.parent_path() / name).string();
}

}  // namespace

TEST_CASE("standing at a node, gdb tells its name, formula, inputs and numbers") {
  if (!has_gdb()) return;
  const std::string said =
      run_gdb({"set environment RETRACE_TRAP_NODE=3", "run", "print step",
               "print *step.node.pointer_", "print step.node.pointer_", "print (retrace::Node*)16"},
              example("lessons/one_neuron"));
  CAPTURE(said);
  CHECK(says(said, "RETRACE_TRAP_NODE: at sigmoid #3, called at one_neuron.cpp:18 (main)"));
  CHECK(says(said, "SIGTRAP"));
  // z = w x + b = 1, y = σ(z) = 0.7310586, dL/dy = 2 y, dy/dz = y (1 - y), and their product.
  CHECK(says(said,
             "sigmoid #3\n"
             "  formula: y = 1 / (1 + exp(-x))\n"
             "  gradient: dx = g · y (1 - y)\n"
             "  input 0: add #2\n"
             "  upstream of output 0: float32 [] = 1.4621172\n"
             "  local derivative by input 0: float32 [] = 0.19661193\n"
             "  gradient of input 0: float32 [] = 0.28746969\n"));
  CHECK(says(said,
             "sigmoid #3\n"
             "  formula: y = 1 / (1 + exp(-x))\n"
             "  gradient: dx = g · y (1 - y)\n"
             "  input 0: add #2\n"
             "  output 0: float32 []\n"
             "  saved output 0: float32 [] = 0.7310586\n"));
  CHECK(says(said, ": sigmoid #3\n"));
  CHECK(says(said, "0x10: <not readable: Cannot access memory at address 0x10>\n"));
}

TEST_CASE("a leaf among the inputs is told with its numbers") {
  if (!has_gdb()) return;
  const std::string said = run_gdb({"set environment RETRACE_TRAP_NODE=1", "run", "print step"},
                                   example("lessons/one_neuron"));
  CAPTURE(said);
  CHECK(says(said,
             "mul #1\n"
             "  formula: y = x · c\n"
             "  gradient: dx = g · c\n"
             "  input 0: leaf float32 [] = 0.8, requires_grad\n"
             "  upstream of output 0: float32 [] = 0.28746969\n"
             "  local derivative by input 0: float32 [] = 1.5\n"
             "  gradient of input 0: float32 [] = 0.43120453\n"));
}

TEST_CASE("loss.backward() stops as stepping does, and goes on") {
  if (!has_gdb()) return;
  const std::string said = run_gdb({"set environment RETRACE_TRAP_NODE=1", "run", "print step.node",
                                    "print step.upstream", "continue"},
                                   in_tests("gdb_tensors"));
  CAPTURE(said);
  CHECK(says(said, "RETRACE_TRAP_NODE: at matmul #1"));
  CHECK(says(said, "$1 = matmul #1\n"));
  CHECK(says(said, "$2 = std::vector of length 1, capacity 1 = {float32 [2, 2] = [["));
  CHECK(says(said, "exited normally"));
}

TEST_CASE("tensors are shown along their strides, and what is none does not matter") {
  if (!has_gdb()) return;
  const std::map<std::string, std::string> expected = {
      {"rows", "float32 [2, 3] = [[1, 2, 3], [4, 5, 0.1]]"},
      {"turned", "float32 [3, 2] = [[1, 4], [2, 5], [3, 0.1]]"},
      {"column", "float32 [2] = [3, 0.1]"},
      {"odd", "float32 [2, 2] = [[1, 3], [4, 0.1]]"},
      {"repeated", "float64 [2, 2] = [[1.5, -2.5], [1.5, -2.5]]"},
      {"non_finite", "float64 [5] = [nan, inf, -inf, -0.0, 1e-300]"},
      {"whole", "int64 [3] = [1, -2, 3]"},
      {"truth", "bool [2] = [True, False]"},
      {"none", "float32 [0, 3] = []"},
      {"undefined", "undefined"},
      {"w", "float32 [1] = [0.5], requires_grad"},
      {"y", "float32 [2, 3] = [[0.5, 1, 1.5], [2, 2.5, 0.05]], from mul #4"},
      {"shape", "[2, 3]"},
  };
  std::vector<std::string> commands = {"break look", "run", "up"};
  for (const auto& variable : expected)
    commands.insert(commands.end(), {"output " + variable.first, "echo \\n"});
  for (const char* last : {"print large", "print two", "print broken", "print step", "info locals"})
    commands.push_back(last);
  const std::string said = run_gdb(commands, in_tests("gdb_tensors"));
  CAPTURE(said);
  for (const auto& variable : expected) {
    CAPTURE(variable.first);
    CHECK(says(said, "\n" + variable.second + "\n"));
    CHECK(says(said, variable.first + " = " + variable.second + "\n"));  // of info locals
  }
  CHECK(says(said, "= int64 [2, 10, 30] = [[[0, 1, 2, 3, 4, 5, 6, 7, ...], [30, 31,"));
  CHECK(says(said, "[150, 151, 152, 153, 154, 155, 156, 157, ...], ...], ...]\n"));
  CHECK(says(said,
             "{float32 [2, 3] = [[1, 2, 3], [4, 5, 0.1]], float32 [1] = [0.5], requires_grad}"));
  CHECK(says(said, "<not readable: Cannot access memory at address"));
  CHECK(says(said,
             "  unsummed gradient of input 0: float32 [2, 3] = [[1, 2, 3], [4, 5, 0.1]]\n"
             "  gradient of input 0: float32 [1] = [15.1]\n"));
}

TEST_CASE("of a core dump the numbers are read, and the class stands for the name of a node") {
  if (!has_gdb()) return;
  const TemporaryFolder folder;
  const std::string program = in_tests("gdb_tensors"), core = folder / "core";
  run_gdb({"break look", "run", "generate-core-file " + core}, program);
  REQUIRE(std::filesystem::exists(core));
  const std::string said =
      run_gdb({"core-file " + core, "up", "print turned", "print y", "print step"}, program);
  CAPTURE(said);
  CHECK(says(said, "= float32 [3, 2] = [[1, 4], [2, 5], [3, 0.1]]\n"));
  CHECK(says(said, ", from MulNode #4\n"));
  CHECK(says(said, "  upstream of output 0: float32 [2, 3] = [[1, 1, 1], [1, 1, 1]]\n"));
}
