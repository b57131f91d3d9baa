// The examples as a user meets them: what they print, and their exit codes.
#include <doctest/doctest.h>

#include <cmath>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

// Two kinds of flowers that a line tells apart, a category, and a cell that is missing.
std::string flowers() {
  std::string text = "length,width,colour,kind\n";
  for (int i = 0; i < 60; ++i) {
    const bool rose = i % 2 == 0;
    text += (i == 7 ? std::string() : std::to_string((rose ? 50 : 10) + i % 7)) + "," +
            std::to_string(i % 5) + "," + (i % 3 ? "red" : "blue") + "," +
            (rose ? "rose" : "lily") + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("xor learns, passes its check, and reports it") {
  const Outcome outcome = run_example("xor", {"--check", "--json", "-"});
  CHECK(outcome.code == 0);
  const auto lines = json_lines(outcome.out);  // nothing else stands there
  REQUIRE(lines.size() == 201);
  CHECK(lines[0]["event"] == "step");
  CHECK(lines[199]["step"] == 200);
  const auto& result = lines.back();
  CHECK(result["event"] == "result");
  CHECK(result["example"] == "xor");
  CHECK(result["data"] == "xor");
  CHECK(result["seed"] == 0);
  CHECK(result["metrics"]["test_accuracy"] == 1.0);
  CHECK(result["metrics"]["test_loss"].get<double>() < 0.05);
  CHECK(result["floor"] == 0.0);
  CHECK(result["population_floor"].is_null());
  CHECK(result["gap"] == result["metrics"]["test_loss"]);
  CHECK(result["passed"] == true);
  CHECK(result["seconds"].get<double>() >= result["train_seconds"].get<double>());
}

TEST_CASE("wengert_list tells its list, agrees with differences and the engine, and learns") {
  const Outcome outcome = run_example("wengert_list", {"--check"});
  CHECK(outcome.code == 0);
  std::istringstream out(outcome.out);
  int compared = 0;
  for (std::string line; std::getline(out, line);) {
    if (!line.starts_with("dloss/d")) continue;
    std::string name, equals, by_list, by_difference, by_engine;
    std::istringstream(line) >> name >> equals >> by_list >> by_difference >> by_engine;
    CHECK(by_list.size() >= 10);
    CHECK(by_list == by_engine);
    CHECK(std::abs(std::stod(by_list) - std::stod(by_difference)) < 1e-7);
    ++compared;
  }
  CHECK(compared == 2);
  const TemporaryFolder folder;
  const Outcome traced =
      run_example("wengert_list", {"--steps", "1", "--trace", folder / "t", "--trace-check"});
  CHECK(traced.code == 0);
  CHECK(says(traced.err, "gradients measured by finite differences"));
  CHECK(trace::Trace::load(folder / "t").nodes.size() > 8);
  const auto program = contents_of(RETRACE_SOURCE_DIR "/examples/wengert_list.cpp");
  CHECK(std::count(program.begin(), program.end(), '\n') <= 150);  // as it says
}

TEST_CASE("a check that is missed gives 5, and none gives null") {
  const Outcome missed = run_example("xor", {"--check", "--steps", "1", "--json", "-"});
  CHECK(missed.code == 5);
  CHECK(is_one_line(missed.err.substr(missed.err.find("error:"))));
  CHECK(json_lines(missed.out).back()["passed"] == false);
  const Outcome unjudged = run_example("xor", {"--steps", "1", "--json", "-"});
  CHECK(unjudged.code == 0);
  CHECK(json_lines(unjudged.out).back()["passed"].is_null());
}

TEST_CASE("wrong usage gives 2 and one line, help gives 0") {
  for (const char* name : {"xor", "mlp_classifier"}) {
    for (const auto& arguments :
         std::vector<std::vector<std::string>>{{"--nonsense"}, {"--seed", "x"}, {"word"}}) {
      const Outcome outcome = run_example(name, arguments);
      CHECK(outcome.code == 2);
      CHECK(outcome.out.empty());
      CHECK(is_one_line(outcome.err));
      CHECK(says(outcome.err, std::string(name) + " --help"));
    }
    const Outcome help = run_example(name, {"--help"});
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK(says(help.out, "--seed"));
    CHECK(says(help.out, "Exit codes"));
  }
}

TEST_CASE("data that cannot be read give 3 and one line") {
  const TemporaryFolder folder;
  const std::string ragged = folder.put("ragged.csv", "a,b\n1,2\n3\n");
  const std::string quantity = folder.put("q.csv", "a,b\n1,2\n3,\n");
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--data", folder / "missing.csv", "--target", "b"},
           {"--data", folder.path()},
           {"--data", ragged, "--target", "b"},
           {"--data", quantity, "--target", "b"},
           {"--data", quantity, "--target", "c"},
           {"--data", quantity},
           {"--load", folder.path(), "--predict", ragged},
       }) {
    const Outcome outcome = run_example("mlp_classifier", arguments);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 3);
    CHECK(outcome.out.empty());
    CHECK(is_one_line(outcome.err));
  }
}

TEST_CASE("what cannot be written gives 1 and one line") {
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--steps", "1", "--json", "/no/such/folder/x"},
           {"--steps", "1", "--json", "/dev/full"},
       }) {
    const Outcome outcome = run_example("xor", arguments);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(is_one_line(outcome.err));
  }
}

TEST_CASE("a loss that is not finite gives 4, the step, and the cause") {
  const Outcome outcome = run_example("mlp_classifier", {"--steps", "50", "--lr", "1e30"});
  CHECK(outcome.code == 4);
  CHECK(says(outcome.err, "step "));
  CHECK(says(outcome.err, "--lr"));
}

TEST_CASE("a table is learnt, kept, and the model used on another") {
  const TemporaryFolder folder;
  const std::string data = folder.put("flowers.csv", flowers());
  const Outcome learnt =
      run_example("mlp_classifier", {"--data", data, "--target", "kind", "--steps", "150", "--save",
                                     folder / "model", "--json", folder / "out.jsonl"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.err, "length: 1 of 48 cells"));
  CHECK(says(learnt.out, "true \\ predicted"));
  CHECK(says(learnt.out, "lily"));
  CHECK(says(learnt.out, "training loss"));
  const auto result = json_lines(contents_of(folder / "out.jsonl")).back();
  CHECK(result["data"] == data);
  CHECK(result["metrics"]["test_accuracy"] == 1.0);
  CHECK(result["floor"].is_null());
  CHECK(result["gap"].is_null());

  const std::string rows = folder.put("new.csv", "colour,width,length\nred,1,53\ngreen,,11\n");
  const Outcome predicted = run_example(
      "mlp_classifier",
      {"--load", folder / "model", "--predict", rows, "--out", folder / "predictions.csv"});
  CHECK(predicted.code == 0);
  CHECK(predicted.out.empty());
  const std::string predictions = contents_of(folder / "predictions.csv");
  CHECK(predictions.starts_with("prediction,p(lily),p(rose)\nrose,"));
  CHECK(says(predictions, "\nlily,"));
  const Outcome printed =
      run_example("mlp_classifier", {"--load", folder / "model", "--predict", rows});
  CHECK(printed.out == predictions);
  CHECK(run_example("mlp_classifier",
                    {"--load", folder / "model", "--predict", folder.put("bad.csv", "x\n1\n")})
            .code == 3);
}

TEST_CASE("a run that is resumed has the rows that it began with, those held out too") {
  const TemporaryFolder folder;
  const std::string rows = flowers(), data = folder.put("flowers.csv", rows);
  const auto go = [&](const char* how, const char* steps) {
    return run_example("mlp_classifier", {"--data", data, "--target", "kind", "--steps", steps, how,
                                          folder / "model", "--json", folder / "out.jsonl"});
  };
  REQUIRE(go("--save", "20").code == 0);
  int refused = 0, lines = 0;
  for (std::size_t end = rows.find('\n', rows.find('\n') + 1); end != std::string::npos;
       end = rows.find('\n', end + 1), ++lines) {
    std::string changed = rows;
    changed.replace(end - 4, 4, rows.substr(end - 4, 4) == "rose" ? "lily" : "rose");
    folder.put("flowers.csv", changed);
    const std::string log = contents_of(folder / "out.jsonl");
    const Outcome outcome = go("--resume", "20");
    if (outcome.code == 0) continue;
    CHECK(outcome.code == 3);
    CHECK(says(outcome.err, "the data or the models that training relies on are not those"));
    CHECK(contents_of(folder / "out.jsonl") == log);
    ++refused;
  }
  CHECK(lines == 60);
  CHECK(refused == 48);  // nothing is learnt of those to test on
  folder.put("flowers.csv", rows);
  CHECK(go("--resume", "25").code == 0);
}

TEST_CASE("images are learnt and predicted from IDX files") {
  const TemporaryFolder folder;
  Tensor images = zeros({60, 6, 6}, kInt64), labels = zeros({60}, kInt64);
  for (std::int64_t i = 0; i < 60; ++i) {
    labels[i] = i % 3;
    images[i][2 * (i % 3)].fill_(255);  // a line at the top, in the middle or below
  }
  data::write_idx(folder / "train-images-idx3-ubyte.gz", images);
  data::write_idx(folder / "train-labels-idx1-ubyte", labels);
  const Outcome learnt = run_example("mlp_classifier", {"--data", folder.path(), "--epochs", "60",
                                                        "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(json_lines(learnt.out).back()["metrics"]["test_accuracy"].get<double>() > 0.9);
  const Outcome predicted = run_example("mlp_classifier", {"--load", folder / "model", "--predict",
                                                           folder / "train-images-idx3-ubyte.gz"});
  CHECK(predicted.code == 0);
  CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 61);
}

TEST_CASE("a signal ends a run after its step, saved, and it can be resumed") {
  const TemporaryFolder folder;
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string run = folder / std::to_string(signal);
    Process process(testing::example("mlp_classifier"),
                    {"--steps", "100000", "--save", run, "--save-every", "5"}, folder / "out",
                    folder / "err");
    while (!std::filesystem::exists(run + "/checkpoint-10.safetensors")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    process.send(signal);
    CHECK(process.wait() == 128 + signal);
    CHECK(says(contents_of(folder / "err"), "--resume " + run));
    CHECK_FALSE(std::filesystem::exists(run + "/model.safetensors"));
    const auto steps = train::CheckpointFolder(run).steps();
    REQUIRE(!steps.empty());
    const std::string few = std::to_string(steps[0] + 3);
    const Outcome resumed = run_example("mlp_classifier", {"--resume", run, "--steps", few});
    CHECK(resumed.code == 0);
    CHECK(says(resumed.err, fmt::format("going on after step {} of {}\n", steps[0], few)));
    CHECK(std::filesystem::exists(run + "/model.safetensors"));
  }
}
