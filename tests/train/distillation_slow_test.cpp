// The example distillation as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "distillation";

// Which of three kinds a fruit is, its size and weight say with some noise.
std::string fruits() {
  std::string text = "size,weight,kind\n";
  for (int i = 0; i < 300; ++i) {
    const int kind = i % 3;
    text += std::to_string(20 * kind + i * 37 % 30) + "," +
            std::to_string(i * 53 % 40 - 10 * kind) +
            (kind == 0   ? ",lime\n"
             : kind == 1 ? ",plum\n"
                         : ",pear\n");
  }
  return text;
}

std::string counting() {
  std::string text;
  for (int i = 0; i < 400; ++i) text += std::to_string(i % 100) + (i % 10 == 9 ? '\n' : ' ');
  return text;
}

}  // namespace

TEST_CASE("a student of the teacher comes near the floor, one of labels does not") {
  const TemporaryFolder folder;
  const auto result = result_of(kName, {"--seed", "1", "--report", folder / "page.html"});
  CHECK(result["data"] == "soft_labels");
  CHECK(result["passed"] == true);
  const double floor = result["floor"].get<double>(), gap = result["gap"].get<double>();
  CHECK(result["population_floor"].get<double>() == doctest::Approx(0.732559).epsilon(1e-6));
  CHECK(gap < 0.02 * floor);
  CHECK(metric(result, "teacher_loss") == doctest::Approx(floor).epsilon(1e-5));
  CHECK(metric(result, "student_soft_loss") == metric(result, "test_loss"));
  CHECK(metric(result, "student_hard_loss") - floor > 3 * gap);
  const std::string page = contents_of(folder / "page.html");
  CHECK(says(page, "All three on the same test"));
  CHECK(says(page, "How probable is class 0"));
  CHECK_FALSE(says(page, "best possible on the test rows"));

  // More labels say more.
  const Outcome more = run_example(kName, {"--seed", "1", "--rows", "20000", "--json", "-"});
  CHECK(metric(json_lines(more.out).back(), "student_hard_loss") < 1.05 * floor);
}

TEST_CASE("a student of low rank reaches the limit of a high temperature") {
  const auto result = result_of(kName, {"--task", "linear", "--seed", "1"});
  CHECK(result["data"] == "linear_teacher");
  CHECK(result["population_floor"].get<double>() == doctest::Approx(0.11).epsilon(1e-9));
  CHECK(std::abs(result["gap"].get<double>()) < 0.005 * result["floor"].get<double>());
}

TEST_CASE("students that learn too little do not pass, and it says why") {
  for (const char* task : {"points", "linear"}) {
    const Outcome outcome = run_example(kName, {"--task", task, "--check", "--steps", "10"});
    CHECK(outcome.code == 5);
    CHECK(says(outcome.err, "the gap is"));
  }
}

TEST_CASE("a teacher of mlp_classifier teaches a student that mlp_classifier can use") {
  const TemporaryFolder folder;
  const std::string data = folder.put("fruits.csv", fruits());
  const std::vector<std::string> of_data = {"--data", data, "--target", "kind", "--json", "-"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), of_data.begin(), of_data.end());
    return more;
  };
  REQUIRE(run_example("mlp_classifier", with({"--save", folder / "teacher"})).code == 0);
  const Outcome learnt = run_example(
      kName, with({"--teacher", folder / "teacher/model.safetensors", "--save", folder / "student",
                   "--width", "8", "--rows", "100", "--steps", "600"}));
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.err, "student of labels alone"));
  const auto lines = json_lines(learnt.out);
  CHECK(lines.front()["stage"] == "labels");
  CHECK(metric(lines.back(), "teacher_loss") < 0.5 * lines.back()["start"].get<double>());
  CHECK(metric(lines.back(), "test_accuracy") > 0.8);

  const Outcome predicted =
      run_example("mlp_classifier", {"--load", folder / "student", "--predict", data});
  CAPTURE(predicted.err);
  REQUIRE(predicted.code == 0);
  const data::Table table = data::read_csv(folder.put("p.csv", predicted.out));
  CHECK(table.column("prediction").texts[0] == "lime");
  CHECK(table.rows() == 300);
  // Resumed at its end, it is the same student.
  const std::string bytes = contents_of(folder / "student/model.safetensors");
  const Outcome resumed = run_example(kName, {"--resume", folder / "student"});
  REQUIRE(resumed.code == 0);
  CHECK(says(resumed.err, "going on after step 600 of 600\n"));
  CHECK(contents_of(folder / "student/model.safetensors") == bytes);

  const Outcome own = run_example(kName, with({"--steps", "100"}));
  CHECK(own.code == 0);
  CHECK(json_lines(own.out).front()["stage"] == "teacher");
  std::string figs;  // so many that some are held out and some are not
  for (int i = 0; i < 30; ++i) figs += "9,9,fig\n";
  check_refused(kName, 3,
                {"--data", folder.put("other.csv", fruits() + figs), "--target", "kind",
                 "--teacher", folder / "teacher"});
}

TEST_CASE("a teacher of tiny_lm teaches a student that tiny_lm can use") {
  const TemporaryFolder folder;
  const std::string data = folder.put("counting.txt", counting());
  REQUIRE(run_example("tiny_lm", {"--data", data, "--steps", "100", "--context", "16", "--layers",
                                  "1", "--heads", "2", "--width", "32", "--generate", "1", "--save",
                                  folder / "teacher"})
              .code == 0);
  const Outcome learnt = run_example(
      kName, {"--data", data, "--teacher", folder / "teacher", "--layers", "1", "--width", "16",
              "--steps", "100", "--save", folder / "student", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto result = json_lines(learnt.out).back();
  CHECK(metric(result, "teacher_loss") < 2.0);
  CHECK(metric(result, "student_soft_loss") < 0.95 * result["start"].get<double>());
  CHECK(metric(result, "student_hard_loss") < 0.95 * result["start"].get<double>());
  const Outcome written =
      run_example("tiny_lm", {"--load", folder / "student", "--prompt", "1 2 ", "--generate", "5"});
  CAPTURE(written.err);
  CHECK(written.code == 0);
  CHECK(written.out.starts_with("1 2 "));

  const std::string table = folder.put("fruits.csv", fruits());
  check_refused(kName, 3, {"--data", table, "--target", "kind", "--teacher", folder / "teacher"});
  check_refused(kName, 2, {"--data", data, "--teacher", folder / "teacher", "--width", "6"});
  check_refused(kName, 3,
                {"--data", folder.put("strange.txt", std::string(200, 'x')), "--teacher",
                 folder / "teacher"});
}

TEST_CASE("distillation: wrong usage gives 2, files that cannot be used 3, each one line") {
  const TemporaryFolder folder;
  const std::string table = folder.put("fruits.csv", fruits());
  const std::string text = folder.put("tiny.txt", "abc");
  const std::pair<int, std::vector<std::string>> calls[] = {
      {2, {"--task", "circles"}},
      {2, {"--temperature", "0"}},
      {2, {"--alpha", "1.5"}},
      {2, {"--rows", "-1"}},
      {2, {"--teacher", "somewhere"}},
      {2, {"--data", table, "--target", "kind", "--check"}},
      {2, {"--data", text, "--rows", "100"}},
      {2, {"--data", text, "--epochs", "2"}},
      {3, {"--data", table}},
      {3, {"--data", text}},
      {3, {"--data", folder / "none.txt"}},
      {3, {"--data", table, "--target", "kind", "--teacher", folder / "none"}},
  };
  for (const auto& call : calls) check_refused(kName, call.first, call.second);
}
