// The example embeddings as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "embeddings";

// Images of three classes, wherever they are moved: a line across, one down, a square.
void put_images(const TemporaryFolder& folder) {
  Generator generator(2);
  Tensor images = randint(0, 60, {90, 8, 8}, &generator), labels = zeros({90}, kInt64);
  for (std::int64_t i = 0; i < 90; ++i) {
    labels[i] = i % 3;
    const std::int64_t at = 1 + i / 3 % 5;
    if (i % 3 == 0) images[i][at].fill_(255);
    if (i % 3 == 1) images[i].select(1, at).fill_(255);
    if (i % 3 == 2) images[i].narrow(0, at, 2).narrow(1, 3, 2).fill_(255);
  }
  data::write_idx(folder / "train-images-idx3-ubyte", images);
  data::write_idx(folder / "train-labels-idx1-ubyte.gz", labels);
}

}  // namespace

TEST_CASE("each loss reaches what is known to be its best") {
  struct Known {
    std::vector<std::string> arguments;
    double population_floor;  // 0 stands for null
  };
  for (const Known& known :
       std::vector<Known>{{{"--loss", "info_nce"}, 1.317016},
                          {{"--loss", "nt_xent"}, 1.839979},
                          {{"--loss", "sup_con"}, 1.839979},
                          {{"--loss", "triplet"}, 0.1},
                          {{"--loss", "contrastive"}, 0},
                          {{"--loss", "triplet", "--mining", "batch_hard"}, 0},
                          {{"--loss", "triplet", "--mining", "semi_hard"}, 0}}) {
    std::vector<std::string> arguments = {"--check", "--seed", "1", "--json", "-"};
    arguments.insert(arguments.end(), known.arguments.begin(), known.arguments.end());
    const Outcome outcome = run_example(kName, arguments);
    CAPTURE(known.arguments);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    const auto result = json_lines(outcome.out).back();
    CHECK(result["data"] == "latent_classes");
    CHECK(result["passed"] == true);
    CHECK(result["metrics"]["recall_at_1"].get<double>() >= 0.99);
    CHECK(result["metrics"]["recall_at_5"].get<double>() >= 0.99);
    if (known.population_floor > 0) {
      const double floor = result["floor"].get<double>();
      CHECK(result["population_floor"].get<double>() ==
            doctest::Approx(known.population_floor).epsilon(1e-5));
      CHECK(std::abs(result["gap"].get<double>()) < 0.02 * floor);
    } else {
      CHECK(result["population_floor"].is_null());
      CHECK(result["floor"] == 0.0);
    }
  }
}

TEST_CASE("all triplets of a batch may be compared, and too few steps are not enough") {
  CHECK(run_example(kName, {"--loss", "triplet", "--mining", "all", "--steps", "20"}).code == 0);
  const Outcome missed = run_example(kName, {"--steps", "5", "--check"});
  CHECK(missed.code == 5);
  CHECK(says(missed.err, "the gap is"));
  // Ten classes need nine dims, and keep no distance of 2.
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--dims", "2"},
        {"--loss", "contrastive", "--margin", "2"},
        {"--loss", "triplet", "--mining", "batch_hard", "--margin", "2"}}) {
    std::vector<std::string> few = {"--steps", "5", "--json", "-"}, checked = {"--check"};
    few.insert(few.end(), options.begin(), options.end());
    checked.insert(checked.end(), options.begin(), options.end());
    const Outcome learnt = run_example(kName, few);
    CHECK(learnt.code == 0);
    CHECK(json_lines(learnt.out).back()["floor"].is_null());
    const Outcome refused = run_example(kName, checked);
    CHECK(refused.code == 2);
    CHECK(says(refused.err, "10 classes keep a distance of 1.4907 at most, and in 9 dims or more"));
  }
}

TEST_CASE("images are embedded, kept, and embedded again from the file") {
  const TemporaryFolder folder;
  put_images(folder);
  const Outcome learnt =
      run_example(kName, {"--data", folder.path(), "--loss", "sup_con", "--dims", "3", "--steps",
                          "500", "--batch-size", "32", "--save", folder / "model", "--json", "-",
                          "--report", folder / "page.html"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto result = json_lines(learnt.out).back();
  CHECK(result["floor"].is_null());
  CHECK(result["metrics"]["recall_at_1"].get<double>() > 0.9);
  CHECK(result["metrics"]["test_loss"].get<double>() < result["start"].get<double>());
  CHECK(says(contents_of(folder / "page.html"), "The classes, in the plane"));

  const std::string images = folder / "train-images-idx3-ubyte";
  const Outcome predicted = run_example(
      kName, {"--load", folder / "model", "--predict", images, "--out", folder / "out.csv"});
  CAPTURE(predicted.err);
  REQUIRE(predicted.code == 0);
  CHECK(predicted.out.empty());
  const data::Table table = data::read_csv(folder / "out.csv");
  CHECK(table.names == std::vector<std::string>{"1", "2", "3"});
  REQUIRE(table.rows() == 90);
  double same = 0, other = 0;  // cosines of row 0 with rows of its class, and of the next
  for (std::size_t r = 0; r < 90; ++r) {
    double length = 0, cosine = 0;
    for (const auto& name : table.names) {
      const auto& column = table.column(name).numbers;
      length += column[r] * column[r];
      cosine += column[0] * column[r];
    }
    CHECK(length == doctest::Approx(1).epsilon(1e-4));
    if (r % 3 == 0) same += cosine / 30;
    if (r % 3 == 1) other += cosine / 30;
  }
  CHECK(same > other + 0.5);
}

TEST_CASE("a table with classes is embedded") {
  const TemporaryFolder folder;
  std::string text = "length,colour,kind\n";
  for (int i = 0; i < 80; ++i)
    text += std::to_string((i % 2 ? 50 : 10) + i % 7) + (i % 3 ? ",red," : ",blue,") +
            (i % 2 ? "rose\n" : "lily\n");
  const std::string data = folder.put("flowers.csv", text);
  const Outcome learnt = run_example(
      kName, {"--data", data, "--target", "kind", "--steps", "100", "--batch-size", "16", "--loss",
              "triplet", "--mining", "semi_hard", "--json", "-", "--save", folder / "model"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(json_lines(learnt.out).back()["metrics"]["recall_at_1"] == 1.0);
  const Outcome predicted = run_example(kName, {"--load", folder / "model", "--predict", data});
  CHECK(predicted.code == 0);
  CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 81);
}

TEST_CASE("embeddings: wrong usage gives 2, data that cannot be used 3, each one line") {
  const TemporaryFolder folder;
  const std::string few = folder.put("few.csv", "a,b\n1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n");
  struct Case {
    std::vector<std::string> arguments;
    int code;
  };
  for (const Case& wrong :
       std::vector<Case>{{{"--loss", "nonsense"}, 2},
                         {{"--mining", "hardest"}, 2},
                         {{"--mining", "all", "--loss", "info_nce"}, 2},
                         {{"--dims", "1"}, 2},
                         {{"--dims", "0"}, 2},
                         {{"--temperature", "0"}, 2},
                         {{"--margin", "-1"}, 2},
                         {{"--margin", "wide"}, 2},
                         {{"--data", few, "--target", "b"}, 3},  // five neighbours need more rows
                         {{"--data", few, "--target", "c"}, 3},
                         {{"--data", few}, 3},
                         {{"--data", folder / "none"}, 3},
                         {{"--load", folder.path(), "--predict", few}, 3}}) {
    check_refused(kName, wrong.code, wrong.arguments);
  }
}
