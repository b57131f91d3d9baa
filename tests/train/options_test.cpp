#include <doctest/doctest.h>

#include <initializer_list>

#include <retrace/tests/files.h>
#include <retrace/train/exit.h>
#include <retrace/train/options.h>

using namespace retrace::train;
using retrace::Metadata;
using retrace::ValueError;
using retrace::testing::message_of;

namespace {

const std::vector<std::string_view> kAll = {
    "data",       "test", "test-fraction", "target", "no-header", "epochs", "steps",
    "batch-size", "lr",   "optimizer",     "seed",   "threads",   "json",   "csv",
    "check",      "save", "load",          "predict"};

// A command line and what it was given.
struct Command {
  explicit Command(std::initializer_list<const char*> arguments, std::int64_t width = 8)
      : hidden(width), line("program", "Does something.", kAll) {
    line.add("--hidden", hidden, "neurons");
    std::vector<const char*> argv = {"program"};
    argv.insert(argv.end(), arguments);
    options = line.parse(static_cast<int>(argv.size()), argv.data());
  }
  std::int64_t hidden;
  CommandLine line;
  const Options* options = nullptr;
};

std::string refusal(std::initializer_list<const char*> arguments) {
  return message_of<UsageError>([&] { Command{arguments}; });
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("without arguments everything has its default") {
  const Command command({});
  REQUIRE(command.options != nullptr);
  CHECK(command.options->seed == 0);
  CHECK(command.options->test_fraction == 0.2);
  CHECK_FALSE(command.options->steps.has_value());
  CHECK_FALSE(command.options->check);
  CHECK(command.options->data.empty());
}

TEST_CASE("every option reaches its place") {
  const Command command({"--data",
                         "d",
                         "--target",
                         "t",
                         "--test-fraction",
                         "0.25",
                         "--steps",
                         "7",
                         "--batch-size=3",
                         "--lr",
                         "1e-3",
                         "--optimizer",
                         "adamw",
                         "--seed",
                         "18446744073709551615",
                         "--threads",
                         "2",
                         "--json",
                         "-",
                         "--csv",
                         "c",
                         "--save",
                         "s",
                         "--save-every",
                         "5",
                         "--no-header",
                         "--hidden",
                         "16"});
  const Options& o = *command.options;
  CHECK(o.data == "d");
  CHECK(o.target == "t");
  CHECK(o.test_fraction == 0.25);
  CHECK(o.steps == 7);
  CHECK(o.batch_size == 3);
  CHECK(o.lr == 1e-3);
  CHECK(o.optimizer == "AdamW");
  CHECK(o.seed == 18446744073709551615u);
  CHECK(o.threads == 2);
  CHECK(o.json == "-");
  CHECK(o.csv == "c");
  CHECK(o.save == "s");
  CHECK(o.save_every == 5);
  CHECK(o.no_header);
  CHECK_FALSE(o.resume);
  CHECK(command.hidden == 16);
}

TEST_CASE("--resume saves where it resumes") {
  const Command command({"--resume", "r", "--save-every", "5"});
  CHECK(command.options->resume);
  CHECK(command.options->save == "r");
  CHECK(Command({"--resume", "r", "--save", "r"}).options->resume);
}

TEST_CASE("a command line that makes no sense is refused in one line") {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {"--nonsense"},
           {"stray"},
           {"--seed"},
           {"--seed", "x"},
           {"--seed", "-1"},
           {"--seed", "18446744073709551616"},
           {"--seed", "1", "--seed", "2"},
           {"--steps", "0"},
           {"--steps", "1.5"},
           {"--steps", "-3"},
           {"--steps", "9223372036854775808"},
           {"--epochs", "2", "--steps", "3"},
           {"--batch-size", "0"},
           {"--optimizer", "adan"},
           {"--lr", "0"},
           {"--lr", "-0.1"},
           {"--lr", "nan"},
           {"--lr", "inf"},
           {"--lr", "1,5"},
           {"--lr", "1e999"},
           {"--threads", "0"},
           {"--hidden", "0"},
           {"--hidden", "many"},
           {"--data", ""},
           {"--test", "f"},
           {"--target", "t"},
           {"--test-fraction", "0.3"},
           {"--data", "d", "--test-fraction", "1"},
           {"--data", "d", "--test-fraction", "0"},
           {"--data", "d", "--test", "t", "--test-fraction", "0.5"},
           {"--data", "d", "--check"},
           {"--save-every", "5"},
           {"--save", "a", "--resume", "b"},
           {"--load", "a"},
           {"--predict", "a"},
           {"--out", "a"},
           {"--trace", "a", "--trace-html", "a"},
           {"--csv", "a", "--json", "a"},
           {"--data", "a", "--csv", "a"},
           {"--load", "m", "--predict", "a", "--out", "a"},
           {"--load", "a", "--predict", "b", "--data", "c"},
       }) {
    std::vector<const char*> argv = {"program"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    CommandLine line("program", "Does something.", kAll);
    std::int64_t hidden = 8;
    line.add("--hidden", hidden, "neurons");
    const std::string message =
        message_of<UsageError>([&] { line.parse(static_cast<int>(argv.size()), argv.data()); });
    CAPTURE(arguments[0]);
    CHECK(!message.empty());
    CHECK(message.find('\n') == std::string::npos);
  }
  CHECK(says(refusal({"--nonsense"}), "--nonsense"));
  CHECK(says(refusal({"--steps", "x"}), "--steps"));
  CHECK(says(refusal({"--steps", "x"}), "whole number"));
}

TEST_CASE("a program offers what it names and nothing else") {
  CommandLine line("small", "Little.", {"seed"});
  const std::vector<const char*> argv = {"small", "--steps", "3"};
  CHECK_THROWS_AS(line.parse(3, argv.data()), UsageError);
  const std::string help = line.help();
  CHECK(says(help, "--seed"));
  CHECK_FALSE(says(help, "--steps"));
  CHECK(says(help, "Exit codes"));
  CHECK_THROWS_AS(CommandLine("x", "y", {"nonsense"}), retrace::ValueError);
}

TEST_CASE("the settings of a run are what decides its outcome") {
  const Command command({"--seed", "7", "--lr", "1e-2", "--hidden", "16", "--threads", "2",
                         "--json", "j", "--save", "s"});
  const Metadata settings = command.line.settings();
  CHECK(settings.at("seed") == "7");
  CHECK(settings.at("lr") == "1e-2");
  CHECK(settings.at("hidden") == "16");
  CHECK(settings.at("steps").empty());
  CHECK(settings.at("test-fraction") == "0.2");
  for (const char* other : {"threads", "json", "save", "check"}) CHECK(!settings.contains(other));
}

TEST_CASE("a resumed run takes over what is not on its command line") {
  const Metadata settings =
      Command({"--seed", "7", "--lr", "1e-2", "--hidden", "16", "--steps", "100"}).line.settings();
  Command resumed({"--resume", "r", "--lr", "0.01"});
  resumed.line.adopt(settings);
  CHECK(resumed.options->seed == 7);
  CHECK(resumed.options->lr == 0.01);
  CHECK(resumed.options->steps == 100);
  CHECK(resumed.hidden == 16);
  CHECK(resumed.line.settings().at("seed") == "7");

  Command longer({"--resume", "r", "--steps", "200"});
  longer.line.adopt(settings);
  CHECK(longer.options->steps == 200);
  Command by_epochs({"--resume", "r", "--epochs", "3"});
  by_epochs.line.adopt(settings);
  CHECK(by_epochs.options->epochs == 3);
  CHECK_FALSE(by_epochs.options->steps);
  Command by_steps({"--resume", "r", "--steps", "3"});
  by_steps.line.adopt(Command({"--epochs", "5", "--data", "d", "--no-header"}).line.settings());
  CHECK(by_steps.options->steps == 3);
  CHECK_FALSE(by_steps.options->epochs);
  CHECK(by_steps.options->no_header);

  Command other({"--resume", "r", "--seed", "8", "--batch-size", "2", "--hidden", "16"});
  const std::string message = message_of<UsageError>([&] { other.line.adopt(settings); });
  CHECK(says(message, "--seed 8 (7 before)"));
  CHECK(says(message, "--batch-size 2 (not given before)"));
  CHECK_FALSE(says(message, "hidden"));
}

TEST_CASE("a list of numbers is read, shown and kept as it was given") {
  const auto parse = [](std::vector<const char*> argv, std::vector<double>& levels) {
    CommandLine line("program", "Does something.", {"seed"});
    line.add("--levels", levels, -1, 1, "levels");
    argv.insert(argv.begin(), "program");
    line.parse(static_cast<int>(argv.size()), argv.data());
    CHECK(line.help().find("levels (0.1,0.5)") != std::string::npos);
    return line.settings().at("levels");
  };
  std::vector<double> levels = {0.1, 0.5};
  CHECK(parse({}, levels) == "0.1,0.5");
  CHECK(levels == std::vector<double>{0.1, 0.5});
  CHECK(parse({"--levels", "0.25"}, levels = {0.1, 0.5}) == "0.25");
  CHECK(levels == std::vector<double>{0.25});
  CHECK(parse({"--levels", "-.5,1e-2,.5"}, levels = {0.1, 0.5}) == "-.5,1e-2,.5");
  CHECK(levels == std::vector<double>{-0.5, 0.01, 0.5});
  for (const char* wrong : {"0.1,", ",", "0.1;0.5", "half", "0.1, 0.5", "0.5,0.1", "0.5,0.5",
                            "-1,0", "0,1", "nan", "0.1,nan"}) {
    CHECK_THROWS_AS(parse({"--levels", wrong}, levels = {0.1, 0.5}), UsageError);
    CHECK(levels == std::vector<double>{0.1, 0.5});
  }
}

TEST_CASE("a number is held to the interval that the option has") {
  const auto parse = [](const char* text, const char* interval) {
    CommandLine line("program", "Does something.", {"seed"});
    double value = 0.5;
    line.add("--share", value, interval, "share");
    const char* const argv[] = {"program", "--share", text};
    line.parse(3, argv);
    return value;
  };
  CHECK(parse("1", "(0, 1]") == 1);
  CHECK(parse("0", "[0, inf)") == 0);
  CHECK(parse("1e300", "[0, inf)") == 1e300);
  CHECK(parse("0.25", "(0,1)") == 0.25);
  for (const char* wrong : {"0", "-1", "1.0001", "nan", "inf", "half", ""})
    CHECK_THROWS_AS(parse(wrong, "(0, 1]"), UsageError);
  CHECK_THROWS_AS(parse("inf", "[0, inf)"), UsageError);
  CHECK(says(message_of<UsageError>([&] { parse("2", "(0, 1]"); }), "2 is not a number in (0, 1]"));
  for (const char* none :
       {"from 0 to 1", "", "(0, ", "(0, 1", "0, 1)", "(, 1)", "(0, )", "(0, 1, 2)", "(", "["})
    CHECK_THROWS_AS(parse("1", none), ValueError);
}
