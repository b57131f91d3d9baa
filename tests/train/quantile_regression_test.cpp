// The example quantile_regression as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "quantile_regression";

// The price is about 1000 per metre, with a category and a missing cell; the sea doubles it.
std::string houses(const std::string& head = "size,place,price\n") {
  std::string text = head;
  for (int i = 0; i < 200; ++i) {
    const int size = 50 + i * 37 % 100;
    const bool sea = i % 3 == 0;
    text += (i == 7 ? std::string() : std::to_string(size)) + (sea ? ",sea," : ",hill,") +
            std::to_string((sea ? 2000 : 1000) * size + i % 7 * 1000) + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("quantiles of the noise are learnt to the bounds of its check") {
  const TemporaryFolder folder;
  const auto result = result_of(kName, {"--seed", "1", "--report", folder / "page.html"});
  CHECK(result["data"] == "exponential_noise");
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"].get<double>() == doctest::Approx(0.067166).epsilon(1e-4));
  CHECK(result["gap"].get<double>() < 0.01 * result["floor"].get<double>());
  CHECK(metric(result, "crossings") == 0);
  for (const auto& [name, level] : {std::pair("0.1", 0.1), {"0.5", 0.5}, {"0.9", 0.9}}) {
    CHECK(std::abs(metric(result, std::string("coverage_") + name) - level) < 0.015);
    CHECK(metric(result, std::string("pinball_") + name) <
          0.6 * metric(result, std::string("pinball_") + name + "_constant"));
  }
  const std::string page = contents_of(folder / "page.html");
  CHECK(says(page, "<svg"));
  CHECK(says(page, "Pinball loss of each quantile"));
}

TEST_CASE("a model of too few steps does not pass, and says why") {
  const Outcome outcome = run_example(kName, {"--check", "--steps", "20"});
  CHECK(outcome.code == 5);
  CHECK(says(outcome.err, "the gap is"));
  CHECK(says(outcome.err, "pinball_0.9 is"));
}

TEST_CASE("other losses learn the mean, the median, and what is between") {
  for (const char* loss : {"mse", "l1", "huber"}) {
    std::vector<std::string> arguments = {"--loss", loss,     "--check", "--steps",
                                          "2000",   "--json", "-"};
    if (loss == std::string("huber")) arguments.insert(arguments.end(), {"--delta", "0.2"});
    const Outcome outcome = run_example(kName, arguments);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    const auto result = json_lines(outcome.out).back();
    CHECK(result["passed"] == true);
    CHECK_FALSE(result["metrics"].contains("crossings"));
  }
}

TEST_CASE("quantiles of a table, kept, and predicted for another in the target's units") {
  const TemporaryFolder folder;
  const std::string data = folder.put("houses.csv", houses());
  const Outcome learnt = run_example(
      kName, {"--data", data, "--target", "price", "--quantiles", "0.2,0.5,0.7,0.9", "--steps",
              "400", "--save", folder / "model", "--json", folder / "out.jsonl"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.err, "size: 1 of 160 cells"));
  CHECK(says(learnt.out, "share below"));
  const auto result = json_lines(contents_of(folder / "out.jsonl")).back();
  CHECK(result["floor"].is_null());
  CHECK(metric(result, "crossings") == 0);
  CHECK(metric(result, "mae") < 10'000);
  CHECK(metric(result, "pinball_0.5") < 0.3 * metric(result, "pinball_0.5_constant"));

  const std::string rows = folder.put("new.csv", "place,size\nsea,100\nhill,100\ncave,\n");
  const Outcome predicted = run_example(
      kName, {"--load", folder / "model", "--predict", rows, "--out", folder / "p.csv"});
  CAPTURE(predicted.err);
  REQUIRE(predicted.code == 0);
  CHECK(predicted.out.empty());
  const data::Table table = data::read_csv(folder / "p.csv");
  CHECK(table.names == std::vector<std::string>{"0.2", "0.5", "0.7", "0.9"});
  REQUIRE(table.rows() == 3);
  CHECK(table.column("0.5").numbers[0] == doctest::Approx(203'000).epsilon(0.1));
  CHECK(table.column("0.5").numbers[1] == doctest::Approx(103'000).epsilon(0.1));
  CHECK(table.column("0.2").numbers[2] < table.column("0.9").numbers[2]);
  CHECK(run_example(kName, {"--load", folder / "model", "--predict", folder.put("x.csv", "x\n1\n")})
            .code == 3);
}

TEST_CASE("one number of a table is predicted in a column of its own") {
  const TemporaryFolder folder;
  const std::string data = folder.put("houses.csv", houses());
  REQUIRE(run_example(kName, {"--data", data, "--target", "price", "--loss", "huber", "--steps",
                              "20", "--save", folder / "model"})
              .code == 0);
  const Outcome predicted = run_example(kName, {"--load", folder / "model", "--predict", data});
  CHECK(predicted.code == 0);
  CHECK(predicted.out.starts_with("prediction\n"));
  CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 201);
}

TEST_CASE("levels that make no sense give 2, files that make none 3, each one line") {
  for (const char* levels : {"0,0.5", "0.5,1", "0.9,0.1", "0.5,0.5", "half", "", "0.1,", "nan"}) {
    const Outcome outcome = run_example(kName, {"--quantiles", levels});
    CAPTURE(levels);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK(is_one_line(outcome.err));
  }
  const TemporaryFolder folder;
  const std::string good = folder.put("good.csv", houses());
  std::string text = houses();
  text.replace(text.find("50000"), 5, "cheap");
  const std::string wrong = folder.put("wrong.csv", text);
  const std::string constant = folder.put("constant.csv", "a,b\n1,5\n2,5\n3,5\n4,5\n5,5\n");
  const std::string tiny = folder.put("tiny.csv", "a,b\n1,5\n");
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--data", good, "--target", "prise"},
           {"--data", good, "--target", "place"},
           {"--data", good},
           {"--data", wrong, "--target", "price"},
           {"--data", constant, "--target", "b"},
           {"--data", tiny, "--target", "b"},
           {"--data", folder / "none.csv", "--target", "b"},
           {"--load", folder.path(), "--predict", good},
       }) {
    check_refused(kName, 3, arguments);
  }
}
