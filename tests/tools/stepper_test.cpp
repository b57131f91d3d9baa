#include <doctest/doctest.h>

#include <pty.h>
#include <sys/ioctl.h>

#include <retrace/retrace.h>
#include <retrace/tests/tools/terminal.h>
#include <retrace/tests/tools/tool.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

std::string tool() { return build_folder() + "/tools/retrace"; }

// One step of xor's training.
const std::string& xor_trace() {
  static const TemporaryFolder folder;
  static const std::string path = [] {
    const std::string file = folder / "xor.json";
    CHECK(run_example("xor", {"--steps", "5", "--trace", file, "--trace-step", "2"}).code == 0);
    return file;
  }();
  return path;
}

// The paragraphs of --plain, the introduction first.
std::vector<std::string> paragraphs(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find("\n\n", begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 2;
  }
  return parts;
}

}  // namespace

TEST_CASE("a program with --trace ends with the model of one without, and refuses a step too far") {
  const TemporaryFolder folder;
  const auto train = [&](const std::string& name, std::vector<std::string> more) {
    more.insert(more.end(), {"--steps", "4", "--batch-size", "32", "--save", folder / name});
    CHECK(run_example("mlp_classifier", more).code == 0);
    return contents_of(folder / name + "/model.safetensors");
  };
  const std::string file = folder / "trace.json";
  CHECK(train("traced", {"--trace", file, "--trace-step", "3"}) == train("plain", {}));
  const trace::Trace trace = trace::Trace::load(file);
  CHECK(trace.program == "mlp_classifier");
  REQUIRE(std::holds_alternative<trace::TrainingStep>(trace.events[0]));
  CHECK(std::get<trace::TrainingStep>(trace.events[0]).number == 3);
  check_refused("mlp_classifier", 2, {"--steps", "4", "--trace", file, "--trace-step", "5"},
                "--trace-step 5: the training makes the steps 1 to 4");
  check_refused("xor", 2, {"--trace-step", "5"}, "--trace-step needs --trace");
  check_refused("xor", 2, {"--trace", file, "--trace-html", file}, "name the same file");
  // Before it trains: it would take hours.
  for (const char* option : {"--trace", "--trace-html"})
    check_refused("xor", 1, {"--steps", "1000000000", option, folder / ""}, "is a folder");
}

TEST_CASE("--plain tells every step, in order and with the engine's numbers") {
  const Outcome outcome = run_tool({"step", xor_trace(), "--plain"});
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  const auto parts = paragraphs(outcome.out);
  const trace::Trace trace = trace::Trace::load(xor_trace());
  const trace::Story story(trace);
  REQUIRE(parts.size() == story.size() + 1);
  CHECK(says(parts[0], "A run of xor: " + std::to_string(story.size()) + " steps"));
  CHECK(says(parts[1], "1. step 2 of the training begins"));
  for (std::size_t k = 0; k < story.size(); ++k) CHECK(says(parts[k + 1], story.title(k)));
  CHECK(says(outcome.out, "back through cross_entropy"));
  CHECK(says(outcome.out, "Adam updates 0.weight"));
}

TEST_CASE("without a terminal all is printed, as with --plain") {
  CHECK(run_tool({"step", xor_trace()}).out == run_tool({"step", xor_trace(), "--plain"}).out);
}

TEST_CASE("--script walks as the keys say, and back to what was shown") {
  const auto cards = [](const std::string& script, const std::string& failed = "") {
    const Outcome outcome = run_tool({"step", xor_trace(), "--script", script});
    CHECK(outcome.code == (failed.empty() ? 0 : 2));
    CHECK(outcome.err == (failed.empty() ? "" : "retrace: --script: " + failed + "\n"));
    return paragraphs(outcome.out);
  };
  const auto there = cards("n n n p p n q n");
  REQUIRE(there.size() == 7);
  CHECK(says(there[0], "step 1 of"));
  CHECK(says(there[3], "step 4 of"));
  CHECK(there[4] == there[2]);
  CHECK(there[5] == there[1]);
  CHECK(there[6] == there[2]);

  const auto jumps =
      cards("g 7 Home p End n /Adam /no-such-words g 0 g x y", "p: This is the first step.");
  REQUIRE(jumps.size() == 11);
  CHECK(says(jumps[1], "step 7 of"));
  CHECK(says(jumps[2], "step 1 of"));
  CHECK(jumps[3] == "This is the first step.");
  CHECK(jumps[5] == "This is the last step.");
  CHECK(says(jumps[6], "Adam updates"));
  CHECK(jumps[7] == "No step says \"no-such-words\".");
  CHECK(says(jumps[8], "Steps are numbered from 1 to"));
  CHECK(says(jumps[10], "There is no key y"));

  const auto tanh = cards("/tanh N N P P t");
  CHECK(says(tanh[1], "forward: tanh"));
  CHECK(says(tanh[2], "back through linear"));
  CHECK(says(tanh[3], "back through tanh"));
  CHECK(tanh[5] == tanh[1]);
  CHECK(says(tanh[6], "float32 [4, 8]\n"));
  CHECK(says(tanh[6], "with RETRACE_TRAP_NODE="));
  CHECK(run_tool({"step", xor_trace(), "--script", "g"}).code == 2);
  CHECK(cards("g 99 Home", "g 99: Steps are numbered from 1 to 18, not 99.").size() == 3);
}

TEST_CASE("a module is collapsed to one line and opened again") {
  const Outcome outcome = run_tool({"step", xor_trace(), "--script", "g 10 c n p c"});
  const auto parts = paragraphs(outcome.out);
  REQUIRE(parts.size() == 6);
  CHECK(says(parts[1], "back through linear"));
  CHECK(says(parts[2], "step 9 of 18: module 2, steps 9 to 11"));
  CHECK(says(parts[3], "step 12 of 18: back through tanh"));
  CHECK(parts[4] == parts[2]);
  CHECK(says(parts[5], "step 9 of 18: back through linear"));
}

TEST_CASE("what is no trace is refused in a line, and a reader that goes away is no failure") {
  const TemporaryFolder folder;
  for (const std::string& path : {folder.put("no.json", "{}"), folder / "none.json"}) {
    const Outcome outcome = run_tool({"step", path});
    CHECK(outcome.code == 3);
    CHECK(is_one_line(outcome.err));
    CHECK(says(outcome.err, path));
  }
  const std::string command =
      tool() + " step " + xor_trace() + " --plain | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}";
  CHECK(std::system(("bash -c '" + command + "'").c_str()) == 0);
}

TEST_CASE("a trace with a NaN in every tensor and names that are commands to a terminal") {
  const TemporaryFolder folder;
  const std::string path = folder / "nan.json";
  {
    trace::Recorder recorder;
    const Tensor x = full({2, 3}, std::nan("")).requires_grad_();
    recorder.name(x, "\x1b[2Jx\xc2\x9b");
    (x * 2.0).sum().backward();
    recorder.save(path);
  }
  const Outcome outcome = run_tool({"step", path, "--plain"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find('\x1b') == std::string::npos);
  CHECK(outcome.out.find("\xc2\x9b") == std::string::npos);
  CHECK(says(outcome.out, "?[2Jx?"));
  CHECK(says(outcome.out, "!! 6 of 6 are NaN or infinite"));
}

#ifdef RETRACE_HAVE_NCURSES

TEST_CASE("the full screen at 80 x 24: forwards, backwards, resized, left") {
  Terminal terminal(tool(), {"step", xor_trace()}, 24, 80);
  CHECK(terminal.shows("step 1 of"));
  CHECK(says(terminal.row(0), "xor.json"));
  CHECK(says(terminal.row(23), "q quit"));
  std::vector<std::string> screens;
  const auto press = [&](const std::string& key, const std::string& words) {
    terminal.type(key);
    REQUIRE(terminal.shows(words));
    return terminal.text();
  };
  for (int k = 2; k <= 9; ++k) screens.push_back(press("n", "step " + std::to_string(k) + " of"));
  for (int k = 8; k >= 2; --k)
    CHECK(press("\x1bOD", "step " + std::to_string(k) + " of") ==
          screens[static_cast<std::size_t>(k - 2)]);
  press("g11\n", "step 11 of");
  press("/Adam\n", "Adam updates");
  press("t", "float32 [");
  press("/nowhere\n", "No step says");
  terminal.resize(12, 50);
  CHECK(terminal.shows("Adam"));
  terminal.resize(2, 10);  // too small for anything: nothing breaks
  terminal.resize(24, 80);
  press("p", "step ");
  terminal.type("q");
  CHECK(terminal.wait() == 0);
}

TEST_CASE("a terminal that is not known gets plain text") {
  Terminal terminal(tool(), {"step", xor_trace()}, 24, 80, "no-such-terminal");
  CHECK(terminal.wait() == 0);
}

#endif
