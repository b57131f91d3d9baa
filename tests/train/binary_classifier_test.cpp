// The example binary_classifier as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "binary_classifier";

// Heavy ones are good, one in twenty the other way round; of every five rows one is good.
std::string fruit() {
  std::string text = "weight,colour,quality\n";
  for (int i = 0; i < 300; ++i) {
    const bool good = i % 5 == 0, heavy = good != (i % 20 == 7);
    text += std::to_string((heavy ? 200 : 100) + i * 13 % 40) + (i % 2 ? ",red," : ",green,") +
            (good ? "good" : "bad") + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("two clouds are told apart as well as can be, and the page says so") {
  const TemporaryFolder folder;
  const auto result = result_of(kName, {"--seed", "1", "--report", folder / "page.html"});
  CHECK(result["data"] == "gaussians");
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"].get<double>() == doctest::Approx(0.356316).epsilon(1e-5));
  CHECK(metric(result, "test_accuracy") == doctest::Approx(0.841345).epsilon(0.01));
  CHECK(metric(result, "roc_auc") == doctest::Approx(0.921350).epsilon(0.005));
  CHECK(metric(result, "ece") < 0.02);
  const std::string page = contents_of(folder / "page.html");
  for (const char* part : {"ROC", "What a threshold gives", "Does a probability mean", "best"})
    CHECK(says(page, part));
}

TEST_CASE("other losses reach their own best, and lose what they do not ask for") {
  const auto hinge = result_of(kName, {"--loss", "hinge"});
  // Two times the error of the best classifier: a score of 1 or -1 wherever a class is likelier.
  CHECK(hinge["population_floor"].get<double>() == doctest::Approx(2 * 0.158655).epsilon(1e-4));
  const auto focal = result_of(kName, {"--loss", "focal"}), bce = result_of(kName, {});
  CHECK(std::abs(metric(focal, "test_accuracy") - metric(bce, "test_accuracy")) < 0.01);
  CHECK(metric(focal, "ece") > 10 * metric(bce, "ece"));  // focal loss is not calibrated
}

TEST_CASE("of few positives bce finds fewer than with a weight for them") {
  const auto plain = result_of(kName, {"--positives", "0.05"});
  const auto weighted = result_of(kName, {"--positives", "0.05", "--pos-weight", "19"});
  CHECK(metric(plain, "recall") < 0.4);
  CHECK(metric(weighted, "recall") > 0.75);
  CHECK(metric(weighted, "precision") < 0.5 * metric(plain, "precision"));
  CHECK(std::abs(metric(weighted, "roc_auc") - metric(plain, "roc_auc")) < 0.01);
}

TEST_CASE("a model of too few steps does not pass") {
  const Outcome outcome = run_example(kName, {"--check", "--steps", "3"});
  CHECK(outcome.code == 5);
  CHECK(says(outcome.err, "the gap is"));
}

TEST_CASE("the two classes of a table are learnt, kept and predicted") {
  const TemporaryFolder folder;
  const std::string data = folder.put("fruit.csv", fruit());
  const Outcome learnt =
      run_example(kName, {"--data", data, "--target", "quality", "--save", folder / "model",
                          "--epochs", "60", "--patience", "8", "--json", folder / "out.jsonl"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.out, "class 1 is good, class 0 is bad"));
  const auto result = json_lines(contents_of(folder / "out.jsonl")).back();
  CHECK(metric(result, "roc_auc") > 0.75);
  CHECK(result["floor"].is_null());

  const std::string rows = folder.put("new.csv", "colour,weight\nred,215\ngreen,110\n");
  const Outcome predicted =
      run_example(kName, {"--load", folder / "model", "--predict", rows, "--out", folder / "p"});
  CAPTURE(predicted.err);
  REQUIRE(predicted.code == 0);
  const data::Table table = data::read_csv(folder / "p");
  CHECK(table.names == std::vector<std::string>{"prediction", "p(bad)", "p(good)"});
  CHECK(table.column("p(good)").numbers[0] > 0.5);
  CHECK(table.column("p(good)").numbers[1] < 0.5);
}

TEST_CASE("binary_classifier: wrong usage gives 2, data that cannot be used 3, each one line") {
  const TemporaryFolder folder;
  const std::string good = folder.put("fruit.csv", fruit());
  const std::string three = folder.put("three.csv", "a,b\n1,x\n2,y\n3,z\n4,x\n5,y\n6,z\n7,x\n");
  const std::string one = folder.put("one.csv", "a,b\n1,x\n2,x\n3,x\n4,x\n5,x\n");
  const std::pair<int, std::vector<std::string>> calls[] = {
      {2, {"--loss", "mse"}},
      {2, {"--positives", "0"}},
      {2, {"--positives", "1"}},
      {2, {"--patience", "3"}},
      {2, {"--epochs", "3"}},
      {3, {"--data", good, "--target", "qualty"}},
      {3, {"--data", three, "--target", "b"}},
      {3, {"--data", one, "--target", "b"}},
      {3, {"--load", folder.path(), "--predict", good}},
  };
  for (const auto& call : calls) check_refused(kName, call.first, call.second);
}
