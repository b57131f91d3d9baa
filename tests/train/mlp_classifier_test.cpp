// The choices that mlp_classifier offers.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "mlp_classifier";

// One row in twelve is of the rare class, and half of those look like the others.
std::string rare() {
  std::string text = "size,kind\n";
  for (int i = 0; i < 600; ++i) {
    const bool is = i % 12 == 0;
    text += std::to_string(i * 37 % 100 + (is ? 50 : 0)) + (is ? ",rare\n" : ",common\n");
  }
  return text;
}

// Of the file's second table, the share that is predicted to be of the rare class.
double share_of_rare(const std::vector<std::string>& extra) {
  const TemporaryFolder folder;
  const std::string data = folder.put("rare.csv", rare());
  std::vector<std::string> arguments = {"--data",         data,       "--target", "kind", "--save",
                                        folder / "model", "--epochs", "20"};
  arguments.insert(arguments.end(), extra.begin(), extra.end());
  REQUIRE(run_example(kName, arguments).code == 0);
  const Outcome predicted = run_example(kName, {"--load", folder / "model", "--predict", data});
  REQUIRE(predicted.code == 0);
  const data::Table table = data::read_csv(folder.put("p.csv", predicted.out));
  double share = 0;
  for (const double p : table.column("p(rare)").numbers) share += (p > 0.5) / 600.0;
  return share;
}

}  // namespace

TEST_CASE("every loss of the spiral reaches its own best") {
  // Known in closed form: ln of each probability; a lead of 1 costs 2 in one of ten.
  CHECK(result_of(kName, {})["population_floor"].get<double>() ==
        doctest::Approx(-0.9 * std::log(0.9) - 0.1 * std::log(0.05)).epsilon(1e-9));
  CHECK(result_of(kName, {"--loss", "hinge"})["population_floor"].get<double>() ==
        doctest::Approx(0.2).epsilon(1e-6));
  result_of(kName, {"--loss", "focal"});
  // The entropy of (1-ε) p + ε/3.
  const double p = 0.9 * 0.9 + 0.1 / 3, q = (1 - p) / 2;
  CHECK(result_of(kName, {"--label-smoothing", "0.1"})["population_floor"].get<double>() ==
        doctest::Approx(-p * std::log(p) - (1 - p) * std::log(q)).epsilon(1e-9));
}

TEST_CASE("activations and optimizers are chosen by name; without one a network is a line") {
  for (const char* activation : {"relu", "tanh", "silu", "mish"})
    CHECK(metric(result_of(kName, {"--activation", activation}), "test_accuracy") > 0.88);
  CHECK(metric(result_of(kName, {"--optimizer", "adam"}), "test_accuracy") > 0.88);
  const auto line = result_of(kName, {"--linear"}, 5);
  CHECK(metric(line, "test_accuracy") < 0.45);
  CHECK(metric(line, "test_loss") > 1.0);
}

TEST_CASE("a rare class is found more often when it weighs more, or is drawn more often") {
  const double plain = share_of_rare({});
  CHECK(share_of_rare({"--class-weights"}) > plain + 0.05);
  CHECK(share_of_rare({"--balance"}) > plain + 0.05);
}

TEST_CASE("the validation loss of weighted classes is the one that their test reports") {
  constexpr std::int64_t kRows = 10'500;
  const data::RowSplit split = data::split_rows(kRows, 0.1, 3);  // as the recipe holds out
  REQUIRE(std::ssize(split.test) == 1050);                       // a batch of 1024, and a rest
  std::vector<std::string> lines;
  Generator generator(1);
  for (std::int64_t i = 0; i < kRows; ++i) {
    const bool rare = generator.next_below(10) == 0;
    lines.push_back(std::to_string(generator.next_below(100)) + (rare ? ",rare\n" : ",common\n"));
  }
  std::string train = "size,kind\n", test = train;
  // The few rows of the second batch have as much weight as the many of the first.
  for (std::size_t at = 1024; at < split.test.size(); ++at)
    lines[static_cast<std::size_t>(split.test[at])] = "70,rare\n";
  for (const std::string& line : lines) train += line;
  for (const std::int64_t row : split.test) test += lines[static_cast<std::size_t>(row)];

  const TemporaryFolder folder;
  const Outcome learnt = run_example(
      kName, {"--data", folder.put("train.csv", train), "--test", folder.put("test.csv", test),
              "--target", "kind", "--class-weights", "--steps", "3", "--seed", "3", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  double best = std::numeric_limits<double>::infinity();
  for (const auto& line : json_lines(learnt.out))
    if (line["event"] == "validation") best = std::min(best, line["validation_loss"].get<double>());
  CHECK(metric(json_lines(learnt.out).back(), "test_loss") == doctest::Approx(best).epsilon(1e-6));
}

TEST_CASE("a convolutional network learns images, and is used again with its own activation") {
  const TemporaryFolder folder;
  const Tensor labels = remainder(arange(80), 2);
  Tensor images = full({80, 12, 12}, 20, kFloat32) + 20 * rand({80, 12, 12});
  for (std::int64_t i = 0; i < 80; ++i) {  // a bar that stands, or lies
    const bool stands = i % 2 == 0;
    images.select(0, i).narrow(stands ? 1 : 0, i % 9, 2).fill_(200);
  }
  data::write_idx(folder / "train-images-idx3-ubyte", images.to(kInt64));
  data::write_idx(folder / "train-labels-idx1-ubyte", labels);
  const Outcome learnt =
      run_example(kName, {"--data", folder.path(), "--model", "cnn", "--activation", "relu",
                          "--epochs", "30", "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(metric(json_lines(learnt.out).back(), "test_accuracy") > 0.9);
  const Outcome predicted =
      run_example(kName, {"--load", folder / "model", "--predict",
                          folder / "train-images-idx3-ubyte", "--out", folder / "p.csv"});
  CAPTURE(predicted.err);
  REQUIRE(predicted.code == 0);
  CHECK(says(contents_of(folder / "model/model.safetensors"), "\"activation\":\"relu\""));
  const data::Table table = data::read_csv(folder / "p.csv");
  std::int64_t right = 0;
  for (std::size_t i = 0; i < 80; ++i)
    right += table.column("prediction").numbers[i] == static_cast<double>(i % 2);
  CHECK(right > 76);
}

TEST_CASE("mlp_classifier: choices that make no sense give 2, each one line") {
  const TemporaryFolder folder;
  const std::string table = folder.put("rare.csv", rare());
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--activation", "rellu"},
           {"--loss", "mse"},
           {"--label-smoothing", "1.5"},
           {"--optimizer", "adm"},
           {"--data", table, "--target", "kind", "--model", "cnn"},
           {"--model", "transformer"},
       }) {
    check_refused(kName, 2, arguments);
  }
}
