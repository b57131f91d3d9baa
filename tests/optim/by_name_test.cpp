#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>
#include <retrace/tests/optim/every_optimizer.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

TEST_CASE("every optimizer that a header declares has a name, and a row in the tests' table") {
  std::set<std::string> declared;
  for (const auto& file : std::filesystem::directory_iterator(RETRACE_SOURCE_DIR "/optim")) {
    std::istringstream words(testing::contents_of(file.path().string()));
    for (std::string before, word; words >> word; before = word) {
      if (word != ":" && word != "final") continue;
      std::string base;
      if (words >> base >> base && base.starts_with("OptimizerFor<")) declared.insert(before);
    }
  }
  const auto& names = optim::names();
  CHECK(declared == std::set<std::string>(names.begin(), names.end()));
  CHECK(declared.size() == names.size());
  std::set<std::string> tested;
  for (const auto& kind : testing::every_optimizer())
    tested.insert(std::string(kind.make({zeros({2, 2})}).name()));
  CHECK(tested == declared);
}

TEST_CASE("an optimizer is made by its name") {
  for (const std::string_view name : optim::names()) {
    const optim::Optimizer optimizer = optim::make(name, {zeros({2, 2})});
    CHECK(optimizer.name() == name);
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    const optim::Optimizer other =
        optim::make(lower, {zeros({2, 2})}, {.lr = 0.25, .weight_decay = 0.5});
    CHECK(other.name() == name);
    CHECK(optim::find_name(lower) == name);
    CHECK(other.lr() == 0.25);
    CHECK(other.state_dict().at("groups.0.weight_decay").item<double>() == 0.5);
  }
  CHECK(optim::make("adamw", {zeros({2})}).lr() == optim::AdamWOptions().lr);
}

TEST_CASE("an unknown name is refused by the list of those that are known") {
  const std::string message = message_of<ValueError>([] { optim::make("adan", {zeros({2})}); });
  CHECK(!optim::find_name("adan").has_value());
  CHECK(says(message, "\"adan\""));
  for (const std::string_view name : optim::names()) CHECK(says(message, name));
  CHECK(says(message_of<ShapeError>([] { optim::make("muon", {zeros({2})}); }), "[2]"));
  CHECK(says(message_of<ValueError>([] { optim::make("adamw", {zeros({2})}, {.lr = -1}); }),
             "AdamW: lr is -1"));
}
