// The example multi_label as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "multi_label";

// Labels are independent of each other: warm from 20 degrees on, wet from 50 per cent.
std::string weather(int from, int to) {
  std::string text = "degrees,humidity,wind,warm,wet\n";
  for (int i = from; i < to; ++i) {
    const int degrees = i * 17 % 40, humidity = i * 31 % 100;
    text += std::to_string(degrees) + "," + std::to_string(humidity) + "," +
            (i % 3 ? "north" : "south") + "," + (degrees >= 20 ? "1," : "0,") +
            (humidity >= 50 ? "1" : "0") + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("four discs are learnt to the bounds of the check, and drawn") {
  const TemporaryFolder folder;
  const auto result = result_of(kName, {"--seed", "1", "--report", folder / "page.html"});
  CHECK(result["data"] == "discs");
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"].get<double>() == doctest::Approx(1.144823).epsilon(1e-6));
  CHECK(result["gap"].get<double>() < 0.02 * result["floor"].get<double>());
  CHECK(std::abs(metric(result, "micro_f1") - 0.75175) < 0.02);
  CHECK(std::abs(metric(result, "exact_match") - 0.690413) < 0.02);
  const std::string page = contents_of(folder / "page.html");
  CHECK(says(page, "Where each label begins"));
  CHECK(says(page, "precision"));
}

TEST_CASE("a softmax head cannot give two labels at once") {
  const Outcome outcome =
      run_example(kName, {"--head", "softmax", "--check", "--steps", "3000", "--json", "-"});
  CHECK(outcome.code == 5);
  CHECK(says(outcome.err, "the gap is"));
  const auto result = json_lines(outcome.out).back();
  CHECK(result["passed"] == false);
  CHECK(metric(result, "exact_match") < 0.66);
  CHECK(metric(result, "micro_f1") < 0.70);
}

TEST_CASE("labels of a table are learnt, tested on another, kept and predicted") {
  const TemporaryFolder folder;
  const std::string data = folder.put("train.csv", weather(0, 400));
  const std::string test = folder.put("test.csv", weather(1000, 1100));
  const Outcome learnt =
      run_example(kName, {"--data", data, "--labels", "2", "--test", test, "--save",
                          folder / "model", "--patience", "5", "--json", folder / "out.jsonl"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.out, "wet"));
  const auto result = json_lines(contents_of(folder / "out.jsonl")).back();
  CHECK(metric(result, "micro_f1") > 0.95);
  CHECK(metric(result, "exact_match") > 0.9);

  const std::string rows = folder.put("new.csv", "humidity,degrees,wind\n90,35,south\n10,3,x\n");
  const Outcome predicted = run_example(kName, {"--load", folder / "model", "--predict", rows});
  CAPTURE(predicted.err);
  REQUIRE(predicted.code == 0);
  const data::Table table = data::read_csv(folder.put("p.csv", predicted.out));
  CHECK(table.names == std::vector<std::string>{"warm", "wet"});
  for (const char* label : {"warm", "wet"}) {
    CHECK(table.column(label).numbers[0] > 0.5);
    CHECK(table.column(label).numbers[1] < 0.5);
  }
}

TEST_CASE("multi_label: wrong usage gives 2, data that cannot be used 3, each one line") {
  const TemporaryFolder folder;
  const std::string good = folder.put("good.csv", weather(0, 40));
  std::string text = weather(0, 40);
  text.replace(text.rfind(",1"), 2, ",2");
  const std::string wrong = folder.put("wrong.csv", text);
  const std::string other = folder.put("other.csv", "degrees,warm,wet\n3,0,1\n");
  const std::pair<int, std::vector<std::string>> calls[] = {
      {2, {"--head", "tanh"}},
      {2, {"--labels", "-1"}},
      {2, {"--data", good, "--labels", "some"}},
      {3, {"--data", good, "--labels", "5"}},
      {3, {"--data", wrong, "--labels", "2"}},
      {3, {"--data", good, "--labels", "2", "--test", other}},
      {3, {"--data", folder / "none.csv", "--labels", "2"}},
      {3, {"--load", folder.path(), "--predict", good}},
  };
  for (const auto& call : calls) check_refused(kName, call.first, call.second);
}
