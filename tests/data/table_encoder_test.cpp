#include <doctest/doctest.h>

#include <cmath>

#include <retrace/data/classification.h>
#include <retrace/data/idx.h>
#include <retrace/data/table_encoder.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::data;
using testing::message_of;
using testing::TemporaryFolder;

namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::int64_t> all_rows(const Table& table) {
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < table.rows(); ++row) rows.push_back(row);
  return rows;
}

}  // namespace

TEST_CASE("numbers are standardised and texts become one feature each") {
  const TemporaryFolder folder;
  const Table table = read_csv(folder.put("t.csv", "a,colour,class\n1,red,x\n3,blue,y\n5,red,x\n"));
  const TableEncoder encoder(table, all_rows(table), {"class"});
  CHECK(encoder.features() == 3);
  CHECK(encoder.notes().empty());
  CHECK(encoder.text_columns() == std::vector<std::string>{"colour"});
  const float d = static_cast<float>(2 / std::sqrt(8.0 / 3));  // distance 2, deviation √(8/3)
  const Tensor x = encoder.encode(table);
  CHECK(x.to_vector<float>() == std::vector<float>{-d, 0, 1, 0, 1, 0, d, 0, 1});
}

TEST_CASE("what is missing or new takes the mean, learnt from the training rows alone") {
  const TemporaryFolder folder;
  const Table table = read_csv(
      folder.put("t.csv", "a,colour\n1,red\n3,blue\n,red\n2,\n1000,green\n2,red\n2,red\n"));
  const TableEncoder encoder(table, {0, 1, 2, 3}, {});
  const auto x = encoder.encode(table).to_vector<float>();
  CHECK(encoder.features() == 3);  // green stands in no training row
  CHECK(x[2 * 3] == 0.0f);
  const float third = 1.0f / 3;
  CHECK(std::vector<float>(x.begin() + 3 * 3 + 1, x.begin() + 4 * 3) ==
        std::vector<float>{third, 2 * third});
  CHECK(std::vector<float>(x.begin() + 4 * 3 + 1, x.begin() + 5 * 3) ==
        std::vector<float>{third, 2 * third});
  REQUIRE(encoder.notes().size() == 2);
  CHECK(encoder.notes()[0] == "a: 1 of 4 cells (25 %) are missing; filled with the mean 2");
}

TEST_CASE("columns that say nothing are left out or stay 0") {
  const TemporaryFolder folder;
  std::string text = "id,constant,nothing,a\n";
  for (int i = 0; i < 150; ++i) text += "n" + std::to_string(i) + ",7,,"+ std::to_string(i % 3) + "\n";
  const Table table = read_csv(folder.put("t.csv", text));
  const TableEncoder encoder(table, all_rows(table), {});
  CHECK(encoder.features() == 2);
  const auto x = encoder.encode(table).to_vector<float>();
  CHECK(x[0] == 0.0f);
  REQUIRE(encoder.notes().size() == 2);
  CHECK(says(encoder.notes()[0], "id: has 150 different texts"));
  CHECK(says(encoder.notes()[1], "nothing: has no values"));
  CHECK_THROWS_AS(TableEncoder(table, all_rows(table), {"a", "constant"}), IoError);
}

TEST_CASE("an encoder survives its file") {
  const TemporaryFolder folder;
  const Table table = read_csv(
      folder.put("t.csv", "a,\"naïve \"\"quoted\"\" name\"\n0.1,\"x,y\"\n1e-30,é\n3,\"x,y\"\n"));
  const TableEncoder encoder(table, all_rows(table), {});
  const TableEncoder again = TableEncoder::from_json(encoder.to_json());
  CHECK(again.encode(table).equal(encoder.encode(table)));
  CHECK(again.to_json() == encoder.to_json());
  for (const char* broken : {"", "{", "[1]", "{\"a\":1}", "[{\"name\":\"a\"}]", "[{\"name\":3}]",
                             "[{\"name\":\"a\",\"mean\":0,\"deviation\":0}]",
                             "[{\"name\":\"a\",\"levels\":[\"x\"],\"shares\":[]}]"}) {
    CAPTURE(broken);
    CHECK_THROWS_AS(TableEncoder::from_json(broken), IoError);
  }
}

TEST_CASE("another table must have the columns that were learnt, in any order") {
  const TemporaryFolder folder;
  const Table table = read_csv(folder.put("t.csv", "a,b\n1,x\n2,y\n"));
  const TableEncoder encoder(table, all_rows(table), {});
  const Table turned = read_csv(folder.put("u.csv", "extra,b,a\n9,x,1\n9,y,2\n"));
  CHECK(encoder.encode(turned).equal(encoder.encode(table)));
  CHECK(says(message_of<IoError>(
                 [&] { encoder.encode(read_csv(folder.put("v.csv", "b,c\nx,1\n"))); }),
             "no column \"a\""));
  CHECK(says(message_of<IoError>(
                 [&] { encoder.encode(read_csv(folder.put("w.csv", "a,b\nred,x\n"))); }),
             "column a holds texts"));
}

TEST_CASE("classes are sorted as numbers where they are numbers") {
  const TemporaryFolder folder;
  const Table table = read_csv(folder.put("t.csv", "a,class\n1,10\n2,9\n3,10\n4,-1\n"),
                               {.text_columns = {"class"}});
  const ClassNames classes(table, "class");
  CHECK(classes.names() == std::vector<std::string>{"-1", "9", "10"});
  CHECK(classes.encode(table, "class").equal(tensor({2, 1, 2, 0})));

  const Table test = read_csv(folder.put("u.csv", "a,class\n1,10\n2,8\n"),
                              {.text_columns = {"class"}});
  const std::string message = message_of<IoError>([&] { classes.encode(test, "class"); });
  CHECK(says(message, "u.csv:3: column class: 8"));
  CHECK(says(message, "-1, 9, 10"));
}

TEST_CASE("columns that are no classes are refused") {
  const TemporaryFolder folder;
  const auto refusal = [&folder](const std::string& text) {
    return message_of<IoError>([&] {
      ClassNames(read_csv(folder.put("t.csv", text), {.text_columns = {"class"}}), "class");
    });
  };
  CHECK(says(refusal("a,class\n1,x\n2,\n3,y\n"), "t.csv:3: column class: the class is missing"));
  CHECK(says(refusal("a,class\n1,x\n2,x\n"), "1 classes"));
  std::string many = "a,class\n";
  for (int i = 0; i < 1001; ++i) many += "1," + std::to_string(i) + "\n";
  CHECK(says(refusal(many), "a quantity, not a class"));
}

TEST_CASE("a table is loaded with a part held out, or with a file of its own to test on") {
  const TemporaryFolder folder;
  std::string text = "a,b,class\n";
  for (int i = 0; i < 20; ++i) {
    text += std::to_string(i) + "," + (i % 2 ? "u" : "v") + "," + (i % 3 ? "yes" : "no") + "\n";
  }
  const std::string path = folder.put("t.csv", text);
  const ClassificationData held = load_classification({.train = path, .target = "class"});
  CHECK(held.train.inputs.sizes() == Shape({16, 3}));
  CHECK(held.test.size() == 4);
  CHECK(held.format.features() == 3);
  CHECK(held.format.classes.names() == std::vector<std::string>{"no", "yes"});
  // Standardised by the training rows: their mean is 0, that of all rows need not be.
  CHECK(std::abs(held.train.inputs.select(1, 0).sum().item<double>()) < 1e-5);

  const std::string test = folder.put("u.csv", "b,class,a\nw,yes,3\n");
  const ClassificationData two =
      load_classification({.train = path, .test = test, .target = "class"});
  CHECK(two.train.size() == 20);
  CHECK(two.test.inputs.sizes() == Shape({1, 3}));
  CHECK(two.test.targets.equal(tensor({1})));

  CHECK(says(message_of<IoError>([&] { load_classification({.train = path}); }), "--target"));
  CHECK(says(message_of<IoError>(
                 [&] { load_classification({.train = path, .target = "klass"}); }),
             "klass"));
}

TEST_CASE("a format finds its inputs again from what a model's file says") {
  const TemporaryFolder folder;
  const std::string path = folder.put("t.csv", "a,b,class\n1,u,no\n2,v,yes\n4,u,no\n5,v,yes\n");
  const ClassificationData data =
      load_classification({.train = path, .test = path, .target = "class"});
  const auto again = ClassificationFormat::from_metadata(data.format.to_metadata(), "m");
  CHECK(again.classes.names() == data.format.classes.names());
  CHECK(again.read_inputs(path).equal(data.train.inputs));
  // Rows to predict have no class; texts that look like numbers stay texts.
  CHECK(again.read_inputs(folder.put("new.csv", "b,a\n1,2\n")).sizes() == Shape({1, 3}));
  CHECK_THROWS_AS(again.read_inputs(folder.put("none.csv", "b,a\n")), IoError);

  CHECK(says(message_of<IoError>([] { ClassificationFormat::from_metadata({}, "x.safetensors"); }),
             "x.safetensors"));
  for (const auto& [key, value] : Metadata{{"classes", "["}, {"image", "[3]"}, {"image", "x"},
                                           {"image", "[\"a\", 3]"}, {"image", "[-1, 3]"}}) {
    Metadata metadata = {{"classes", "[\"a\",\"b\"]"}, {"image", "[2, 3]"}};
    metadata[key] = value;
    CHECK_THROWS_AS(ClassificationFormat::from_metadata(metadata, "m"), IoError);
  }
}

TEST_CASE("images keep their height and width, and a t10k part is tested on") {
  const TemporaryFolder folder;
  const auto put = [&folder](const std::string& part, std::int64_t count, std::int64_t label) {
    write_idx(folder / (part + "-images-idx3-ubyte"), full({count, 4, 3}, 255, kInt64));
    write_idx(folder / (part + "-labels-idx1-ubyte.gz"), full({count}, label, kInt64));
  };
  put("t10k", 10, 2);
  const ClassificationData split = load_classification({.train = folder.path()});
  CHECK(split.train.inputs.sizes() == Shape({8, 4, 3}));
  CHECK(split.test.inputs.sizes() == Shape({2, 4, 3}));
  CHECK(split.train.inputs.max().item<float>() == 1.0f);
  CHECK(split.format.classes.names() == std::vector<std::string>{"0", "1", "2"});
  put("train", 6, 4);
  const ClassificationData both = load_classification({.train = folder.path()});
  CHECK(both.train.size() == 6);
  CHECK(both.test.size() == 10);
  CHECK(both.format.classes.size() == 5);

  const auto again = ClassificationFormat::from_metadata(both.format.to_metadata(), "m");
  CHECK(again.features() == 12);
  CHECK(again.read_inputs(folder / "t10k-images-idx3-ubyte").equal(both.test.inputs));
  write_idx(folder / "other", full({2, 3, 4}, 1, kInt64));
  CHECK(says(message_of<IoError>([&] { again.read_inputs(folder / "other"); }), "[2, 3, 4]"));
}
