// --trace-check of programs.
#include <doctest/doctest.h>

#include <retrace/tests/train/process.h>
#include <retrace/trace/trace.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("a loss that is not finite is told as without --trace-check, and its trace is kept") {
  const TemporaryFolder folder;
  const Outcome outcome = run_example(
      "mlp_classifier", {"--steps", "5", "--optimizer", "SGD", "--lr", "1e38", "--trace-step", "2",
                         "--trace", folder / "trace.json", "--trace-check"});
  CHECK(outcome.code == 4);
  CHECK(says(outcome.err, "the loss is"));
  CHECK(trace::Trace::load(folder / "trace.json").events.size() > 10);
}

TEST_CASE("all gradients of a step of real programs agree with finite differences") {
  const TemporaryFolder folder;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"xor", "--steps", "2"},
        {"mlp_classifier", "--steps", "2"},
        {"embeddings", "--steps", "2"},
        {"tiny_lm", "--steps", "1", "--batch-size", "4"}}) {
    CAPTURE(arguments[0]);
    std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
    for (const char* each : {"--trace-check", "--trace", ""}) rest.emplace_back(each);
    rest.back() = folder / "trace.json";
    const Outcome outcome = run_example(arguments[0], rest);
    CHECK(outcome.code == 0);
    CHECK(says(outcome.err, "; all agree"));
    const trace::Trace trace = trace::Trace::load(folder / "trace.json");
    std::size_t measured = 0;
    for (const trace::Event& event : trace.events) {
      const auto* given = std::get_if<trace::Contribution>(&event);
      measured += given != nullptr && !given->measured.empty() ? 1 : 0;
    }
    CHECK(measured >= 7);
  }
}
