// Pages of traces in a real browser: at every step, forwards and backwards, they show what the
// trace says.
#include <doctest/doctest.h>

#include <retrace/tests/browser/page_checks.h>
#include <retrace/tests/train/preference_files.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("every step of every page shows the trace's numbers, to the end and back") {
  if (!has_browser()) return;
  std::vector<Walked> all;
  for (const trace::Trace& trace : {mlp_trace(), odd_trace(), blocks_trace(), scalar_trace(),
                                    roots_trace(), changed_trace(), large_trace()})
    all.push_back({trace, std::make_unique<TracePage>(trace)});
  check_pages(all);
}

TEST_CASE("so do the pages that programs write, of steps of real training") {
  if (!has_browser()) return;
  const TemporaryFolder folder;
  const std::string text = folder.put("text", std::string(2000, 'a') + " rose is a rose"),
                    pairs = folder.put("pairs.jsonl", echo_preferences(10));
  std::vector<Walked> all;
  const auto check = [&](const std::string& program, std::vector<std::string> arguments) {
    const std::string page = folder / program + ".html", trace = folder / program + ".json";
    arguments.insert(arguments.end(), {"--steps", "1", "--trace", trace, "--trace-html", page});
    const Outcome outcome = run_example(program, arguments);
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    all.push_back({trace::Trace::load(trace), std::make_unique<TracePage>(page)});
  };
  check("xor", {});
  check("mlp_classifier", {"--batch-size", "3"});
  check("tiny_lm",
        {"--data", text, "--tokenizer", "byte", "--layers", "1", "--heads", "2", "--width", "8",
         "--context", "16", "--generate", "1", "--batch-size", "2", "--save", folder / "model"});
  check("dpo",
        {"--data", pairs, "--sft", folder / "model", "--batch-size", "2", "--generate", "1"});
  CHECK(check_pages(all) > 100);
}

TEST_CASE("a page fits on a desk and in a hand, and its address names the step") {
  if (!has_browser()) return;
  const TracePage page(mlp_trace());
  for (const auto& size : {std::pair(1280, 800), std::pair(390, 844)}) {
    const Visit visit = open_in_browser("file://" + page.path + "#s=17", size.first, size.second);
    check_sound(visit);
    CHECK(visit.attribute("data-step") == "17");
    for (const char* word : {">undefined<", ">null<", "[object"}) CHECK(!says(visit.dom, word));
  }
}

TEST_CASE("the first number that is not finite is a button away") {
  if (!has_browser()) return;
  const TracePage page(odd_trace());
  CHECK(open_in_browser("file://" + page.path, 1280, 800).attribute("data-bad") == "0");
}
