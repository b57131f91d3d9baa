#include <doctest/doctest.h>

#include <cmath>

#include <retrace/data/csv.h>
#include <retrace/data/gzip.h>
#include <retrace/tensor/error.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;
using data::Column;
using data::CsvOptions;
using data::Table;

namespace {

Table read(const std::string& contents, const CsvOptions& options = {}) {
  const TemporaryFolder folder;
  return data::read_csv(folder.put("t.csv", contents), options);
}

// The message from the file's name on.
std::string refusal(const std::string& contents, const CsvOptions& options = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.put("t.csv", contents);
  const std::string message = message_of<IoError>([&] { data::read_csv(path, options); });
  CHECK(message.starts_with(path + ":"));
  return message.substr(std::min(message.size(), path.size() - 5));
}

using Numbers = std::vector<double>;
using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("csv: numbers and texts by column") {
  const Table table = read("size, kind ,price\n1,cat,2.5\n-2e3,dog,+4\n 7 , cat,.5\n");
  CHECK(table.names == Texts{"size", "kind", "price"});
  CHECK(table.rows() == 3);
  CHECK(table.columns[0].numbers == Numbers{1, -2000, 7});
  CHECK(table.column("kind").is_text);
  CHECK(table.column("kind").texts == Texts{"cat", "dog", "cat"});
  CHECK(table.column("price").numbers == Numbers{2.5, 4, 0.5});
  CHECK(table.contains("price"));
  CHECK_FALSE(table.contains("prices"));
  CHECK(table.lines == std::vector<std::int64_t>{2, 3, 4});
  CHECK(says(message_of<IoError>([&] { table.column("prices"); }),
             "there is no column \"prices\"; the columns are price, size, kind"));
}

TEST_CASE("csv: without a header columns are counted") {
  const Table table = read("1;2\n3;4", {.separator = ';', .header = false});
  CHECK(table.names == Texts{"1", "2"});
  CHECK(table.column("2").numbers == Numbers{2, 4});
  CHECK(
      says(refusal(std::string(1 << 20, ','), {.header = false}), "1: more than 1048576 columns"));
}

TEST_CASE("csv: quotes") {
  const Table table = read("a,\"b \"\"x\"\"\"\n\"one,\ntwo\",1\n\"\",\"2\"\n\"say \"\"hi\"\"\",3");
  CHECK(table.names == Texts{"a", "b \"x\""});
  CHECK(table.columns[0].texts == Texts{"one,\ntwo", "", "say \"hi\""});
  CHECK(table.columns[0].missing == std::vector<bool>{false, true, false});
  CHECK(table.columns[1].numbers == Numbers{1, 2, 3});
  CHECK(table.lines == std::vector<std::int64_t>{2, 4, 5});
  CHECK(read("size\n5\" pipe\n3\" pipe\n").columns[0].texts == Texts{"5\" pipe", "3\" pipe"});
}

TEST_CASE("csv: spaces around a field are left out, within quotes they are kept") {
  const Table table = read(
      "a,\" b \", c\n x ,\" x\", \"u, v\" \n\"y\"\t,\"x \",\t\" \"\"w\"\"\"\n\"  \",\" NA \",z");
  CHECK(table.names == Texts{"a", " b ", "c"});
  CHECK(table.columns[0].texts == Texts{"x", "y", ""});
  CHECK(table.columns[1].texts == Texts{" x", "x ", ""});
  CHECK(table.columns[2].texts == Texts{"u, v", " \"w\"", "z"});
  CHECK(table.columns[0].missing == std::vector<bool>{false, false, true});
  CHECK(table.columns[1].missing == std::vector<bool>{false, false, true});
  CHECK(read("n\n\" 7 \"\n 8 \n").columns[0].numbers == Numbers{7, 8});
  // What separates is no blank.
  const Table tabs = read("a\tb\tc\n\t\"x\t\"\t y\n \tz\t\n", {.separator = '\t'});
  CHECK(tabs.columns[0].missing == std::vector<bool>{true, true});
  CHECK(tabs.columns[1].texts == Texts{"x\t", "z"});
  CHECK(tabs.columns[2].texts == Texts{"y", ""});
  CHECK(says(refusal("a,b\n1, \"x\" y\n"), "t.csv:2: column 2: text follows the closing quote"));
  CHECK(refusal("a,\" \"\n1,2\n") == "t.csv:1: column 2 has no name");
}

TEST_CASE("csv: line ends, byte order mark, blank end") {
  const Table expected = read("a,b\n1,2\n3,4\n");
  for (const char* text : {"a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4", "a,b\n1,2\n3,4",
                           "\xef\xbb\xbf"
                           "a,b\n1,2\n3,4\n\n\r\n\n"}) {
    const Table table = read(text);
    CHECK(table.names == expected.names);
    CHECK(table.columns[1].numbers == Numbers{2, 4});
    CHECK(table.lines == expected.lines);
  }
  CHECK(read("a\n1\n\n3").columns[0].missing == std::vector<bool>{false, true, false});
  CHECK(read("a,b\n").rows() == 0);
  CHECK(read("a,b\n1,\n").columns[1].missing == std::vector<bool>{true});
}

TEST_CASE("csv: missing values") {
  const Table table = read("x,k\n1,a\n?,\n NA ,b\nnan,?\n");
  CHECK(table.columns[0].missing == std::vector<bool>{false, true, true, true});
  CHECK(std::isnan(table.columns[0].numbers[1]));
  CHECK(table.columns[1].texts == Texts{"a", "", "b", ""});
  CHECK(read("x\n-999\n1\n", {.missing = {"-999"}}).columns[0].missing ==
        std::vector<bool>{true, false});
  CHECK(says(refusal("x\nnan\n", {.missing = {}}), "t.csv:2: column 1 (x): \"nan\" is not finite"));
}

TEST_CASE(
    "csv: a stray text in a column of numbers is an error, an odd number among texts is not") {
  std::string ten = "id,value\n";
  for (int i = 0; i < 9; ++i) ten += std::to_string(i) + ",1\n";
  CHECK(says(refusal(ten + "9,\"1,5\"\n"),
             "t.csv:11: column 2 (value): \"1,5\" is not a number, and its column must hold "
             "numbers"));
  CHECK(says(refusal(ten + "9,\"two\nlines\"\n"), "t.csv:11: column 2 (value): \"two lines\""));
  CHECK(read("ticket\nA1\n113\n114\n").columns[0].is_text);
  CHECK(says(refusal("ticket\n113\n114\n115\n116\nA1\n"), "t.csv:6: column 1 (ticket): \"A1\""));
  CHECK(says(refusal("ticket,b\nA1,x\n113,y\n", {.number_columns = {"ticket"}}),
             "t.csv:2: column 1 (ticket): \"A1\""));
  CHECK(says(refusal("a,b\n1,x\n2,y\n", {.text_columns = {"a"}, .numbers_only = true}),
             "t.csv:2: column 2 (b): \"x\""));
  CHECK(read("zip\n01234\n98765\n", {.text_columns = {"zip"}}).columns[0].texts ==
        Texts{"01234", "98765"});
  CHECK(says(refusal("a\n1\n", {.text_columns = {"b"}}), "no column \"b\""));
  CHECK(says(refusal("x\n1\n1e-400\n"),
             "t.csv:3: column 1 (x): \"1e-400\" is too large or too small"));
  CHECK(says(refusal("x\n1e400\n"), "too large or too small"));
  CHECK(says(refusal("x\ninf\n"), "not finite"));
  CHECK(read("x\n4.9e-324\n1.7976931348623157e308\n").columns[0].numbers ==
        Numbers{4.9e-324, 1.7976931348623157e308});
  for (const char* text : {"0x10", "1_000", "1 2", "--1", "+-1", "1.5.2", "1e", "e5", "."}) {
    CHECK(read(std::string("x\n") + text + "\n").columns[0].is_text);
  }
}

TEST_CASE("csv: whole numbers are held to the last digit or refused") {
  CHECK(read("x\n9007199254740992\n-9007199254740994\n00018014398509481984\n+36028797018963968\n")
            .columns[0]
            .numbers ==
        Numbers{9007199254740992.0, -9007199254740994.0, 18014398509481984.0, 36028797018963968.0});
  CHECK(read("x\n1e300\n9007199254740993.5\n9.007199254740993e15\n").columns[0].numbers.size() ==
        3);
  CHECK(read("x\n1" + std::string(22, '0') + "\n").columns[0].numbers == Numbers{1e22});
  for (const std::string& number :
       {std::string("9007199254740993"), std::string("-9007199254740993"),
        std::string("9223372036854775807"), '1' + std::string(300, '0')}) {
    CAPTURE(number);
    CHECK(says(refusal("a,x\n1,2\n1," + number + "\n"),
               "t.csv:3: column 2 (x): \"" + number.substr(0, 40)));
    CHECK(says(refusal("a,x\n1,2\n1," + number + "\n"),
               "is a whole number that float64 cannot hold to the last digit; write a quantity "
               "with fewer digits"));
    CHECK(read("x\n" + number + "\n", {.text_columns = {"x"}}).columns[0].texts == Texts{number});
  }
}

TEST_CASE("csv: each way to be broken names file, line and column") {
  CHECK(refusal("") == "t.csv: is empty");
  CHECK(refusal("\n\r\n") == "t.csv: is empty");
  CHECK(refusal("a,b\n1,2\n3\n") == "t.csv:3: 1 fields, but the first line has 2");
  CHECK(refusal("a,b\n1,2,3\n") == "t.csv:2: 3 fields, but the first line has 2");
  CHECK(refusal("a,b\n1,2\n\n3,4\n") == "t.csv:3: 1 fields, but the first line has 2");
  CHECK(refusal("1,2\n3\n", {.header = false}) == "t.csv:2: 1 fields, but the first line has 2");
  CHECK(refusal("a,b\n1,\"x\n2,y\n") == "t.csv:2: column 2: a quote is opened and never closed");
  CHECK(says(refusal("a,b\n\"x\"y,2\n"), "t.csv:2: column 1: text follows the closing quote"));
  CHECK(says(refusal(std::string("a,b\n1,x\0y\n", 10)), "t.csv:2: column 2: a NUL byte"));
  CHECK(refusal("a,,c\n1,2,3\n") == "t.csv:1: column 2 has no name");
  CHECK(refusal("a,b,a\n1,2,3\n") == "t.csv:1: column 3: the name \"a\" comes twice");
  CHECK(says(refusal("a,b\n1,2\n3,\xff\n"), "t.csv:3: byte 0xff is not UTF-8"));
  CHECK(says(refusal(std::string("\xff\xfe"
                                 "a\0",
                                 4)),
             "UTF-16"));
  CHECK_THROWS_AS(read("a\n1\n", {.separator = '"'}), ValueError);
  CHECK(says(message_of<IoError>([] { data::read_csv("/no/such.csv"); }), "/no/such.csv: "));
}

TEST_CASE("csv: messages show the beginning of long values, and no half characters") {
  std::string rows = "x\n";
  for (int i = 0; i < 9; ++i) rows += "1\n";
  const std::string message = refusal(rows + std::string(39, 'y') + "\xe2\x82\xac\xe2\x82\xac\n");
  CHECK(says(message, '"' + std::string(39, 'y') + "...\" is not"));
}

TEST_CASE("csv: gzip, and one line of 100 MB") {
  const TemporaryFolder folder;
  data::write_gzip(folder / "t.csv.gz", "a,b\n1,2\n");
  CHECK(data::read_csv(folder / "t.csv.gz").columns[1].numbers == Numbers{2});

  const std::string path = folder.put("long.csv", "a,b\n1," + std::string(100'000'000, 'x') + "\n");
  const Table table = data::read_csv(path);
  CHECK(table.columns[1].texts[0].size() == 100'000'000);
  folder.put("long.csv", "a\n" + std::string(50'000'000, ','));
  CHECK(says(message_of<IoError>([&] { data::read_csv(path); }), "50000001 fields"));
}
