#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <retrace/data/files.h>
#include <retrace/data/idx.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::data;
using testing::message_of;
using testing::says;
using testing::TemporaryFolder;

TEST_CASE("classes are sorted as numbers where they are numbers") {
  const TemporaryFolder folder;
  const Table table = read_csv(folder.put("t.csv", "a,class\n1,10\n2,9\n3,10\n4,-1\n"),
                               {.text_columns = {"class"}});
  const ClassNames classes(table, "class");
  CHECK(classes.names() == std::vector<std::string>{"-1", "9", "10"});
  CHECK(classes.encode(table).equal(tensor({2, 1, 2, 0})));

  const Table test =
      read_csv(folder.put("u.csv", "a,class\n1,10\n2,8\n"), {.text_columns = {"class"}});
  const std::string message = message_of<IoError>([&] { classes.encode(test); });
  CHECK(says(message, "u.csv:3: column class: 8"));
  CHECK(message.ends_with("those are -1, 9, 10"));
  // Of many classes the first twenty.
  const Table wanted =
      read_csv(folder.put("v.csv", "a,class\n1,?!\n2,b\n"), {.text_columns = {"class"}});
  std::string text = "a,class\n";
  for (char name = 'a'; name <= 'z'; ++name) text += std::string("1,") + name + "\n";
  const ClassNames letters(read_csv(folder.put("letters.csv", text), {.text_columns = {"class"}}),
                           "class");
  CHECK(message_of<IoError>([&] {
          letters.encode(wanted);
        }).ends_with("those are a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t"));
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
  // Here NA was meant, and what is missing is said before how few are left.
  CHECK(says(refusal("a,class\n1,NA\n2,EU\n3,EU\n"),
             "t.csv:2: column class: the class is missing (empty, NA, ? or the like)"));
  CHECK(says(refusal("a,class\n1,0\n2,1\n3,0.0\n4,1.0\n"),
             "t.csv:4: column class: \"0.0\", and \"0\" on line 2, are one number but would be two "
             "classes; write it in one way"));
  CHECK(refusal("a,class\n1,0\n2,0.0\n3,x\n").empty());  // texts, as x is one
  CHECK(refusal("a,class\n1,9007199254740992\n2,9007199254740993\n").empty());
  std::string many = "a,class\n";
  for (int i = 0; i < 1001; ++i) many += "1," + std::to_string(i) + "\n";
  CHECK(says(refusal(many), "a quantity, not a class"));
  CHECK(says(refusal(many + "1,7.0\n"), "a quantity, not a class"));
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
  CHECK(held.format.inputs.features() == 3);
  CHECK(held.format.outputs.names() == std::vector<std::string>{"no", "yes"});
  // Standardised by the training rows: their mean is 0, that of all rows need not be.
  CHECK(std::abs(held.train.inputs.select(1, 0).sum().item<double>()) < 1e-5);

  const std::string test = folder.put("u.csv", "b,class,a\nw,yes,3\n");
  const ClassificationData two =
      load_classification({.train = path, .test = test, .target = "class"});
  CHECK(two.train.size() == 20);
  CHECK(two.test.inputs.sizes() == Shape({1, 3}));
  CHECK(two.test.targets.equal(tensor({1})));

  CHECK(says(message_of<IoError>([&] { load_classification({.train = path}); }), "--target"));
  CHECK(says(message_of<IoError>([&] { load_classification({.train = path, .target = "klass"}); }),
             "klass"));
}

TEST_CASE("a format finds its inputs again from what a model's file says") {
  const TemporaryFolder folder;
  const std::string rows = "a,b,class\n1,u,no\n2,v,yes\n4,u,no\n5,v,yes\n";
  const std::string path = folder.put("t.csv", rows);
  const ClassificationData data =
      load_classification({.train = path, .test = folder.put("u.csv", rows), .target = "class"});
  const auto again = ClassificationFormat::from_metadata(data.format.to_metadata(), "m");
  CHECK(again.outputs.names() == data.format.outputs.names());
  CHECK(again.inputs.read(path).equal(data.train.inputs));
  // Rows to predict have no class; texts that look like numbers stay texts.
  CHECK(again.inputs.read(folder.put("new.csv", "b,a\n1,2\n")).sizes() == Shape({1, 3}));
  CHECK_THROWS_AS(again.inputs.read(folder.put("none.csv", "b,a\n")), IoError);

  CHECK(says(message_of<IoError>([] { ClassificationFormat::from_metadata({}, "x.safetensors"); }),
             "x.safetensors"));
  for (const auto& [key, value] : Metadata{{"classes", "["},
                                           {"image", "[3]"},
                                           {"image", "x"},
                                           {"image", "[\"a\", 3]"},
                                           {"image", "[-1, 3]"}}) {
    Metadata metadata = {{"classes", ClassNames({"a", "b"}).to_json()}, {"image", "[2, 3]"}};
    metadata[key] = value;
    CHECK(message_of<IoError>([&] {
            ClassificationFormat::from_metadata(metadata, "m");
          }).starts_with("m: "));
  }
  const auto table_of = [](const char* widths) {
    return InputFormat::from_metadata({{"columns", "[]"}, {"widths", widths}}, "m");
  };
  CHECK(table_of("[2, 3]").widths == Shape({2, 3}));
  for (const char* widths : {"[3]", "3", "{}", "[0, 3]", "[-1, 3]", "[2.5, 3]", "[1e300, 3]",
                             "[18446744073709551615, 3]", "[2, \"3\"]", "[2, 3, 4]"})
    CHECK(message_of<IoError>([&] { table_of(widths); }) ==
          "m: the width of its tables makes no sense");
}

namespace {

// `highest`, the class before it, and again.
Tensor two_classes(std::int64_t rows, std::int64_t highest = 1) {
  Tensor labels = full({rows}, highest, kInt64);
  for (std::int64_t row = 1; row < rows; row += 2) labels[row] = highest - 1;
  return labels;
}

// Pairs of files for as many images as there are labels.
void put_part(const TemporaryFolder& folder, const std::string& part, const Tensor& labels) {
  write_idx(folder / (part + "-images-idx3-ubyte"), full({labels.size(0), 4, 3}, 255, kInt64));
  write_idx(folder / (part + "-labels-idx1-ubyte.gz"), labels);
}

}  // namespace

TEST_CASE("images keep their height and width, and a t10k part is tested on") {
  const TemporaryFolder folder;
  const auto put = [&folder](const std::string& part, std::int64_t count, std::int64_t label) {
    put_part(folder, part, two_classes(count, label));
  };
  put("t10k", 10, 2);
  const ClassificationData split = load_classification({.train = folder.path()});
  CHECK(split.train.inputs.sizes() == Shape({8, 4, 3}));
  CHECK(split.test.inputs.sizes() == Shape({2, 4, 3}));
  CHECK(split.train.inputs.max().item<float>() == 1.0f);
  CHECK(split.format.outputs.names() == std::vector<std::string>{"0", "1", "2"});
  put("train", 6, 4);
  const ClassificationData both = load_classification({.train = folder.path()});
  CHECK(both.train.size() == 6);
  CHECK(both.test.size() == 10);
  CHECK(both.format.outputs.size() == 5);

  // Another folder, too, is tested on by that part, and never by what it has to train on.
  const ClassificationData same =
      load_classification({.train = folder.path(), .test = folder.path()});
  CHECK(same.train.size() == 6);
  CHECK(same.test.size() == 10);
  CHECK(same.test.targets.equal(both.test.targets));
  CHECK(same.notes == both.notes);
  const TemporaryFolder parts;
  for (const char* part : {"train", "valid"}) {
    for (const char* kind : {"-images-idx3-ubyte", "-labels-idx1-ubyte.gz"})
      std::filesystem::copy_file(folder / (std::string("t10k") + kind),
                                 parts / (part + std::string(kind)));
  }
  CHECK(says(message_of<IoError>(
                 [&] { load_classification({.train = folder.path(), .test = parts.path()}); }),
             "has the parts train, valid, and none is called t10k or test"));

  put("train", 0, 4);
  CHECK(says(message_of<IoError>([&] { load_classification({.train = folder.path()}); }),
             "there are no images to train and test on"));

  const auto again = ClassificationFormat::from_metadata(both.format.to_metadata(), "m");
  CHECK(again.inputs.features() == 12);
  CHECK(again.inputs.read(folder / "t10k-images-idx3-ubyte").equal(both.test.inputs));
  write_idx(folder / "other", full({2, 3, 4}, 1, kInt64));
  CHECK(says(message_of<IoError>([&] { again.inputs.read(folder / "other"); }), "[2, 3, 4]"));
}

TEST_CASE("a folder is tested on its part test, and a part that is not used is noted") {
  const TemporaryFolder folder;
  const auto load = [&](const std::string& test = "") {
    return load_classification({.train = folder.path(), .test = test});
  };
  const auto refusal = [&](const std::string& test = "") {
    return message_of<IoError>([&] { load(test); });
  };
  put_part(folder, "test", two_classes(10));
  CHECK(load().test.size() == 2);  // held out of its only part
  CHECK(refusal(folder.path()) == folder.path() +
                                      ": is given both to train and to test on; leave --test out, "
                                      "and a part of it is held out");
  put_part(folder, "train", two_classes(6));
  for (const std::string& test : {std::string(), folder.path()}) {
    const ClassificationData data = load(test);
    CHECK(data.train.size() == 6);
    CHECK(data.test.size() == 10);
    CHECK(data.notes.empty());
  }
  const TemporaryFolder other;
  put_part(other, "test", two_classes(3));
  put_part(other, "train", two_classes(4));
  const ClassificationData apart = load(other.path());
  CHECK(apart.test.size() == 3);
  CHECK(apart.notes == std::vector<std::string>{folder.path() + ": its part test is not used"});
  put_part(folder, "valid", two_classes(6));
  CHECK(load().notes == std::vector<std::string>{folder.path() + ": its part valid is not used"});
  put_part(folder, "t10k", two_classes(6));
  CHECK(says(refusal(), "has the parts t10k and test, either of which is to test on"));
}

TEST_CASE("a class of no row to train on is noted, and two are needed") {
  const TemporaryFolder folder;
  put_part(folder, "train", two_classes(12, 8));
  const ClassificationData data = load_classification({.train = folder.path()});
  CHECK(data.notes ==
        std::vector<std::string>{folder.path() + ": no row to train on is of class 0, "
                                                 "1, 2, 3, 4 and 2 more"});
  put_part(folder, "train", full({12}, 7, kInt64));
  CHECK(message_of<IoError>([&] { load_classification({.train = folder.path()}); }) ==
        folder.path() + ": the rows to train on are all of class 7; a classifier needs two");

  // Of a table the rows that are held out may be all that a class has.
  std::string rare = "x,kind\n", lonely = rare;
  const RowSplit split = split_rows(10, 0.2, 0);
  const auto is_held_out = [&](std::int64_t row) {
    return std::find(split.test.begin(), split.test.end(), row) != split.test.end();
  };
  for (std::int64_t row = 0; row < 10; ++row) {
    rare += std::to_string(row) + (is_held_out(row) ? ",c\n" : row % 2 ? ",a\n" : ",b\n");
    lonely += std::to_string(row) + (is_held_out(row) ? ",c\n" : ",a\n");
  }
  const std::string path = folder.put("t.csv", rare);
  CHECK(load_classification({.train = path, .target = "kind"}).notes ==
        std::vector<std::string>{path + ": no row to train on is of class c"});
  CHECK(says(message_of<IoError>([&] {
               load_classification({.train = folder.put("u.csv", lonely), .target = "kind"});
             }),
             "u.csv: the rows to train on are all of class a; a classifier needs two"));
}

namespace {

// 40 rows of a number, a category with two missing cells, a constant, and what follows from them.
std::string houses() {
  std::string text = "size,place,country,price\n";
  for (int i = 0; i < 40; ++i) {
    text += (i == 7 ? "" : std::to_string(i)) + ',' +
            (i % 10 == 3 ? ""
             : i % 2     ? "hill"
                         : "sea") +
            ",here," + std::to_string(1000 + 50 * i) + '\n';
  }
  return text;
}

std::string refusal(const DataFiles& files, void (*load)(const DataFiles&)) {
  return message_of<IoError>([&] { load(files); });
}
void regression(const DataFiles& files) { load_regression(files); }
void multi_label(const DataFiles& files) { load_multi_label(files); }
void classification(const DataFiles& files) { load_classification(files); }

}  // namespace

TEST_CASE("a quantity is standardised by the rows to train on, and finds back to its units") {
  const TemporaryFolder folder;
  const std::string path = folder.put("t.csv", houses());
  const RegressionData data = load_regression({.train = path, .target = "price", .seed = 3});
  CHECK(data.train.inputs.sizes() == Shape({32, 3}));  // the size and two places; not the country
  CHECK(data.train.targets.sizes() == Shape({32}));
  CHECK(data.test.targets.sizes() == Shape({8}));
  const Tensor y = data.train.targets.to(kFloat64);
  CHECK(std::abs(y.mean().item<double>()) < 1e-6);
  CHECK(std::abs(y.square().mean().item<double>() - 1) < 1e-6);

  const TargetScale& price = data.format.outputs;
  CHECK(price.name() == "price");
  double sum = 0;
  for (const Tensor* targets : {&data.train.targets, &data.test.targets}) {
    for (const double value : price.to_units(*targets).to_vector<double>()) {
      CHECK(std::abs(value / 50 - std::round(value / 50)) < 1e-5);
      sum += value;
    }
  }
  CHECK(sum == doctest::Approx(40 * 1000 + 50 * 780).epsilon(1e-7));
  const Tensor grid = zeros({2, 3});
  CHECK(price.to_units(grid).equal(full({2, 3}, price.mean(), kFloat64)));
  CHECK(price.to_units(grid.transpose(0, 1)).sizes() == Shape({3, 2}));

  bool tells_of_country = false;
  for (const std::string& note : data.notes) tells_of_country |= says(note, "country: is here");
  CHECK(tells_of_country);
  const auto again = RegressionFormat::from_metadata(data.format.to_metadata(), "m");
  CHECK(again.outputs.name() == "price");
  CHECK(again.outputs.mean() == price.mean());
  CHECK(again.outputs.deviation() == price.deviation());
  CHECK(again.inputs.read(path).sizes() == Shape({40, 3}));
}

TEST_CASE("what is no quantity is refused, by line") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text, const std::string& target = "y") {
    return refusal({.train = folder.put("t.csv", text), .test_fraction = 0.3, .target = target},
                   regression);
  };
  CHECK(says(refused("x,y\n1,2\n2,\n3,4\n"), "t.csv:3: column y: the target is missing"));
  // However many of its cells are texts.
  CHECK(says(refused("x,y\n1,2\n2,cheap\n3,dear\n"),
             "t.csv:3: column 2 (y): \"cheap\" is not a number"));
  CHECK(says(refused("x,y\n1,2\n2,2\n3,2\n"), "column y is 2 in all rows"));
  CHECK(says(refused("x,y\n1,1e308\n2,-1e308\n3,1e308\n4,-1e308\n"),
             "t.csv: column y: its numbers are too large"));
  CHECK(says(refused("x,y\n1,2\n2,3\n", ""),
             "--target which column holds the quantity to predict; the columns are x, y"));
  CHECK(says(refusal({.train = folder.path(), .target = "y"}, regression), "is a folder"));
}

TEST_CASE("a misspelt column is answered with those that there are, the most like it first") {
  const TemporaryFolder folder;
  const std::string path = folder.put("t.csv", houses());
  for (auto* load : {regression, classification}) {
    CHECK(says(refusal({.train = path, .target = "Prise"}, load),
               "t.csv: there is no column \"Prise\"; the columns are price, size, place, country"));
  }
  std::string wide = "c0";
  for (int i = 1; i < 300; ++i) wide += ",c" + std::to_string(i);
  const std::string message = refusal(
      {.train = folder.put("w.csv", wide + '\n' + wide + '\n'), .target = "c_217"}, regression);
  CHECK(says(message, "the columns are c217, "));
  CHECK(says(message, " and 280 more"));
}

TEST_CASE("a column of texts is encoded or refused, as the user chooses") {
  const TemporaryFolder folder;
  DataFiles files = {.train = folder.put("t.csv", houses()), .target = "price"};
  CHECK(load_regression(files).format.inputs.features() == 3);
  files.categories = Categories::refuse;
  CHECK(says(refusal(files, regression), "t.csv:2: column 2 (place): \"sea\" is not a number"));
  // The classes themselves may be texts.
  files = {.train = folder.put("u.csv", "x,kind\n1,a\n2,b\n3,a\n4,b\n"),
           .test_fraction = 0.5,
           .target = "kind",
           .categories = Categories::refuse};
  CHECK(load_classification(files).format.outputs.size() == 2);
}

TEST_CASE("labels are the last columns, found in another file by name") {
  const TemporaryFolder folder;
  const std::string path =
      folder.put("t.csv", "x,k,red,round\n1,u,0,1\n2,v,1,1\n3,u,1,1\n4,v,0,1\n");
  const std::string test = folder.put("u.csv", "round,x,red,k\n0,1,1,v\n");
  const MultiLabelData data = load_multi_label({.train = path, .test = test, .labels = 2});
  CHECK(data.format.outputs.names() == std::vector<std::string>{"red", "round"});
  CHECK(data.train.inputs.sizes() == Shape({4, 3}));
  CHECK(data.train.targets.equal(tensor({{0.0, 1.0}, {1.0, 1.0}, {1.0, 1.0}, {0.0, 1.0}})));
  CHECK(data.test.targets.equal(tensor({{1.0, 0.0}})));
  CHECK(data.notes.back() == "label round: is 1 in all rows to train on");

  const auto again = MultiLabelFormat::from_metadata(data.format.to_metadata(), "m");
  CHECK(again.outputs.names() == data.format.outputs.names());
  CHECK(again.inputs.read(test).equal(data.test.inputs));
  CHECK(says(message_of<IoError>([&] {
               RegressionFormat::from_metadata(data.format.to_metadata(), "m.safetensors");
             }),
             "m.safetensors: is another kind of model: it has no target"));
}

TEST_CASE("what is no label is refused, by line") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text, std::int64_t labels) {
    return refusal({.train = folder.put("t.csv", text), .test_fraction = 0.5, .labels = labels},
                   multi_label);
  };
  const std::string beginning = "x,a,b\n1,0,1\n7,1,0\n8,1,1\n9,1,1\n";
  CHECK(says(refused(beginning + "2,0.5,1\n", 2), "t.csv:6: column a: a label is 0 or 1, not 0.5"));
  CHECK(says(refused(beginning + "2,1,2\n", 2), "t.csv:6: column b: a label is 0 or 1, not 2"));
  CHECK(
      says(refused(beginning + "2,,1\n", 2), "t.csv:6: column a: a label is 0 or 1, not missing"));
  CHECK(says(refused("x,b\n1,1\n2,yes\n3,no\n", 1),
             "t.csv:3: column b: a label is 0 or 1, not \"yes\""));
  for (const std::int64_t labels : {-1, 0, 3, 4}) {
    CHECK(says(refused(beginning, labels), "labels do not fit its 3 columns"));
  }
}

TEST_CASE("tables that leave nothing to learn from are refused") {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& text) { return folder.put("t.csv", text); };
  CHECK(says(refusal({.train = put("x,y\n"), .target = "y"}, regression), "t.csv: has no rows"));
  // A split that leaves one part empty is an error in the file's name.
  CHECK(says(refusal({.train = put("x,y\n1,2\n2,3\n"), .target = "y"}, regression),
             "t.csv: split: a test fraction of 0.2 cuts 2 rows into 0"));
  CHECK(says(refusal({.train = put("x,y\n1,2\n1,3\n"), .test_fraction = 0.5, .target = "y"},
                     classification),
             "t.csv: no column is left to learn from: x: is 1 in all rows; left out"));
  const std::string sound = folder.put("s.csv", "x,y\n1,2\n2,3\n");
  CHECK(says(refusal({.train = sound, .test = put("x,y\n"), .target = "y"}, regression),
             "t.csv: has no rows"));
  CHECK(says(refusal({.train = sound, .test = put("x,y\nred,1\n"), .target = "y"}, regression),
             "t.csv:2: column 1 (x): \"red\" is not a number"));
  CHECK(says(refusal({.train = sound, .test = put("z,y\n1,1\n"), .target = "y"}, regression),
             "there is no column \"x\"; the columns are"));
}

TEST_CASE("a table is not tested on the rows that it was trained on") {
  const TemporaryFolder folder;
  const std::string path = folder.put("t.csv", "x,k,y\n1,a,0\n2,b,1\n3,a,1\n4,b,0\n");
  std::filesystem::create_symlink(path, folder / "link.csv");
  for (const std::string& test : {path, folder / "link.csv", folder / "./t.csv"}) {
    for (auto* load : {regression, multi_label}) {
      CHECK(
          refusal({.train = path, .test = test, .target = "x", .labels = 1}, load) ==
          path +
              ": is given both to train and to test on; leave --test out, and a part of it is held "
              "out");
    }
    CHECK(says(refusal({.train = path, .test = test, .target = "k"}, classification),
               "both to train and to test on"));
  }
}

TEST_CASE("a model of tables without headers takes such tables") {
  const TemporaryFolder folder;
  const std::string rows = "1,5,a\n2,6,b\n3,4,a\n4,1,b\n", path = folder.put("t.csv", rows);
  const ClassificationData data = load_classification(
      {.train = path, .test = folder.put("same.csv", rows), .target = "3", .header = false});
  const auto again = ClassificationFormat::from_metadata(data.format.to_metadata(), "m");
  CHECK(again.inputs.read(path).equal(data.train.inputs));
  CHECK(again.inputs.read(folder.put("new.csv", "1,5\n")).sizes() == Shape({1, 2}));
  CHECK(says(message_of<IoError>([&] { again.inputs.read(folder.put("wide.csv", "0,1,5,a\n")); }),
             "wide.csv: has 4 columns, but the model takes tables of [2, 3]"));

  // Without its first column, which holds the classes, all others have other places.
  const ClassificationData first =
      load_classification({.train = folder.put("u.csv", "a,1,5,7\nb,2,6,7\na,3,4,7\nb,4,1,7\n"),
                           .target = "1",
                           .header = false});
  const auto found = ClassificationFormat::from_metadata(first.format.to_metadata(), "m");
  CHECK(found.inputs.read(folder.put("v.csv", "a,1,5,7\n")).sizes() == Shape({1, 2}));
  CHECK(says(message_of<IoError>([&] { found.inputs.read(folder.put("w.csv", "1,5,7\n")); }),
             "w.csv: has 3 columns, but the model takes tables of [4, 4]"));

  // Nor may a table to test on have a column more before the others.
  CHECK(says(refusal({.train = path,
                      .test = folder.put("x.csv", "0,1,5,a\n1,2,6,b\n"),
                      .target = "3",
                      .header = false},
                     classification),
             "x.csv: has 4 columns, and " + path + " has 3"));
}

TEST_CASE("what a further table has that was not learnt is noted") {
  const TemporaryFolder folder;
  std::string text = "size,place,price\n";
  for (int i = 0; i < 20; ++i)
    text += std::to_string(i) + (i % 2 ? ",hill," : ",sea,") + std::to_string(i % 7) + '\n';
  const std::string path = folder.put("t.csv", text);
  const std::string other =
      folder.put("u.csv", "size,place,price\n1,SEA,1\n,sea,2\n3,,3\n4,HILL,4\n");
  const std::vector<std::string> notes = {
      other + ": size: 1 of 4 cells (25 %) are missing; filled with the mean 9.5",
      other +
          ": place: 1 of 4 cells (25 %) are missing; filled with the shares of the texts that "
          "were learnt",
      other +
          ": place: 2 of 4 cells (50 %) hold texts that were not learnt, the first \"SEA\" on "
          "line 2; filled with the shares of the texts that were learnt"};
  const RegressionData data = load_regression({.train = path, .test = other, .target = "price"});
  REQUIRE(data.notes.size() == 4);  // one says that the column holds texts
  CHECK(std::equal(notes.begin(), notes.end(), data.notes.begin() + 1));
  std::vector<std::string> read;
  CHECK(data.format.inputs.read(other, &read).equal(data.test.inputs));
  CHECK(read == notes);
  read.clear();
  data.format.inputs.read(path, &read);
  CHECK(read.empty());
}

TEST_CASE("a first line of numbers may be a row, and that is noted") {
  const TemporaryFolder folder;
  const std::string path = folder.put("t.csv", "1,5,0\n2,6,1\n3,4,0\n4,1,1\n");
  const auto note_of = [&](bool header) {
    const MultiLabelData data = load_multi_label({.train = path, .labels = 1, .header = header});
    return data.notes.empty() ? "" : data.notes.front();
  };
  CHECK(note_of(true) ==
        path + ": the names in its first line are all numbers; if that is a row, give --no-header");
  CHECK_FALSE(says(note_of(false), "--no-header"));
}

TEST_CASE("a number beyond what float32 can hold of it is refused, by line") {
  const TemporaryFolder folder;
  const std::string train = folder.put("t.csv", "x,y\n0.001,1\n0.002,2\n0.003,4\n0.004,3\n");
  const auto test = [&](const std::string& row) {
    return refusal({.train = train, .test = folder.put("u.csv", "x,y\n" + row), .target = "y"},
                   regression);
  };
  CHECK(test("1e30,1\n").empty());
  CHECK(
      says(test("0.001,1\n1e38,1\n"), "u.csv:3: column x: 1e+38 is too far from what was learnt"));
  CHECK(says(test("0.001,1e300\n"), "u.csv:2: column y: 1e+300 is too far from what was learnt"));
}
