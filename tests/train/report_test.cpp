#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include <retrace/tests/files.h>
#include <retrace/train/exit.h>
#include <retrace/train/report.h>

using namespace retrace::train;
using retrace::testing::contents_of;
using retrace::testing::message_of;
using retrace::testing::TemporaryFolder;

TEST_CASE("JSON keeps every number and text") {
  const JsonObject inner = JsonObject().add("a", 1.5);
  const std::string text = JsonObject()
                               .add("name", "a \"quoted\\\" \n\x01 text, é 日本 😀")
                               .add("third", 1.0 / 3)
                               .add("tenth", 0.1)
                               .add("float", static_cast<double>(0.1f))
                               .add("tiny", 5e-324)
                               .add("huge", 1.7976931348623157e308)
                               .add("seed", std::numeric_limits<std::uint64_t>::max())
                               .add("low", std::numeric_limits<std::int64_t>::min())
                               .add("yes", true)
                               .add("inner", inner)
                               .add("empty", JsonObject())
                               .str();
  const auto json = nlohmann::json::parse(text);
  CHECK(json["name"] == "a \"quoted\\\" \n\x01 text, é 日本 😀");
  CHECK(json["third"].get<double>() == 1.0 / 3);
  CHECK(json["tenth"].get<double>() == 0.1);
  CHECK(json["tiny"].get<double>() == 5e-324);
  CHECK(json["huge"].get<double>() == 1.7976931348623157e308);
  CHECK(json["seed"].get<std::uint64_t>() == std::numeric_limits<std::uint64_t>::max());
  CHECK(json["low"].get<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(json["yes"] == true);
  CHECK(json["inner"]["a"] == 1.5);
  CHECK(json["empty"].is_object());
  CHECK(text.find("\"float\":0.1,") != std::string::npos);
  CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("what is not finite or not known is null") {
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(JsonObject().add("a", std::nan("")).add("b", infinity).add("c", -infinity).str() ==
        R"({"a":null,"b":null,"c":null})");
  CHECK(JsonObject().add("a", std::optional<double>()).add("b", std::optional<bool>(false)).str() ==
        R"({"a":null,"b":false})");
  CHECK(number_text(std::nan("")).empty());
}

TEST_CASE("bytes that are no UTF-8 become the replacement character") {
  for (const std::string text : {"\xff", "\xc3", "\xe2\x82", "\xed\xa0\x80", "\xc0\x80",
                                 "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\x80z"}) {
    const auto json = nlohmann::json::parse(JsonObject().add("t", text).str());
    CHECK(json["t"].get<std::string>().find("\xef\xbf\xbd") != std::string::npos);
  }
}

TEST_CASE("a report writes a line for each step and event") {
  const TemporaryFolder folder;
  {
    Report report(folder / "r.jsonl", folder / "r.csv", false);
    report.step({.step = 1, .loss = 0.5, .lr = 0.01, .gradient_norm = {}, .seconds = 0.25});
    report.step({.step = 2, .loss = std::nan(""), .lr = {}, .gradient_norm = 2.0, .seconds = 0.5});
    report.event(JsonObject().add("event", "result"));
    report.flush();
    CHECK(contents_of(folder / "r.jsonl") ==
          "{\"event\":\"step\",\"step\":1,\"loss\":0.5,\"lr\":0.01,\"gradient_norm\":null,"
          "\"seconds\":0.25}\n"
          "{\"event\":\"step\",\"step\":2,\"loss\":null,\"lr\":null,\"gradient_norm\":2,"
          "\"seconds\":0.5}\n"
          "{\"event\":\"result\"}\n");
    CHECK(contents_of(folder / "r.csv") ==
          "step,loss,lr,gradient_norm,seconds,stage\n1,0.5,0.01,,0.25,\n2,,,2,0.5,\n");
  }
  Report more(folder / "r.jsonl", folder / "r.csv", true);
  more.step({.step = 3, .loss = 1});
  more.flush();
  CHECK(contents_of(folder / "r.csv").ends_with("\n2,,,2,0.5,\n3,1,,,0,\n"));
  Report nothing("", "", false);
  nothing.step({.step = 1, .loss = 1});
}

TEST_CASE("a resumed run's CSV has its header also when the file is new") {
  const TemporaryFolder folder;
  Report report("", folder / "r.csv", true);
  report.flush();
  CHECK(contents_of(folder / "r.csv") == "step,loss,lr,gradient_norm,seconds,stage\n");
}

TEST_CASE("a report replaces what was there when it has something to say, and not before") {
  const TemporaryFolder folder;
  const std::string rows = "step,loss,lr,gradient_norm,seconds,stage\n1,2,,,3,\n";
  const std::string csv = folder.put("r.csv", rows),
                    json = folder.put("r.jsonl", "{\"event\":\"result\"}\n");
  { Report nothing(json, csv, false); }
  CHECK(contents_of(csv) == rows);
  CHECK(contents_of(json) == "{\"event\":\"result\"}\n");
  Report report(json, csv, false);
  report.step({.step = 1, .loss = 0.5});
  report.sync();
  CHECK(contents_of(csv) == "step,loss,lr,gradient_norm,seconds,stage\n1,0.5,,,0,\n");
  CHECK(contents_of(json).starts_with("{\"event\":\"step\",\"step\":1,"));
}

TEST_CASE("two reports do not write into one file") {
  const TemporaryFolder folder;
  Report first(folder / "r.jsonl", folder / "r.csv", false);
  first.step({.step = 1, .loss = 0.5});
  first.flush();
  const std::string rows = contents_of(folder / "r.csv");
  for (const bool append : {false, true}) {
    CHECK(message_of<WriteError>([&] { Report("", folder / "r.csv", append); }) ==
          (folder / "r.csv") +
              ": is being written already, by another process or for another "
              "option");
    CHECK_THROWS_AS(Report(folder / "r.jsonl", "", append), WriteError);
  }
  // The rest of a line that the first was to write stays its own.
  first.go_on_after("", 0, 0);
  first.step({.step = 1, .loss = 0.25});
  first.flush();
  CHECK(contents_of(folder / "r.csv") != rows);
  CHECK_THROWS_AS(Report("", folder / "r.csv", true), WriteError);
  Report null("/dev/null", "", false), also_null("/dev/null", "", false);
}

TEST_CASE("a result stays until something follows it") {
  const TemporaryFolder folder;
  const std::string step = "{\"event\":\"step\",\"step\":1,\"seconds\":1}\n",
                    result = "{\"event\":\"result\",\"example\":\"x\"}\n";
  const std::string path = folder.put("r.jsonl", step + result);
  {
    Report report(path, "", true);
    report.go_on_after("", 1, 0);
  }
  CHECK(contents_of(path) == step + result);
  {
    Report report(path, "", true);
    report.go_on_after("", 1, 0);
    report.event(JsonObject().add("event", "result"));
  }
  CHECK(contents_of(path) == step + "{\"event\":\"result\"}\n");
}

TEST_CASE("what a report has written is known from other files") {
  const TemporaryFolder folder;
  {
    Report report(folder / "r.jsonl", folder / "r.csv", false);
    report.step({.step = 1, .loss = 0.5});
  }
  CHECK(has_steps(folder / "r.jsonl"));
  CHECK(has_steps(folder / "r.csv"));
  for (const std::string& other : {folder.put("t.csv", "x,y\n1,2\n"), folder.put("empty", ""),
                                   folder / "none", folder.path(), std::string("-")})
    CHECK_FALSE(has_steps(other));
}

TEST_CASE("a report that cannot be written says where and why") {
  const TemporaryFolder folder;
  const std::string missing = folder / "no/such/file";
  CHECK(message_of<WriteError>([&] { Report(missing, "", false); }).starts_with(missing));
  CHECK_THROWS_AS(Report("", folder.path(), false), WriteError);
  Report full("/dev/full", "", false);
  full.event(JsonObject());
  CHECK(message_of<WriteError>([&] { full.flush(); }).find("No space") != std::string::npos);
}

TEST_CASE("what is appended begins on a line of its own, whatever a killed process left") {
  const TemporaryFolder folder;
  const std::string header = "step,loss,lr,gradient_norm,seconds,stage\n";
  for (const auto& [before, kept] : std::vector<std::pair<std::string, std::string>>{
           {header + "1,0.5,,,0,\n2,0.4", header + "1,0.5,,,0,\n"},
           {header + "1,0.5,,,0,\n", header + "1,0.5,,,0,\n"},
           {"step,lo", header},
           {"", header}}) {
    Report report("", folder.put("r.csv", before), true);
    report.step({.step = 2, .loss = 0.25});
    report.flush();
    CHECK(contents_of(folder / "r.csv") == kept + "2,0.25,,,0,\n");
  }
}

TEST_CASE("a report takes the place of a report, and of nothing else") {
  const TemporaryFolder folder;
  const std::string table = folder.put("flowers.csv", "width,species\n1,setosa\n");
  for (const bool append : {false, true}) {
    CHECK(message_of<WriteError>([&] { Report("", table, append); }).starts_with(table));
    CHECK(message_of<WriteError>([&] { Report(table, "", append); }).starts_with(table));
  }
  CHECK(contents_of(table) == "width,species\n1,setosa\n");
  for (int i = 0; i < 2; ++i) {
    Report report(folder / "r.jsonl", folder / "r.csv", false);
    report.event(JsonObject().add("event", "result"));
    report.step({.step = 1, .loss = 0.5});
  }
}

namespace {

// A report that had these texts, after a run went on behind a step of a stage and made one more.
struct GoneOn {
  GoneOn(const std::string& json_before, const std::string& csv_before, const std::string& stage,
         std::int64_t done) {
    const TemporaryFolder folder;
    const std::string json_path = folder.put("r.jsonl", json_before),
                      csv_path = folder.put("r.csv", kHeader + csv_before);
    {
      Report report(json_path, csv_path, true);
      report.go_on_after(stage, done, 0.5);
      report.step({.stage = stage, .step = done + 1, .loss = 9, .seconds = 0.75});
    }
    json = contents_of(json_path);
    csv = contents_of(csv_path);
    REQUIRE(csv.starts_with(kHeader));
    csv.erase(0, kHeader.size());
  }
  std::string json, csv;

  inline static const std::string kHeader = "step,loss,lr,gradient_norm,seconds,stage\n";
};

std::string json_step(int step, double seconds, const std::string& stage = "") {
  JsonObject object;
  object.add("event", "step");
  if (!stage.empty()) object.add("stage", stage);
  object.add("step", std::int64_t{step}).add("loss", 9.0).add("lr", std::optional<double>());
  return object.add("gradient_norm", std::optional<double>()).add("seconds", seconds).str() + "\n";
}

std::string json_validation(int step) {
  const JsonObject object = JsonObject().add("event", "validation").add("step", std::int64_t{step});
  return JsonObject(object).add("validation_loss", 1.0).str() + "\n";
}

const std::string kResult = "{\"event\":\"result\",\"example\":\"x\"}\n";

}  // namespace

TEST_CASE("a run that goes on makes no step twice in its files") {
  // Rows after the checkpoint, a validation among them, and half a line.
  const GoneOn killed(json_step(1, 1) + json_step(2, 2) + json_validation(2) + json_step(3, 3) +
                          json_step(4, 4) + json_validation(4) + "{\"event\":\"st",
                      "1,9,,,1,\n2,9,,,2,\n3,9,,,3,\n4,9,,,4,\n5,9,,", "", 2);
  CHECK(killed.json == json_step(1, 1) + json_step(2, 2) + json_validation(2) + json_step(3, 2.25));
  CHECK(killed.csv == "1,9,,,1,\n2,9,,,2,\n3,9,,,2.25,\n");
  // One that had ended, and is to take more steps.
  const GoneOn ended(json_step(1, 1) + json_step(2, 2) + kResult, "1,9,,,1,\n2,9,,,2,\n", "", 2);
  CHECK(ended.json == json_step(1, 1) + json_step(2, 2) + json_step(3, 2.25));
  CHECK(ended.csv == "1,9,,,1,\n2,9,,,2,\n3,9,,,2.25,\n");
  // Killed before the first checkpoint.
  const GoneOn anew(json_step(1, 1) + json_step(2, 2), "1,9,,,1,\n2,9,,,2,\n", "", 0);
  CHECK(anew.json == json_step(1, 0.75));
  CHECK(anew.csv == "1,9,,,0.75,\n");
  // Files that have nothing yet.
  const GoneOn empty("", "", "", 7);
  CHECK(empty.json == json_step(8, 0.75));
  CHECK(empty.csv == "8,9,,,0.75,\n");
}

TEST_CASE("of several trainings in one file only that which goes on is cut") {
  const std::string first = json_step(1, 1, "sft") + json_step(2, 2, "sft");
  const GoneOn second(first + json_step(1, 3) + json_validation(1) + json_step(2, 4),
                      "1,9,,,1,sft\n2,9,,,2,sft\n1,9,,,3,\n2,9,,,4,\n", "", 1);
  CHECK(second.json == first + json_step(1, 3) + json_validation(1) + json_step(2, 3.25));
  CHECK(second.csv == "1,9,,,1,sft\n2,9,,,2,sft\n1,9,,,3,\n2,9,,,3.25,\n");
  // A checkpoint of the first was lost, and none of the second.
  const GoneOn lost(first + json_step(1, 3) + json_validation(1),
                    "1,9,,,1,sft\n2,9,,,2,sft\n1,9,,,3,\n", "sft", 1);
  CHECK(lost.json ==
        json_step(1, 1, "sft") + json_step(1, 3) + json_validation(1) + json_step(2, 1.25, "sft"));
  CHECK(lost.csv == "1,9,,,1,sft\n1,9,,,3,\n2,9,,,1.25,sft\n");
  // A stage may be called like anything.
  const std::string strange = ",\"step\":7";
  const GoneOn odd(json_step(1, 1, strange) + json_step(2, 2, strange), "", strange, 1);
  CHECK(odd.json == json_step(1, 1, strange) + json_step(2, 1.25, strange));
}

TEST_CASE("what cannot be cut is left") {
  Report full("/dev/null", "", true);
  CHECK_NOTHROW(full.go_on_after("", 3, 0));
  const TemporaryFolder folder;
  const std::string other = "{\"event\":\"step\"}\n{\"event\":\"of another version\",\"step\":9}\n";
  const GoneOn strange(other, "no,row\nx,y,,,z,\n", "", 2);
  CHECK(strange.json == other + json_step(3, 0.75));
  CHECK(strange.csv == "no,row\nx,y,,,z,\n3,9,,,0.75,\n");
}
