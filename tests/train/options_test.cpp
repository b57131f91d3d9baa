#include <doctest/doctest.h>

#include <filesystem>
#include <initializer_list>

#include <retrace/tests/files.h>
#include <retrace/train/exit.h>
#include <retrace/train/options.h>

using namespace retrace::train;
using retrace::Metadata;
using retrace::ValueError;
using retrace::testing::message_of;
using retrace::testing::says;

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

TEST_CASE("no two options write one file, which need not be there, by whatever names") {
  namespace fs = std::filesystem;
  const retrace::testing::TemporaryFolder folder;
  const std::string file = folder / "q", dotted = folder / "./q", link = folder / "link",
                    other = folder / "other";
  fs::create_directory(folder / "in");
  const std::string back = folder / "in/../q", far = folder / "in/far";
  fs::create_symlink("q", link), fs::create_symlink(link, other), fs::create_symlink("../q", far);
  for (const std::string& name : {file, dotted, link, other, back, far}) {
    CAPTURE(name);
    CHECK(refusal({"--trace", file.c_str(), "--trace-html", name.c_str()}) ==
          "--trace and --trace-html name the same file");
    CHECK(refusal({"--json", name.c_str(), "--csv", link.c_str()}) ==
          "--json and --csv name the same file");
    CHECK(refusal({"--trace", name.c_str(), "--save", file.c_str()}) ==
          "--trace and --save name the same file");
  }
  const std::string apart = folder / "in/q", closed = folder / "no/q", closed_too = folder / "no/p";
  CHECK(refusal({"--trace", file.c_str(), "--trace-html", apart.c_str()}).empty());
  CHECK(refusal({"--trace", closed.c_str(), "--trace-html", closed_too.c_str()}).empty());
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

  for (const Metadata& before :
       {Metadata{{"seed", "-1"}}, Metadata{{"hidden", "many"}}, Metadata{{"lr", "a\nb"}}}) {
    Command older({"--resume", "r"});
    const std::string refused = message_of<UsageError>([&] { older.line.adopt(before); });
    CHECK(says(refused,
               "the run that is resumed does not fit this program: --" + before.begin()->first));
    CHECK_FALSE(says(refused, "\n"));
  }
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

namespace {

// Options of a program's own that say something only beside others.
struct Dependent {
  explicit Dependent(std::initializer_list<const char*> arguments)
      : line("program", "Does something.", kAll) {
    line.add("--loss", loss, {"hinge", "focal", "triplet"}, "which loss");
    line.add("--gamma", gamma, "[0, inf)", "how far").needs({"--loss focal", "--loss triplet"});
    line.add("--balance", balance, "rare rows more often")
        .needs({"--data"})
        .needs({"--loss hinge"});
    line.add("--share", share, "[0, 1]", "of what is generated").excludes({"--data", "--balance"});
    line.add("--prompt", prompt, "what to go on with").with_load();
    line.add("--fill", fill, "a text with blanks").needs({"--data", "--load"});
    std::vector<const char*> argv = {"program"};
    argv.insert(argv.end(), arguments);
    line.parse(static_cast<int>(argv.size()), argv.data());
  }
  std::string loss = "hinge", prompt, fill;
  double gamma = 2, share = 0.5;
  bool balance = false;
  CommandLine line;
};

}  // namespace

TEST_CASE("an option that would say nothing is refused, and the help says what it needs") {
  const auto refused = [](std::initializer_list<const char*> arguments) {
    return message_of<UsageError>([&] { Dependent{arguments}; });
  };
  CHECK(says(refused({"--gamma", "1"}), "--gamma needs --loss focal or triplet"));
  CHECK(says(refused({"--gamma", "2"}), "--gamma needs"));  // its default, but given
  CHECK(Dependent({"--gamma", "1", "--loss", "focal"}).gamma == 1);
  CHECK(Dependent({"--gamma", "1", "--loss", "triplet"}).gamma == 1);
  // One of each, and a value by default is one.
  CHECK(says(refused({"--balance"}), "--balance needs --data"));
  CHECK(says(refused({"--balance", "--data", "d", "--loss", "focal"}), "--balance needs --loss"));
  CHECK(Dependent({"--balance", "--data", "d"}).balance);
  CHECK(says(refused({"--share", "1", "--data", "d"}), "--share says nothing with --data"));
  CHECK(Dependent({"--share", "1"}).share == 1);

  // What is loaded is not trained.
  const auto loaded = [&](std::vector<const char*> arguments) {
    return message_of<UsageError>([&] {
      CommandLine line("program", "Does something.", {"steps", "lr", "data", "load"});
      double beta = 1;
      std::string prompt, fill;
      line.add("--beta", beta, "[0, inf)", "how far");
      line.add("--prompt", prompt, "what to go on with").with_load();
      line.add("--fill", fill, "a text with blanks").needs({"--data", "--load"});
      arguments.insert(arguments.begin(), {"program", "--load", "m"});
      line.parse(static_cast<int>(arguments.size()), arguments.data());
    });
  };
  CHECK(loaded({"--prompt", "a", "--fill", "_"}).empty());
  CHECK(says(loaded({"--beta", "1"}), "--beta and --load exclude each other"));
  CHECK(says(loaded({"--steps", "1"}), "--load and --steps exclude each other"));
  CHECK(says(loaded({"--lr", "1"}), "--load and --lr exclude each other"));

  const std::string help = Dependent({}).line.help();
  CHECK(says(help, "With --loss focal or triplet: how far (2)"));
  CHECK(says(help, "With --data and --loss hinge: rare rows"));
  CHECK(says(help, "With --data or --load: a text"));

  // What a name is misspelt in is a mistake of the program.
  CommandLine line("program", "Does something.", {"seed"});
  bool flag = false;
  line.add("--flag", flag, "a flag").needs({"--dta"});
  const char* const argv[] = {"program", "--flag"};
  CHECK(says(message_of<ValueError>([&] { line.parse(2, argv); }), "--dta"));
}

TEST_CASE("what a resumed run was begun with counts for what needs it") {
  const Metadata begun = Dependent({"--loss", "focal", "--data", "d"}).line.settings();
  Dependent resumed({"--resume", "r", "--gamma", "2", "--target", "t"});
  const std::string differs = message_of<UsageError>([&] { resumed.line.adopt(begun); });
  CHECK(says(differs, "--target t"));
  CHECK_FALSE(says(differs, "gamma"));
  Dependent other({"--resume", "r", "--gamma", "2"});
  other.line.adopt(begun);
  CHECK(other.loss == "focal");
  // In a folder without a run nothing was begun.
  Dependent empty({"--resume", "r", "--gamma", "2"});
  CHECK(says(message_of<UsageError>([&] { empty.line.adopt({}); }), "--gamma needs --loss"));
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
