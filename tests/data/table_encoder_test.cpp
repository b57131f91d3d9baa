#include <doctest/doctest.h>

#include <cmath>

#include <retrace/data/table_encoder.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::data;
using testing::message_of;
using testing::says;
using testing::TemporaryFolder;

namespace {

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
  CHECK(encoder.notes() ==
        std::vector<std::string>{"colour: holds texts; each of its 2 becomes a feature"});
  CHECK(encoder.number_columns() == std::vector<std::string>{"a"});
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
  REQUIRE(encoder.notes().size() == 3);
  CHECK(encoder.notes()[0] == "a: 1 of 4 cells (25 %) are missing; filled with the mean 2");
}

TEST_CASE("columns that say nothing are left out, with a note") {
  const TemporaryFolder folder;
  std::string text = "id,constant,nothing,word,tenth,a\n";
  for (int i = 0; i < 150; ++i) {
    text += "n" + std::to_string(i) + ",7,,same,0.1," + std::to_string(i % 3) + "\n";
  }
  const Table table = read_csv(folder.put("t.csv", text));
  const TableEncoder encoder(table, all_rows(table), {});
  CHECK(encoder.features() == 1);
  CHECK(encoder.notes() == std::vector<std::string>{"id: has 150 different texts; left out",
                                                    "constant: is 7 in all rows; left out",
                                                    "nothing: has no values; left out",
                                                    "word: is same in all rows; left out",
                                                    "tenth: is 0.1 in all rows; left out"});
  const std::string message =
      message_of<IoError>([&] { TableEncoder(table, all_rows(table), {"a"}); });
  CHECK(says(message, "t.csv: no column is left to learn from: id: has 150"));
}

TEST_CASE("numbers of any size have their deviation") {
  const TemporaryFolder folder;
  for (const std::string exponent : {"e-320", "e-200", "e-154", "e0", "e154", "e200", "e307"}) {
    CAPTURE(exponent);
    const Table table = read_csv(folder.put(
        "t.csv", "a\n1" + exponent + "\n2" + exponent + "\n3" + exponent + "\n4" + exponent));
    const TableEncoder encoder(table, all_rows(table), {});
    CHECK(encoder.notes().empty());
    const auto x = encoder.encode(table).to_vector<float>();
    for (std::size_t i = 0; i < 4; ++i) {
      const double expected = (static_cast<double>(i) - 1.5) / std::sqrt(1.25);
      CHECK(x[i] == doctest::Approx(expected).epsilon(exponent == "e-320" ? 1e-3 : 1e-6));
    }
  }
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
                             "[{\"name\":\"a\",\"levels\":[\"x\"],\"shares\":[]}]",
                             "[{\"name\":\"a\",\"levels\":[\"y\",\"x\"],\"shares\":[0.5,0.5]}]",
                             "[{\"name\":\"a\",\"levels\":[\"x\",\"x\"],\"shares\":[0.5,0.5]}]"}) {
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
  CHECK(says(
      message_of<IoError>([&] { encoder.encode(read_csv(folder.put("v.csv", "b,c\nx,1\n"))); }),
      "no column \"a\"; the columns are b, c"));
  CHECK(says(
      message_of<IoError>([&] { encoder.encode(read_csv(folder.put("w.csv", "a,b\nred,x\n"))); }),
      "column a holds texts"));
}
