// This program started again: in environments that are not as usual, and twice at once.
#include <doctest/doctest.h>

#include <retrace/data/data.h>
#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <locale>

using namespace retrace;
using testing::TemporaryFolder;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
const std::string kStack = "1024";  // sanitizers make frames larger
#else
const std::string kStack = "256";
#endif

std::string self() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

/// What the shell's command says, and whether it ended well.
std::string output_of(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string text;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  return ::pclose(pipe) == 0 ? text : "failed: " + text;
}

/// The line that a test case of this program prints behind "result: ".
std::string result_of(const std::string& settings, const std::string& test,
                      const std::string& folder) {
  const std::string text = output_of(settings + " RETRACE_TEST_FOLDER=" + folder + " " + self() +
                                     " --no-skip --test-case='" + test + "' 2>&1");
  const auto at = text.find("result: ");
  return at == std::string::npos || text.starts_with("failed: ")
             ? text
             : text.substr(at, text.find('\n', at) - at);
}

std::string folder_of_parent() {
  const char* folder = std::getenv("RETRACE_TEST_FOLDER");
  return folder == nullptr ? "" : folder;
}

struct Comma : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

}  // namespace

// Run by the test below.
TEST_CASE("child: computes, prints, writes and reads" * doctest::skip()) {
  const std::string folder = folder_of_parent();
  if (folder.empty()) return;
  if (std::getenv("RETRACE_TEST_COMMA") != nullptr)
    std::locale::global(std::locale(std::locale(), new Comma));
  manual_seed(1);
  const nn::Mlp net(64, 3, {.hidden = {32}});
  optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
  const Tensor x = randn({512, 512});
  const Tensor rows = x.matmul(x).narrow(1, 0, 64);  // large enough for BLAS
  for (int step = 0; step < 5; ++step) {
    optimizer.zero_grad();
    losses::cross_entropy(net(rows * 0.05), rows.narrow(1, 0, 3).argmax(1)).backward();
    optimizer.step();
  }
  const std::string path = folder + "/model";
  save_safetensors(path, net.state_dict(), {{"note", tensor({1234.5}).str()}});
  const StateDict loaded = load_safetensors(path);
  std::ofstream(folder + "/table.csv") << "a,b\n1234.5,2\n";
  const data::Table table = data::read_csv(folder + "/table.csv");
  CHECK(loaded.size() == net.state_dict().size());
  std::uint64_t sum = 14695981039346656037U;
  for (const char byte : testing::contents_of(path))
    sum = (sum ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  std::cout << "result: " << std::to_string(sum) << " " << tensor({1234.5}).str() << " "
            << (table.columns[0].numbers.at(0) == 1234.5) << " " << std::to_string(loaded.size())
            << "\n";
}

TEST_CASE("C24: environments that are not as usual change no bit") {
  const TemporaryFolder folder;
  const std::string test = "child: computes*";
  const std::string usual = result_of("", test, folder.path());
  CHECK_MESSAGE(usual.starts_with("result: "), usual);
  CHECK_MESSAGE(testing::says(usual, "1234.5"), usual);
  const std::string environments[] = {
      "OPENBLAS_NUM_THREADS=abc",
      "OPENBLAS_NUM_THREADS=0",
      "OPENBLAS_NUM_THREADS=10000",
      "OMP_NUM_THREADS=abc",
      "OMP_NUM_THREADS=0",
      "OMP_NUM_THREADS=-1",
      "OMP_NUM_THREADS=1",
      "OMP_NUM_THREADS=3",
      "unset HOME; ",
      "unset HOME PATH USER LANG; ",
      "HOME=/nowhere TMPDIR=/nowhere",
      "LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8",
      "LC_ALL=no_SUCH.locale",
      "RETRACE_TEST_COMMA=1",
      "ulimit -s " + kStack + "; ",
      "taskset -c 0 env",
      "cd /proc; ",
      "cd / && exec < /dev/null; ",
      "ulimit -n 16; ",
  };
  std::int64_t same = 0, all = 0;
  for (const std::string& environment : environments) {
    const std::string result = result_of(environment, test, folder.path());
    CHECK_MESSAGE(result == usual, environment << ": " << result);
    same += result == usual;
    ++all;
  }
  testing::figure("R50", "C24: environments in which a run has the bits of the usual one",
                  testing::of(same, all), same == all);
}

// Run by the test below.
TEST_CASE("child: saves over and over" * doctest::skip()) {
  const std::string folder = folder_of_parent();
  if (folder.empty()) return;
  const double value = std::atof(std::getenv("RETRACE_TEST_VALUE"));
  const StateDict state = {{"a", full({3000}, value)}, {"b", full({5000}, value)}};
  for (int i = 0; i < 100; ++i) save_safetensors(folder + "/model", state);
  CHECK(load_safetensors(folder + "/model").size() == 2);
  std::cout << "result: saved\n";
}

TEST_CASE("C28: of two processes that save to one path one has saved a whole file") {
  const TemporaryFolder folder;
  const auto command = [&](const char* value) {
    return "RETRACE_TEST_VALUE=" + std::string(value) + " RETRACE_TEST_FOLDER=" + folder.path() +
           " " + self() + " --no-skip --test-case='child: saves*' > " + folder / value + " 2>&1";
  };
  const std::string ended =
      output_of(command("1") + " & p=$!; " + command("2") + "; r=$?; wait $p && exit $r");
  CHECK(ended.empty());
  for (const char* value : {"1", "2"})
    CHECK(testing::says(testing::contents_of(folder / value), "result: saved"));
  const StateDict state = load_safetensors(folder / "model");
  const float value = state.at("a")[0].item<float>();
  CHECK((value == 1.0f || value == 2.0f));
  CHECK(state.at("a").equal(full({3000}, value)));
  CHECK(state.at("b").equal(full({5000}, value)));
  CHECK(folder.files() == 3);  // no temporary is left
}
