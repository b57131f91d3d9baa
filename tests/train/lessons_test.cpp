// Every number in the text of a lesson is one that its program has or prints.
#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>

#include <retrace/tests/train/process.h>
#include <retrace/trace/story.h>

using namespace retrace::testing;

namespace {

// Fractions, as they are written: "-0.0145", "4.53e+01".
std::set<std::string> fractions(const std::string& text) {
  static const std::regex kFraction(R"(-?\d+\.\d+(e[+-]?\d+)?)");
  std::set<std::string> all;
  for (std::sregex_iterator found(text.begin(), text.end(), kFraction), end; found != end; ++found)
    all.insert(found->str());
  return all;
}

}  // namespace

TEST_CASE("the text of every lesson has the numbers of its program") {
  const std::filesystem::path folder = RETRACE_SOURCE_DIR "/examples/lessons";
  int lessons = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".cpp") continue;
    ++lessons;
    const std::string name = file.path().stem().string();
    CAPTURE(name);
    const std::string program = contents_of(file.path().string());
    CHECK(std::count(program.begin(), program.end(), '\n') < 80);
    const TemporaryFolder kept;
    const Outcome ran = run_example("lessons/" + name, {kept / "trace.json"});
    CAPTURE(ran.err);
    REQUIRE(ran.code == 0);
    const auto trace = retrace::trace::Trace::load(kept / "trace.json");
    CHECK(trace.complete);
    CHECK(retrace::trace::Story(trace).size() > 5);
    const std::string text = contents_of((folder / (name + ".md")).string());
    CHECK(says(text, "<details><summary>Answer</summary>"));
    const std::set<std::string> known = fractions(ran.out + program), used = fractions(text);
    CHECK(used.size() >= 3);
    for (const std::string& number : used) {
      CAPTURE(number);
      CHECK(known.contains(number));
    }
  }
  CHECK(lessons >= 8);
}
