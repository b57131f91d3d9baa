// The numbers of the list of wrong calls (docs/reliability.md), each with its test, and what the
// messages of refused calls have in common.
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/tests/reliability/bad_calls.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kTests = std::string(RETRACE_SOURCE_DIR) + "/tests/";

std::vector<BadCall> bad_calls() {
  std::vector<BadCall> all;
  for (auto table : {bad_products, bad_views, bad_reductions, bad_indices, bad_layers,
                     bad_optimizers, bad_tape, bad_sizes}) {
    std::vector<BadCall> some = table();
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

std::set<std::string> all_numbers() {
  std::set<std::string> numbers;
  const std::pair<char, int> lists[] = {{'B', 139}, {'V', 29}, {'C', 28}};
  for (const auto& [letter, count] : lists) {
    for (int i = 1; i <= count; ++i)
      numbers.insert(fmt::format("{}{:03}", letter, i).erase(1, letter == 'B' ? 0 : 1));
  }
  return numbers;
}

/// Rows without a test, and why.
const std::map<std::string, std::string> kLeftOut = {
    {"B063", "a reduction is an enumerator: another word does not compile"},
    {"B094", "there is no numpy()"},
    {"B118", "there is no kthvalue"},
};

struct Elsewhere {
  std::string row, file, title;
};

/// Rows whose tests have a title without the number.
const Elsewhere kElsewhere[] = {
    {"C04", "nn/module_test.cpp",
     "parents, parts, copies, parameters and graphs may go in any order"},
    {"C04", "autograd/tape_size_test.cpp", "tensor, hook, node and pass may go in any order"},
    {"C04", "autograd/hooks_test.cpp", "a tensor may be gone before its hook runs, or go in it"},
    {"C09", "autograd/backprop_test.cpp",
     "a hook may go back on its own, over this graph or another"},
    {"C09", "autograd/backprop_test.cpp", "passes nested without end are an error, not a crash"},
    {"C09", "autograd/node_test.cpp", "a backward may run a forward and backward of its own"},
    {"C10", "autograd/node_test.cpp",
     "a backward that gives what does not fit is refused by name, and nothing is changed"},
    {"C10", "autograd/node_test.cpp",
     "a backward may give zeros as undefined, a strided gradient, or its upstream"},
    {"C11", "autograd/backprop_test.cpp", "guards nest, and exceptions restore them"},
    {"C11", "autograd/tape_size_test.cpp", "modes and guards belong to their thread"},
    {"C13", "nn/state_dict_test.cpp",
     "everything that does not fit is in one error, and nothing is changed"},
    {"C13", "train/saved_run_test.cpp",
     "a checkpoint of another architecture is refused in one error and changes nothing"},
    {"C14", "optim/state_test.cpp", "states that do not fit are refused, and nothing changes"},
    {"C14", "train/checkpoint_test.cpp",
     "a checkpoint of another model, optimizer or loop is refused, and nothing changes"},
    {"C15", "tensor/file_test.cpp", "every error begins with the path and ends with the reason"},
    {"C15", "faults/places_test.cpp",
     "a full disk, and places that are no files, are refused at once"},
    {"C15", "reliability/hostile_files_test.cpp", "paths that no file can have"},
    {"C16", "faults/places_test.cpp",
     "a full disk, and places that are no files, are refused at once"},
    {"C16", "tensor/safetensors_test.cpp",
     "every bit that flips, every cut and every addition is noticed"},
    {"C18", "data/csv_test.cpp", "csv: each way to be broken names file, line and column"},
    {"C18", "data/idx_test.cpp", "idx: each way to be broken"},
    {"C18", "data/jsonl_test.cpp", "jsonl: conversations that make no sense are refused, by line"},
    {"C18", "data/jsonl_test.cpp", "jsonl: preferences that make no sense are refused, by line"},
    {"C18", "data/files_test.cpp", "columns that are no classes are refused"},
    {"C19", "data/tokenizer_test.cpp", "vocabularies that make no sense are refused"},
    {"C19", "data/tokenizer_test.cpp", "merges that make no sense are refused, by line"},
    {"C19", "data/tokenizer_test.cpp", "special tokens are written, never read"},
    {"C20", "data/loader_test.cpp", "what a loader cannot do, it says when it is made"},
    {"C20", "data/loader_test.cpp", "drop_last leaves out what does not fill a batch"},
    {"C20", "data/loader_test.cpp", "rows can be taken in any order, and more than once"},
    {"C21", "optim/options_test.cpp",
     "bad options are refused by an error with the optimizer, the option and its value"},
    {"C21", "optim/options_test.cpp",
     "every numeric option of an optimizer is in the table of bad options"},
    {"C21", "optim/schedule_test.cpp", "options out of range are refused"},
    {"C23", "train/options_test.cpp", "a command line that makes no sense is refused in one line"},
    {"C23", "train/programs_test.cpp", "wrong usage gives 2 and one line, help gives 0"},
    {"C23", "train/programs_test.cpp", "data that cannot be read give 3 and one line"},
    {"C23", "train/programs_test.cpp", "what cannot be written gives 1 and one line"},
    {"C23", "train/programs_test.cpp",
     "a signal ends a run after its step, saved, and it can be resumed"},
    {"C25", "tools/stepper_test.cpp",
     "a program with --trace ends with the model of one without, and refuses a step too far"},
    {"C25", "tools/stepper_test.cpp",
     "what is no trace is refused in a line, and a reader that goes away is no failure"},
    {"C25", "tools/stepper_test.cpp",
     "a trace with a NaN in every tensor and names that are commands to a terminal"},
    {"C25", "tools/stepper_test.cpp",
     "the full screen at 80 x 24: forwards, backwards, resized, left"},
    {"C25", "autograd/backprop_test.cpp", "stepping is running, node by node, newest first"},
    {"C25", "autograd/backprop_test.cpp",
     "a pass whose graph another one freed says so, saved tensors or not"},
    {"C25", "tensor/print_test.cpp", "more than 1000 elements are summarised"},
    {"C26", "train/checkpoint_test.cpp", "files of other names and versions are no checkpoints"},
    {"C26", "tensor/npy_test.cpp", "npy: versions, byte orders, element types, Fortran order"},
    {"C26", "trace/trace_test.cpp", "what is no whole trace of this version is refused, and why"},
    {"C28", "tensor/file_test.cpp", "two writers of one path: one complete file wins"},
};

/// The titles of the test cases of a file, with the parts of a title joined.
std::vector<std::string> titles_of(const std::string& path) {
  static const std::regex test_case("TEST_CASE\\(\\s*((\"[^\"]*\"\\s*)+)");
  static const std::regex joint("\"\\s*\"");
  const std::string text = contents_of(path);
  std::vector<std::string> titles;
  for (std::sregex_iterator it(text.begin(), text.end(), test_case), end; it != end; ++it) {
    const std::string title = std::regex_replace((*it)[1].str(), joint, "");
    titles.push_back(title.substr(1, title.rfind('"') - 1));
  }
  return titles;
}

/// Of "C01, C02: ..." C01 and C02, of "V08 to V15: ..." all from V08 to V15.
std::set<std::string> numbers_of(const std::string& title) {
  static const std::regex head("^[BVC]\\d+(( to |, )[BVC]\\d+)*:"), number("( to )?([BVC])(\\d+)");
  std::set<std::string> numbers;
  std::smatch match;
  if (!std::regex_search(title, match, head)) return numbers;
  const std::string names = match.str();
  int last = 0;
  for (std::sregex_iterator it(names.begin(), names.end(), number), end; it != end; ++it) {
    const std::string digits = (*it)[3];
    const int here = std::stoi(digits);
    for (int i = (*it)[1].matched ? last + 1 : here; i <= here; ++i)
      numbers.insert(fmt::format("{}{:0{}}", (*it)[2].str(), i, digits.size()));
    last = here;
  }
  return numbers;
}

/// Rows in titles of the tests here.
std::set<std::string> titled() {
  std::set<std::string> numbers;
  for (const auto& file : std::filesystem::directory_iterator(kTests + "reliability")) {
    for (const std::string& title : titles_of(file.path().string()))
      numbers.merge(numbers_of(title));
  }
  return numbers;
}

/// Rows of tests elsewhere, each of which is there.
std::set<std::string> held_elsewhere() {
  std::map<std::string, std::vector<std::string>> titles;
  std::set<std::string> numbers;
  for (const Elsewhere& held : kElsewhere) {
    if (!titles.contains(held.file)) titles[held.file] = titles_of(kTests + held.file);
    const auto& in_file = titles[held.file];
    const bool there = std::find(in_file.begin(), in_file.end(), held.title) != in_file.end();
    CHECK_MESSAGE(there, held.row << ": no test \"" << held.title << "\" in " << held.file);
    if (there) numbers.insert(held.row);
  }
  return numbers;
}

}  // namespace

TEST_CASE("every row of the list of wrong calls has a test, or a reason to have none") {
  std::set<std::string> refused, tested;
  for (const BadCall& bad : bad_calls()) {
    if (refuse(bad, bad.make()).type == bad.type) refused.insert(bad.number);
  }
  tested = refused;
  tested.merge(titled());
  const std::size_t here = tested.size();
  tested.merge(held_elsewhere());
  const std::set<std::string> all = all_numbers();
  CHECK(all.size() == 196);
  for (const std::string& number : all) {
    const bool left_out = kLeftOut.contains(number);
    CHECK_MESSAGE(tested.contains(number) != left_out,
                  number << (left_out ? " has a test, and is left out" : " has no test"));
  }
  for (const std::string& number : tested) CHECK_MESSAGE(all.contains(number), number);
  const std::size_t rows = all.size() - kLeftOut.size();
  figure("R50", "rows of the list of wrong calls that have a test",
         fmt::format("{} of {} rows, {} of them in tables, {} in tests with their number, {} in "
                     "others; {} of the list's {} are calls that do not exist here",
                     tested.size(), rows, refused.size(), here - refused.size(),
                     tested.size() - here, kLeftOut.size(), all.size()),
         tested.size() == rows);
}

TEST_CASE("titles and numbers are read as they are meant") {
  using Numbers = std::set<std::string>;
  CHECK(numbers_of("C01, C02: x") == Numbers{"C01", "C02"});
  CHECK(numbers_of("V08 to V11: x") == Numbers{"V08", "V09", "V10", "V11"});
  CHECK(numbers_of("B139: x") == Numbers{"B139"});
  CHECK(numbers_of("a title: C01").empty());
  const TemporaryFolder folder;
  const std::string path =
      folder.put("x", "TEST_CASE(\"one\") {\nTEST_CASE(\n    \"two \"\n    \"three\" * skip()) {");
  CHECK(titles_of(path) == std::vector<std::string>{"one", "two three"});
}

// A message is "op: what is wrong; what to do". --------------------------------------------------

namespace {

/// An op, an optimizer or what is made begins it.
bool names_op(const std::string& message) {
  static const std::regex op("^(backward of )?[A-Za-z_]\\w*: ");
  return std::regex_search(message, op);
}

/// A shape or a dtype.
bool shows_tensors(const std::string& message) {
  static const std::regex tensor("\\[[-\\d, ]*\\]|float32|float64|int64|bool");
  return std::regex_search(message, tensor);
}

/// The number, or the name, of a plain argument that is wrong.
bool shows_value(const std::string& message) {
  static const std::regex value(
      "-?\\d|inf|\"[^\"]*\"|is empty|there are no|missing: \\w|unexpected: \\w");
  return std::regex_search(message, value);
}

/// Behind the last semicolon something that can be done. What must hold, without a word on how to
/// get there, is none.
bool has_remedy(const std::string& message) {
  static const std::regex remedy(
      "; [^;]*\\b(use|give|convert|reshape|transpose|clone|call|pass|make|name|check|compare|mask|"
      "draw|exchange|change|choose|compute|detach|exchange|find|index|leave|look|put|reduce|"
      "repeat|return|stay|unsqueeze)\\b[^;]*$");
  return std::regex_search(message, remedy);
}

/// Files, classes and functions of the library that a caller does not know.
bool speaks_of_the_inside(const std::string& message) {
  static const std::regex inside(
      "\\b(tensor|autograd|losses|nn|optim|data|trace|train)/|_kernel|std::|retrace::|"
      "(?!_test)\\w{5}\\.(cpp|h)\\b|TensorData|Storage|NodeOf|\\bNode\\b|Backprop::|Algorithm|blas|"
      "BLAS|nullptr|assert");
  const std::string text = std::regex_replace(message, std::regex("\\w+_test\\.cpp:\\d+"), "");
  return std::regex_search(text, inside);
}

}  // namespace

TEST_CASE("patterns of messages know a good one from a bad one") {
  CHECK(has_remedy("add: x; give y"));
  CHECK(!has_remedy("add: x; they must be equal"));
  CHECK(!has_remedy("add: give y"));
  CHECK(names_op("add: x"));
  CHECK(!names_op("the size of tensor a must match"));
  CHECK(shows_tensors("add: [2, 3]"));
  CHECK(!shows_tensors("add: 5"));
  CHECK(speaks_of_the_inside("\"softmax_lastdim_kernel_impl\" not implemented"));
  CHECK(speaks_of_the_inside("softmax: at autograd/ops/softmax.cpp:7"));
  CHECK(speaks_of_the_inside("softmax: at softmax.cpp:7"));
  CHECK(!speaks_of_the_inside("softmax: at bad_tape_test.cpp:7"));
}

TEST_CASE("messages of refused calls name the op, what it was given, and what to do") {
  std::int64_t all = 0, tensors = 0, values = 0, good = 0, inside = 0;
  for (const BadCall& bad : bad_calls()) {
    const std::string message = refuse(bad, bad.make()).message;
    const bool of_tensors = shows_tensors(message);
    const bool whole =
        names_op(message) && (of_tensors || shows_value(message)) && has_remedy(message);
    CHECK_MESSAGE(whole, bad.number << ": " << message);
    CHECK_MESSAGE(!speaks_of_the_inside(message), bad.number << ": " << message);
    ++all;
    tensors += of_tensors;
    values += !of_tensors && shows_value(message);
    good += whole;
    inside += speaks_of_the_inside(message);
  }
  figure("R51", "messages of refused calls with the op, what it was given, and what to do",
         fmt::format("{} of {} (at least 95 %); {} show shapes or dtypes, {} the plain argument "
                     "that is wrong; {} speak of the inside (of 0)",
                     good, all, tensors, values, inside),
         good * 100 >= all * 95 && inside == 0);
}
