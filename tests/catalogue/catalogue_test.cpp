// No public op without a row, a formula, a gradient and a source: the headers, the table and the
// tape are compared.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

#include <retrace/catalogue/document.h>
#include <retrace/retrace.h>
#include <retrace/tensor/file.h>

using namespace retrace;

namespace {

// Declared in the same headers, but not ops that a person calls on tensors to learn something.
const std::set<std::string> kNotOps = {
    "sum_to",  // the engine's: the gradient of broadcasting
};

const std::vector<catalogue::Entry>& all_entries() {
  static const std::vector<catalogue::Entry> all = catalogue::entries(RETRACE_SOURCE_DIR);
  return all;
}

bool is_loss_or_activation(const catalogue::Entry& entry) {
  const std::string& header = entry.declaration.header;
  const std::string& name = entry.row->family;
  return header.starts_with("losses/") || name == "activation" || name == "softmax" ||
         name == "gated";
}

}  // namespace

TEST_CASE("every op that a header declares has a row") {
  std::set<std::string> declared, called;
  for (const auto& declaration : catalogue::declarations(RETRACE_SOURCE_DIR))
    declared.insert(declaration.name);
  CHECK(declared.contains("add"));
  CHECK(declared.contains("split"));
  for (const auto& row : catalogue::rows()) called.insert(std::string(row.called()));
  for (const std::string& name : declared) {
    if (kNotOps.contains(name) || name.ends_with("_from_string")) continue;  // reads an option
    CHECK_MESSAGE(called.contains(name),
                  name << " is declared, but no row of the catalogue calls it");
  }
  for (const std::string& name : kNotOps)
    CHECK_MESSAGE(declared.contains(name), name << " is listed as no op, but is not declared");
}

TEST_CASE("every declaration is read whole, defaults included") {
  int defaults = 0;
  for (const auto& declaration : catalogue::declarations(RETRACE_SOURCE_DIR)) {
    const std::string& signature = declaration.signature;
    CAPTURE(signature);
    CHECK(signature.ends_with(')'));
    CHECK(std::count(signature.begin(), signature.end(), '(') ==
          std::count(signature.begin(), signature.end(), ')'));
    defaults += signature.find("= {}") != std::string::npos;
  }
  CHECK(defaults > 50);
}

TEST_CASE("every op says its formula, its gradient and its source") {
  CHECK(all_entries().size() > 150);
  for (const catalogue::Entry& entry : all_entries()) {
    INFO(entry.row->name << " in " << entry.declaration.header);
    CHECK(entry.declaration.signature.find(std::string(entry.row->called()) + "(") !=
          std::string::npos);
    CHECK(!entry.declaration.comment.empty());
    CHECK(!entry.formula.empty());
    CHECK(!entry.gradient.empty());
    CHECK(!entry.source.empty());
  }
}

TEST_CASE("each loss and each activation is one node of the tape, or its comment says why not") {
  int single = 0;
  for (const catalogue::Entry& entry : all_entries()) {
    if (!entry.row->differentiable || !is_loss_or_activation(entry)) continue;
    INFO(entry.row->name << " puts " << entry.nodes << " nodes on the tape; say in the comment of "
                         << entry.declaration.header << " why: \"Several nodes: ...\"");
    CHECK(entry.nodes >= 1);
    const bool says_why = entry.declaration.comment.find("Several nodes:") != std::string::npos;
    CHECK((entry.nodes == 1) == !says_why);
    single += entry.nodes == 1;
  }
  CHECK(single >= 14);
}

TEST_CASE("docs/catalogue.md is what the table, the headers and the tape say") {
  const std::string page = catalogue::document(RETRACE_SOURCE_DIR);
  const std::string kept = read_file(std::string(RETRACE_SOURCE_DIR) + "/docs/catalogue.md");
  CHECK_MESSAGE((page == kept), "run: cmake --build build --target catalogue_page");
}

TEST_CASE("a declaration's comment is read in its parts") {
  catalogue::Declaration d;
  d.comment = "2 x.  dx = 2 g, whatever x is. Errors: DTypeError. Source: Euclid, book 7.";
  d.top = "Numbers. Source: common sense.";
  CHECK(d.summary() == "2 x.");
  CHECK(d.gradient() == "dx = 2 g, whatever x is");
  CHECK(d.source() == "Euclid, book 7.");
  d.comment = "Half of x. Gradient: da = g / 2, dt = -da.";
  CHECK(d.gradient() == "da = g / 2, dt = -da");
  CHECK(d.source() == "common sense.");
  d.comment = "Nothing.";
  CHECK(d.gradient().empty());
  CHECK_THROWS_AS(catalogue::declarations("/nowhere"), IoError);
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
