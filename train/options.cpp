// The options that programs have in common, and what goes with what.

#include <algorithm>

#include <retrace/optim/by_name.h>
#include <retrace/tensor/check.h>
#include <retrace/train/command_line.h>
#include <retrace/train/exit.h>
#include <retrace/train/report.h>

namespace retrace::train {

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
    decides(option(kKeep, "--save-every", o.save_every,
                   "Write a checkpoint every N steps (without it: when interrupted and at the end)",
                   "N")
                ->check(valid(at_least(1))),
            "", true);
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

std::string either(const CommandLine::Conditions& conditions) {
  std::string text;
  std::string_view last;  // of a value of the same option the value alone is said
  for (const std::string& condition : conditions) {
    const std::string_view name = std::string_view(condition).substr(0, condition.find(' '));
    const bool is_same = name == last && name.size() < condition.size();
    text +=
        (text.empty() ? "" : " or ") + (is_same ? condition.substr(name.size() + 1) : condition);
    last = name;
  }
  return text;
}

bool CommandLine::Parser::holds(const std::string& condition) const {
  const std::size_t space = condition.find(' ');
  const std::string name = condition.substr(0, space);
  require<ValueError>(app.get_option_no_throw(name) != nullptr,
                      "CommandLine: an option depends on {}, which is none", name);
  if (space == std::string::npos) return is_given(name);
  const auto setting = settings.find(name.substr(2));
  require<ValueError>(setting != settings.end(),
                      "CommandLine: an option depends on the value of {}, which may change", name);
  return setting->second.value() == condition.substr(space + 1);
}

void CommandLine::Parser::check_own(const Setting& setting) const {
  const std::string name = setting.option->get_name();
  const auto do_hold = [this](const std::string& condition) { return holds(condition); };
  for (const Conditions& one : setting.needs)
    require<UsageError>(std::any_of(one.begin(), one.end(), do_hold),
                        "{} needs {}; without, it says nothing", name, either(one));
  for (const std::string& other : setting.excludes)
    require<UsageError>(!holds(other), "{} says nothing with {}; leave one of them out", name,
                        other);
  require<UsageError>(setting.with_load || !is_given("--load"),
                      "{} and --load exclude each other: a model that is loaded is not trained",
                      name);
}

void CommandLine::Parser::check() const {
  const auto given = [this](const char* name) { return is_given(name); };
  const auto needs = [&given](const char* name, std::initializer_list<const char*> others) {
    require<UsageError>(!given(name) || std::any_of(others.begin(), others.end(), given),
                        "{} needs {}", name, fmt::join(others, " or "));
  };
  const auto excludes = [&given](const char* name, const char* other) {
    require<UsageError>(!given(name) || !given(other), "{} and {} exclude each other", name, other);
  };
  for (const char* name : {"--test", "--test-fraction", "--target", "--labels", "--no-header"})
    needs(name, {"--data"});
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
  for (const char* other :
       {"--save", "--resume", "--check", "--csv", "--trace", "--trace-html", "--epochs", "--steps",
        "--batch-size", "--lr", "--optimizer", "--patience", "--distributed", "--test-fraction"})
    excludes("--load", other);
  for (const char* other : {"--data", "--json", "--report"}) excludes("--predict", other);
  for (const auto& [name, setting] : settings)
    if (setting.own && setting.is_given()) check_own(setting);
}

}  // namespace retrace::train
