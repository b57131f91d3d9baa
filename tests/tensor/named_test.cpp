#include <doctest/doctest.h>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/named.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

template <class T>
std::string names_of(const OrderedDict<T>& dict) {
  std::string names;
  for (const auto& [name, value] : dict) names += name + ' ';
  return names;
}

}  // namespace

TEST_CASE("names keep the order of insertion") {
  OrderedDict<int> dict;
  dict["b"] = 1;
  dict["a"] = 2;
  dict["c"];
  dict["b"] = 3;
  CHECK(names_of(dict) == "b a c ");
  CHECK(dict.at("b") == 3);
  CHECK(dict.at("c") == 0);
  CHECK(dict.size() == 3);
  CHECK(dict.erase("a"));
  CHECK_FALSE(dict.erase("a"));
  CHECK_FALSE(dict.contains("a"));
  dict["a"] = 4;
  CHECK(names_of(dict) == "b c a ");
  for (auto& [name, value] : dict) value *= 10;
  CHECK(dict.at("b") == 30);
  CHECK(dict.find("a")->second == 40);
  CHECK(dict.find("none") == dict.end());
}

TEST_CASE("copies are apart, moves take everything along") {
  OrderedDict<int> dict = {{"x", 1}, {"y", 2}};
  OrderedDict<int> copy = dict;
  copy["x"] = 9;
  copy["z"] = 3;
  CHECK(dict.at("x") == 1);
  CHECK_FALSE(dict.contains("z"));
  int& reference = copy.at("y");
  OrderedDict<int> moved = std::move(copy);
  CHECK(&moved.at("y") == &reference);
  CHECK(names_of(moved) == "x y z ");
  moved["w"] = 1;
  CHECK(moved.erase("x"));
  dict = moved;
  CHECK(names_of(dict) == "y z w ");
  moved.clear();
  CHECK(moved.empty());
  CHECK(dict.at("w") == 1);
  dict = OrderedDict<int>();
  CHECK_FALSE(dict.contains("y"));
}

TEST_CASE("unknown and repeated names are errors") {
  OrderedDict<int> dict = {{"x", 1}};
  CHECK(says(message_of<IndexError>([&] { dict.at("y"); }), "\"y\""));
  CHECK(says(message_of<ValueError>([&] { dict.insert("x", 2); }), "\"x\""));
  CHECK_THROWS_AS((OrderedDict<int>{{"a", 1}, {"a", 2}}), ValueError);
  CHECK(dict.at("x") == 1);
  CHECK(dict.size() == 1);
}

TEST_CASE("a state dict holds tensors") {
  StateDict state;
  state["weight"] = ones({2});
  for (auto& [name, value] : state) value.fill_(3);
  CHECK(state.at("weight").equal(full({2}, 3.0)));
}
