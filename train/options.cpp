#include <retrace/train/options.h>

#include <algorithm>
#include <cmath>
#include <map>

#include <CLI/CLI.hpp>

#include <retrace/optim/by_name.h>
#include <retrace/tensor/check.h>
#include <retrace/train/exit.h>
#include <retrace/train/log.h>
#include <retrace/train/option_values.h>
#include <retrace/train/report.h>
#include <retrace/train/terminal.h>

namespace retrace::train {
namespace {

constexpr const char *kData = "Data", *kRun = "Run", *kResults = "Results",
                     *kKeep = "Keep and use the model", *kOther = "Other";

constexpr const char* kFooter =
    "Results go to standard output, progress to standard error. Exit codes: 0 done, 1 failure, 2 "
    "wrong usage, 3 bad data or model file, 4 loss not finite, 5 --check missed its bound, 129, "
    "130 and 143 interrupted (the step is finished and saved; a second Ctrl-C stops at once).";
constexpr std::size_t kHelpWidth = 88, kHelpIndent = 29;

// Words in lines of kHelpWidth; all but the first line are indented.
void append_wrapped(std::string& text, std::string_view words, std::size_t indent) {
  std::size_t column = indent;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    const bool fits = column + 1 + word.size() <= kHelpWidth;
    if (column > indent) text += fits ? " " : "\n" + std::string(indent, ' ');
    column = (column > indent && fits ? column + 1 : indent) + word.size();
    text += word;
  }
  text += '\n';
}

CLI::Validator valid(Check check) { return CLI::Validator(std::move(check), ""); }

}  // namespace

struct CommandLine::Parser {
  Parser(std::string about, std::string program) : app(std::move(about), std::move(program)) {}

  // An option whose value decides the outcome of a run.
  struct Setting {
    CLI::Option* option;
    std::string default_text;
    bool may_change;
  };

  template <class T>
  CLI::Option* option(const char* group, const std::string& name, T& value, const std::string& what,
                      const char* type) {
    return app.add_option(name, value, what)->group(group)->type_name(type);
  }
  void decides(CLI::Option* option, std::string default_text = "", bool may_change = false) {
    settings[option->get_single_name()] = {option, std::move(default_text), may_change};
  }
  void offer(std::string_view name);
  bool is_given(const char* name) const {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  }
  void check() const;

  CLI::App app;
  Options options;
  bool reads_tables = false;
  std::string resume_folder;
  std::map<std::string, Setting> settings;
};

void CommandLine::Parser::offer(std::string_view name) {
  Options& o = options;
  if (name == "data") {
    decides(option(kData, "--data", o.data,
                   reads_tables ? "Train on this instead of the generated task: a folder of IDX "
                                  "files such as MNIST, or a CSV file; plain or .gz"
                                : "Train on this file instead of the generated task; plain or .gz",
                   "PATH"),
            "", true);
  } else if (name == "test") {
    decides(option(kData, "--test", o.test, "Test on this file, like --data", "PATH"), "", true);
  } else if (name == "test-fraction") {
    decides(option(kData, "--test-fraction", o.test_fraction,
                   fmt::format("{} to test on and not train on ({})",
                               reads_tables ? "Without --test: the share of the rows, drawn from "
                                              "the seed,"
                                            : "The share",
                               number_text(o.test_fraction)),
                   "FRACTION")
                ->check(valid(in_interval("(0, 1)"))),
            number_text(o.test_fraction));
  } else if (name == "target") {
    decides(option(kData, "--target", o.target, "The column of the CSV file to predict", "COLUMN"));
  } else if (name == "labels") {
    decides(option(kData, "--labels", o.labels,
                   "How many of the last columns of the CSV file are labels, 0 or 1 each", "N")
                ->check(valid(at_least(1))));
  } else if (name == "no-header") {
    decides(app.add_flag("--no-header", o.no_header,
                         "The first line of the CSV file is data; columns are called 1, 2, ...")
                ->group(kData),
            "false");
  } else if (name == "seed") {
    decides(
        option(kRun, "--seed", o.seed,
               "Of all that is random: the same seed gives the same model to the last bit (0)", "N")
            ->check(valid(is_seed())),
        "0");
  } else if (name == "threads") {
    option(kRun, "--threads", o.threads,
           "Processors to use, at most (all of them); changes no result", "N")
        ->check(valid(at_least(1)));
  } else if (name == "distributed") {
    app.add_flag("--distributed", o.distributed,
                 "Under `mpirun -n N`: each process takes a part of every batch")
        ->group(kRun);
  } else if (name == "epochs") {
    decides(option(kRun, "--epochs", o.epochs, "How often to go through the training data", "N")
                ->check(valid(at_least(1))),
            "", true);
  } else if (name == "steps") {
    decides(option(kRun, "--steps", o.steps, "How many batches to train on", "N")
                ->check(valid(at_least(1))),
            "", true);
    // What trains by steps can show one.
    option(kResults, "--trace", o.trace,
           "Write all that one step of training computes, forward, backward and update, for "
           "`retrace step FILE`",
           "FILE");
    option(kResults, "--trace-html", o.trace_html,
           "Write it as a page to step through in a browser", "FILE");
    option(kResults, "--trace-step", o.trace_step,
           fmt::format("Which step, counted from 1 ({})", o.trace_step), "N")
        ->check(valid(at_least(1)));
    app.add_flag("--trace-check", o.trace_check,
                 "Measure each of its gradients by finite differences; for small models")
        ->group(kResults);
  } else if (name == "batch-size") {
    decides(option(kRun, "--batch-size", o.batch_size, "Rows of a batch", "N")
                ->check(valid(at_least(1))));
  } else if (name == "lr") {
    decides(option(kRun, "--lr", o.lr, "The largest learning rate", "RATE")
                ->check(valid(in_interval("(0, inf)"))));
  } else if (name == "optimizer") {
    decides(option(kRun, "--optimizer", o.optimizer,
                   "Who changes the weights, one of " +
                       fmt::format("{}", fmt::join(optim::names(), ", ")) +
                       "; rates that suit one do not suit another",
                   "NAME")
                ->transform(valid(is_optimizer())));
  } else if (name == "patience") {
    decides(option(kRun, "--patience", o.patience,
                   "Stop when the loss on rows held out for validation has not fallen N times in a "
                   "row (never)",
                   "N")
                ->check(valid(at_least(1))));
  } else if (name == "report") {
    option(kResults, "--report", o.report,
           "Write a page with curves, pictures and numbers: one HTML file that needs nothing else",
           "FILE");
  } else if (name == "json") {
    option(kResults, "--json", o.json,
           "Write each step and the result as JSON, one object a line (-: to standard output, "
           "which then holds nothing else)",
           "FILE");
  } else if (name == "csv") {
    option(kResults, "--csv", o.csv, "Write each step as a row of a table", "FILE");
  } else if (name == "check") {
    app.add_flag("--check", o.check,
                 "Fail (exit code 5) unless the loss comes as near to the known best as it should")
        ->group(kResults);
  } else if (name == "save") {
    option(kKeep, "--save", o.save,
           "Keep the trained model there, as model.safetensors, and checkpoints to resume from; "
           "those of another run are removed before",
           "DIR");
    option(kKeep, "--save-every", o.save_every,
           "Write a checkpoint every N steps (without it: when interrupted and at the end)", "N")
        ->check(valid(at_least(1)));
    option(kKeep, "--resume", resume_folder,
           "Go on from the newest sound checkpoint there, and save there; in an empty folder, "
           "start. The final model is that of an uninterrupted run, to the last bit. Options that "
           "are left out are those of the first run; files of --json and --csv go on where it does",
           "DIR");
  } else if (name == "load") {
    option(kKeep, "--load", o.load, "Do not train: take the model that --save kept there", "DIR");
  } else if (name == "predict") {
    option(kKeep, "--predict", o.predict, "With --load: the file whose rows to predict", "FILE");
    option(kKeep, "--out", o.out, "With --predict: write the predictions there as CSV", "FILE");
  } else {
    fail<ValueError>("CommandLine: there is no common option \"{}\"", name);
  }
}

// What needs what, and what excludes what.
void CommandLine::Parser::check() const {
  const auto given = [this](const char* name) { return is_given(name); };
  const auto needs = [&given](const char* name, std::initializer_list<const char*> others) {
    require<UsageError>(!given(name) || std::any_of(others.begin(), others.end(), given),
                        "{} needs {}", name, fmt::join(others, " or "));
  };
  const auto excludes = [&given](const char* name, const char* other) {
    require<UsageError>(!given(name) || !given(other), "{} and {} exclude each other", name, other);
  };
  needs("--test", {"--data"});
  needs("--test-fraction", {"--data"});
  needs("--target", {"--data"});
  needs("--labels", {"--data"});
  for (const char* name : {"--trace-step", "--trace-check"})
    needs(name, {"--trace", "--trace-html"});
  needs("--save-every", {"--save", "--resume"});
  if (app.get_option_no_throw("--predict") != nullptr) needs("--load", {"--predict"});
  needs("--predict", {"--load"});
  needs("--out", {"--predict"});
  require_files_apart(options);
  excludes("--epochs", "--steps");
  excludes("--test", "--test-fraction");
  excludes("--check", "--data");  // nobody knows the best possible loss there
  for (const char* other : {"--save", "--resume", "--check", "--csv", "--trace", "--trace-html"})
    excludes("--load", other);
  for (const char* other : {"--data", "--json", "--report"}) excludes("--predict", other);
  require<UsageError>(!given("--save") || !given("--resume") || options.save == resume_folder,
                      "--save and --resume name different folders; --resume goes on saving in its "
                      "own");
  for (const CLI::Option* option : app.get_options()) {
    require<UsageError>(
        option->count() == 0 || option->results().empty() || !option->results().front().empty(),
        "{} needs a value, not an empty one", option->get_name());
  }
}

CommandLine::CommandLine(std::string name, std::string about,
                         const std::vector<std::string_view>& offered, const Options& defaults)
    : parser_(std::make_unique<Parser>(std::move(about), std::move(name))) {
  parser_->options = defaults;
  parser_->reads_tables = std::find(offered.begin(), offered.end(), "test") != offered.end();
  parser_->app.set_help_flag("-h,--help", "Print this and stop")->group(kOther);
  for (const std::string_view option : offered) parser_->offer(option);
}

CommandLine::~CommandLine() = default;

void CommandLine::add(const std::string& name, std::int64_t& value, const std::string& what,
                      std::int64_t low) {
  auto* option = parser_->option(kRun, name, value, fmt::format("{} ({})", what, value), "N");
  parser_->decides(option->check(valid(at_least(low))), std::to_string(value));
}

void CommandLine::add(const std::string& name, std::optional<std::int64_t>& value,
                      const std::string& what, std::int64_t low) {
  parser_->decides(parser_->option(kRun, name, value, what, "N")->check(valid(at_least(low))));
}

void CommandLine::add(const std::string& name, double& value, const std::string& interval,
                      const std::string& what) {
  auto* option = parser_->option(kRun, name, value,
                                 fmt::format("{} ({})", what, number_text(value)), "NUMBER");
  parser_->decides(option->check(valid(in_interval(interval))), number_text(value));
}

void CommandLine::add(const std::string& name, std::optional<double>& value,
                      const std::string& interval, const std::string& what) {
  parser_->decides(
      parser_->option(kRun, name, value, what, "NUMBER")->check(valid(in_interval(interval))));
}

void CommandLine::add(const std::string& name, std::string& value, const std::string& what) {
  const std::string shown = value.empty() ? what : fmt::format("{} ({})", what, value);
  parser_->decides(parser_->option(kRun, name, value, shown, "TEXT"), value);
}

void CommandLine::add(const std::string& name, std::vector<double>& value, double low, double high,
                      const std::string& what) {
  std::vector<std::string> texts;
  for (const double number : value) texts.push_back(number_text(number));
  const std::string text = fmt::format("{}", fmt::join(texts, ","));
  auto* option = parser_->app.add_option_function<std::string>(
      name, [&value](const std::string& list) { value = *parsed_list(list); },
      fmt::format("{} ({})", what, text));
  parser_->decides(option->group(kRun)->type_name("NUMBERS")->check(valid(rising(low, high))),
                   text);
}

void CommandLine::add(const std::string& name, std::string& value,
                      const std::vector<std::string>& choices, const std::string& what) {
  auto* option = parser_->option(
      kRun, name, value, fmt::format("{}: {} ({})", what, fmt::join(choices, ", "), value), "NAME");
  const CLI::Validator known(
      [choices](const std::string& text) {
        return std::find(choices.begin(), choices.end(), text) != choices.end()
                   ? std::string()
                   : fmt::format("{} is not one of {}", text, fmt::join(choices, ", "));
      },
      "");
  parser_->decides(option->check(known), value);
}

void CommandLine::add(const std::string& name, bool& value, const std::string& what) {
  parser_->decides(parser_->app.add_flag(name, value, what)->group(kRun), "false");
}

const std::string& CommandLine::name() const { return parser_->app.get_name(); }

std::string CommandLine::about() const { return parser_->app.get_description(); }

std::string CommandLine::help() const {
  const CLI::App& app = parser_->app;
  std::string text = fmt::format("usage: {} [OPTIONS]\n\n", name());
  append_wrapped(text, app.get_description(), 0);
  for (const char* group : {kData, kRun, kResults, kKeep, kOther}) {
    const auto options = app.get_options(
        [group](const CLI::Option* option) { return option->get_group() == group; });
    if (options.empty()) continue;
    text += fmt::format("\n{}:\n", group);
    for (const CLI::Option* option : options) {
      const std::string names = option->get_name(false, true);
      const std::string head =
          names + (option->get_type_size() == 0 ? "" : " ") + option->get_type_name();
      text += fmt::format("  {:<{}}", head, kHelpIndent - 2);
      append_wrapped(text, option->get_description(), kHelpIndent);
    }
  }
  text += '\n';
  append_wrapped(text, kFooter, 0);
  return text;
}

const Options* CommandLine::parse(int argc, const char* const* argv) {
  try {
    parser_->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(help());
    return nullptr;
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    std::replace_if(
        message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; },
        ' ');
    throw UsageError(message);
  }
  parser_->check();
  Options& options = parser_->options;
  if (!parser_->resume_folder.empty()) {
    options.save = parser_->resume_folder;
    options.resume = true;
  }
  return &options;
}

Metadata CommandLine::settings() const {
  Metadata result;
  for (const auto& [name, setting] : parser_->settings) {
    result[name] =
        setting.option->count() > 0 ? setting.option->results().back() : setting.default_text;
  }
  return result;
}

void CommandLine::adopt(const Metadata& saved) {
  std::vector<std::string> differences;
  // Each is an end of its own; the new one counts.
  std::string_view superseded = parser_->is_given("--epochs") ? "steps" : "";
  if (parser_->is_given("--steps")) superseded = "epochs";
  for (const auto& [name, setting] : parser_->settings) {
    const auto item = saved.find(name);
    if (item == saved.end() || name == superseded) continue;
    const std::string& was = item->second;
    const bool is_given = setting.option->count() > 0;
    if (!is_given) {
      if (was == setting.default_text) continue;
      setting.option->add_result(was);
      setting.option->run_callback();
    } else if (canonical(setting.option->results().back()) != canonical(was)) {
      const std::string difference =
          fmt::format("--{} {} ({} before)", name, setting.option->results().back(),
                      was.empty() ? "not given" : was);
      if (setting.may_change) {
        log_warning("the run that is resumed now has " + difference);
      } else {
        differences.push_back(difference);
      }
    }
  }
  require<UsageError>(differences.empty(),
                      "a resumed run keeps its options, but these differ: {}; leave them out, or "
                      "start another run with --save",
                      fmt::join(differences, ", "));
}

}  // namespace retrace::train
