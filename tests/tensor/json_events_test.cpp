// Our reading of JSON, event by event, against that of nlohmann's library.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>
#include <retrace/tensor/utf8.h>

using namespace retrace;

namespace {

// Writes down what it is told.
class Log : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string text;
  bool null() override { return note("null"); }
  bool boolean(bool b) override { return note(b ? "true" : "false"); }
  bool number_integer(std::int64_t n) override { return note("i" + std::to_string(n)); }
  bool number_unsigned(std::uint64_t n) override { return note("u" + std::to_string(n)); }
  bool number_float(double x, const std::string& s) override {
    return note("f" + std::to_string(x) + "=" + s);
  }
  bool string(std::string& s) override { return note("s" + s); }
  bool binary(nlohmann::json::binary_t&) override { return note("binary"); }
  bool start_object(std::size_t) override { return note("{"); }
  bool key(std::string& s) override { return note("k" + s); }
  bool end_object() override { return note("}"); }
  bool start_array(std::size_t) override { return note("["); }
  bool end_array() override { return note("]"); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool note(const std::string& what) {
    text += what + "\n";
    return true;
  }
};

}  // namespace

TEST_CASE("what is JSON, and what stands in it, is what the library says") {
  const std::string seeds[] = {
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})",
      R"( { "k" : [ 1 , -2 , 3.5e+2 , -0 , 0.1E-2 , true , false , null , [ ] , { } ] } )",
      R"(["\"\\\/\b\f\n\r\t","\u0041\u00e9\u20ac\ud83d\ude00","\ud800","\udc00x","\u12g4","é€😀"])",
      R"([18446744073709551615,18446744073709551616,-9223372036854775808,-9223372036854775809])",
      R"([1e99,01,-,1.,.5,1e,+1,nul,tru])",
      R"({"a":1,"b":{"a":2,"c":[{"a":3},{"a":4}]}})",
      R"({"a":[{"b":1,"c":2,"b":3}]})",
      R"("a")",
      "3",
      "",
      " ",
      "[",
      "{\"a\"",
      "[1,]",
      "{\"a\":1,}",
      "[]x",
      "{1:2}",
      "[\"\t\"]"};
  const std::string alphabet = "{}[]\",:\\u0019dbe+-. \ntfns/a";
  std::mt19937 random(3);
  const auto below = [&](std::size_t n) { return random() % n; };
  int all = 0, valid = 0, repeated = 0;
  for (int i = 0; i < 400'000; ++i) {
    std::string text = seeds[below(std::size(seeds))];
    for (std::size_t changes = i < 1000 ? 0 : below(4); changes > 0 && !text.empty(); --changes) {
      const std::size_t at = below(text.size());
      switch (below(3)) {
        case 0:
          text[at] = alphabet[below(alphabet.size())];
          break;
        case 1:
          text.erase(at, 1 + below(3));
          break;
        default:
          text.insert(at, 1, alphabet[below(alphabet.size())]);
      }
    }
    if (!is_utf8(text)) continue;
    Log ours, theirs;
    const bool is_valid = nlohmann::json::sax_parse(text, &theirs);
    const bool we_say = parse_json(text, ours);
    REQUIRE_MESSAGE(we_say == is_valid, text);
    ++all;
    valid += is_valid;
    if (!is_valid) {
      REQUIRE_THROWS(parse_json(text));
      continue;
    }
    REQUIRE_MESSAGE(ours.text == theirs.text, text);
    const auto tree = nlohmann::json::parse(text);
    // It keeps one of two members of one name.
    Log kept;
    REQUIRE(nlohmann::json::sax_parse(tree.dump(), &kept));
    const bool repeats = std::count(kept.text.begin(), kept.text.end(), '\n') <
                         std::count(ours.text.begin(), ours.text.end(), '\n');
    repeated += repeats;
    if (repeats)
      REQUIRE_THROWS_AS(parse_json(text), IoError);
    else
      REQUIRE_MESSAGE(parse_json(text) == tree, text);
  }
  CHECK(all > 300'000);
  CHECK(valid > 20'000);
  CHECK(repeated > 1'000);
}

TEST_CASE("numbers that no double holds: 0 if they are too small, refused if too large") {
  const std::string zeros(400, '0'), many(25, '9');
  int small = 0;
  for (const std::string& number : std::vector<std::string>{"1e-999",
                                                            "1E-999",
                                                            "1e999",
                                                            "0e999",
                                                            "0e-999",
                                                            "0.0e" + many,
                                                            "1" + zeros,
                                                            "1" + zeros + "e-1",
                                                            "1" + zeros + ".5E-99",
                                                            "1" + zeros + "e-900",
                                                            "0." + zeros + "1",
                                                            "0." + zeros + "1e+50",
                                                            "0." + zeros + "1e900",
                                                            "1e-" + many,
                                                            "1e+" + many,
                                                            "12.5e" + many,
                                                            "-1e-999",
                                                            "-1" + zeros,
                                                            "-0." + zeros + "7",
                                                            "4.9e-324",
                                                            "1.8e308"}) {
    Log ours, theirs;
    const bool is_number = nlohmann::json::sax_parse(number, &theirs);
    CAPTURE(number);
    CHECK(parse_json(number, ours) == is_number);
    CHECK((!is_number || ours.text == theirs.text));
    small += is_number;
  }
  CHECK(small == 13);
}
