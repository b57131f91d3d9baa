// No public op without a row: the headers are read for what they declare.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>

namespace fs = std::filesystem;
using namespace retrace;

namespace {

// Declared in the same headers, but not ops that a person calls on tensors to learn something.
const std::set<std::string> kNotOps = {
    "sum_to",                 // the engine's: the gradient of broadcasting
    "reduction_from_string",  // reads an option
};

// A header that says it is for .cpp files declares nothing to a user.
bool is_public(const fs::path& header) {
  std::ifstream in(header);
  std::string words;
  for (std::string line, word; std::getline(in, line) && !line.starts_with("namespace");) {
    std::istringstream rest(line);
    while (rest >> word) {
      if (word != "//") words += word + ' ';
    }
  }
  return words.find("For .cpp files") == std::string::npos;
}

// Names of the functions that a header declares at namespace scope.
std::set<std::string> declared_in(const fs::path& header) {
  static const std::regex declaration(
      R"(^(?:inline |constexpr )*(?:Tensor&?|TensorPair|std::vector<Tensor>|bool|[A-Z]\w+) (\w+)\()");
  std::ifstream in(header);
  std::set<std::string> names;
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, declaration) && match[1] != "operator")
      names.insert(match[1]);
  }
  return names;
}

std::set<std::string> declared_ops() {
  std::set<std::string> names;
  for (const char* folder : {"autograd/ops", "losses"}) {
    const fs::path path = fs::path(RETRACE_SOURCE_DIR) / folder;
    if (!fs::exists(path)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.path().extension() == ".h" && is_public(entry.path()))
        names.merge(declared_in(entry.path()));
    }
  }
  return names;
}

}  // namespace

TEST_CASE("every op that a header declares has a row") {
  const std::set<std::string> declared = declared_ops();
  CHECK(declared.contains("add"));
  CHECK(declared.contains("split"));
  std::set<std::string> called;
  for (const auto& row : catalogue::rows()) called.insert(std::string(row.called()));
  for (const std::string& name : declared) {
    if (kNotOps.contains(name)) continue;
    CHECK_MESSAGE(called.contains(name),
                  name << " is declared, but no row of the catalogue calls it");
  }
  for (const std::string& name : kNotOps)
    CHECK_MESSAGE(declared.contains(name), name << " is listed as no op, but is not declared");
}

TEST_CASE("a call finds its arguments, and says what is missing") {
  const catalogue::Call call({{"x", ones({2})}}, {{"k", std::int64_t{3}},
                                                  {"p", std::string("inf")},
                                                  {"dims", std::vector<double>{0, 2}},
                                                  {"none", {}}});
  CHECK(call["x"].numel() == 2);
  CHECK(!call.optional("y").defined());
  CHECK(call.integer("k") == 3);
  CHECK(call.number("k") == 3.0);
  CHECK(call.scalar("k").is_integer());
  CHECK(call.number("p") == std::numeric_limits<double>::infinity());
  CHECK(call.list("dims") == Shape{0, 2});
  CHECK(call.list("k") == Shape{3});
  CHECK(call.flag("keepdim", false) == false);
  CHECK(call.integer("none", 7) == 7);
  CHECK(!call.has("none"));
  CHECK(call.str() == "(x [2], k = 3, p = inf, dims = [0, 2])");
  CHECK_THROWS_WITH_AS(call["y"], "call: the tensor \"y\" is missing", ValueError);
  CHECK_THROWS_WITH_AS(call.integer("q"), "call: the argument \"q\" is missing", ValueError);
  CHECK_THROWS_AS(call.flag("k"), ValueError);
  CHECK_THROWS_AS(call.list("p"), ValueError);
}

TEST_CASE("samples are the same for the same seed, and keep away from kinks") {
  const catalogue::Row row = {.name = "r",
                              .family = "f",
                              .question = "?",
                              .run = nullptr,
                              .samples = {{{{"x", {500}, {-1, 1, {0, 0.5}, kFloat64}},
                                            {"i", {50}, {2, 4, {}, kInt64}},
                                            {"m", {50}, {0, 1, {}, kBool}}}}}};
  const auto a = catalogue::make_call(row, row.samples[0], 3);
  const auto b = catalogue::make_call(row, row.samples[0], 3);
  const auto c = catalogue::make_call(row, row.samples[0], 4);
  CHECK(a["x"].equal(b["x"]));
  CHECK(!a["x"].equal(c["x"]));
  for (const double x : a["x"].to_vector<double>()) {
    CHECK(std::abs(x) >= 0.01);
    CHECK(std::abs(x - 0.5) >= 0.01);
    CHECK(std::abs(x) <= 1);
  }
  const auto i = a["i"].to_vector<std::int64_t>();
  CHECK(*std::min_element(i.begin(), i.end()) == 2);
  CHECK(*std::max_element(i.begin(), i.end()) == 4);
  CHECK(a["m"].dtype() == kBool);
}
