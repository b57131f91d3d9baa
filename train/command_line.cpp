#include <algorithm>

#include <fmt/ranges.h>

#include <retrace/tensor/check.h>
#include <retrace/train/command_line.h>
#include <retrace/train/exit.h>
#include <retrace/train/log.h>
#include <retrace/train/report.h>
#include <retrace/train/terminal.h>

namespace retrace::train {
namespace {

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

// "With --data: ", what has to hold for the option to say something.
std::string when(const std::vector<CommandLine::Conditions>& needs) {
  std::string text;
  for (const CommandLine::Conditions& one : needs)
    text += (text.empty() ? "With " : " and ") + either(one);
  return text.empty() ? text : text + ": ";
}

}  // namespace

CommandLine::Option CommandLine::Option::needs(Conditions one_of) {
  const bool has_load = std::find(one_of.begin(), one_of.end(), "--load") != one_of.end();
  setting_->with_load = setting_->with_load || has_load;
  setting_->needs.push_back(std::move(one_of));
  return *this;
}

CommandLine::Option CommandLine::Option::excludes(Conditions conditions) {
  Conditions& all = setting_->excludes;
  all.insert(all.end(), conditions.begin(), conditions.end());
  return *this;
}

CommandLine::Option CommandLine::Option::with_load() {
  setting_->with_load = true;
  return *this;
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

CommandLine::Option CommandLine::add(const std::string& name, std::int64_t& value,
                                     const std::string& what, std::int64_t low) {
  auto* option = parser_->option(kRun, name, value, fmt::format("{} ({})", what, value), "N");
  return parser_->own(option->check(valid(at_least(low))), std::to_string(value));
}

CommandLine::Option CommandLine::add(const std::string& name, std::optional<std::int64_t>& value,
                                     const std::string& what, std::int64_t low) {
  return parser_->own(parser_->option(kRun, name, value, what, "N")->check(valid(at_least(low))));
}

CommandLine::Option CommandLine::add(const std::string& name, double& value,
                                     const std::string& interval, const std::string& what) {
  auto* option = parser_->option(kRun, name, value,
                                 fmt::format("{} ({})", what, number_text(value)), "NUMBER");
  return parser_->own(option->check(valid(in_interval(interval))), number_text(value));
}

CommandLine::Option CommandLine::add(const std::string& name, std::optional<double>& value,
                                     const std::string& interval, const std::string& what) {
  return parser_->own(
      parser_->option(kRun, name, value, what, "NUMBER")->check(valid(in_interval(interval))));
}

CommandLine::Option CommandLine::add(const std::string& name, std::string& value,
                                     const std::string& what) {
  const std::string shown = value.empty() ? what : fmt::format("{} ({})", what, value);
  return parser_->own(parser_->option(kRun, name, value, shown, "TEXT"), value);
}

CommandLine::Option CommandLine::add(const std::string& name, std::vector<double>& value,
                                     double low, double high, const std::string& what) {
  std::vector<std::string> texts;
  for (const double number : value) texts.push_back(number_text(number));
  const std::string text = fmt::format("{}", fmt::join(texts, ","));
  auto* option = parser_->app.add_option_function<std::string>(
      name, [&value](const std::string& list) { value = *parsed_list(list); },
      fmt::format("{} ({})", what, text));
  return parser_->own(option->group(kRun)->type_name("NUMBERS")->check(valid(rising(low, high))),
                      text);
}

CommandLine::Option CommandLine::add(const std::string& name, std::string& value,
                                     const std::vector<std::string>& choices,
                                     const std::string& what) {
  auto* option = parser_->option(
      kRun, name, value, fmt::format("{}: {} ({})", what, fmt::join(choices, ", "), value), "NAME");
  const CLI::Validator known(
      [choices](const std::string& text) {
        return std::find(choices.begin(), choices.end(), text) != choices.end()
                   ? std::string()
                   : fmt::format("{} is not one of {}", text, fmt::join(choices, ", "));
      },
      "");
  return parser_->own(option->check(known), value);
}

CommandLine::Option CommandLine::add(const std::string& name, bool& value,
                                     const std::string& what) {
  return parser_->own(parser_->app.add_flag(name, value, what)->group(kRun), "false");
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
      const auto setting = parser_->settings.find(option->get_single_name());
      text += fmt::format("  {:<{}}", head, kHelpIndent - 2);
      const bool depends = setting != parser_->settings.end();
      append_wrapped(text, (depends ? when(setting->second.needs) : "") + option->get_description(),
                     kHelpIndent);
    }
  }
  text += '\n';
  append_wrapped(text, kFooter, 0);
  return text;
}

namespace {

// What the parser refuses, in a line.
std::string line_of(const CLI::ParseError& error) {
  std::string message = error.what();
  std::replace_if(
      message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; },
      ' ');
  return message;
}

}  // namespace

const Options* CommandLine::parse(int argc, const char* const* argv) {
  try {
    parser_->app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(help());
    return nullptr;
  } catch (const CLI::ParseError& error) {
    throw UsageError(line_of(error));
  }
  for (const CLI::Option* option : parser_->app.get_options()) {
    require<UsageError>(
        option->count() == 0 || option->results().empty() || !option->results().front().empty(),
        "{} needs a value, not an empty one", option->get_name());
  }
  Options& options = parser_->options;
  const std::string& resumed = parser_->resume_folder;
  if (resumed.empty()) {
    parser_->check();
    return &options;
  }
  // With what the run was begun with, the rest makes sense or not.
  require<UsageError>(options.save.empty() || options.save == resumed,
                      "--save and --resume name different folders; --resume goes on saving in its "
                      "own");
  options.save = resumed;
  options.resume = true;
  return &options;
}

Metadata CommandLine::settings() const {
  Metadata result;
  for (const auto& [name, setting] : parser_->settings) result[name] = setting.value();
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
    if (!setting.is_given()) {
      if (was == setting.default_text) continue;
      try {
        setting.option->add_result(was);
        setting.option->run_callback();
      } catch (const CLI::ParseError& error) {  // of another program, or version of it
        fail<UsageError>("the run that is resumed does not fit this program: {}", line_of(error));
      }
    } else if (canonical(setting.value()) != canonical(was)) {
      const std::string difference = fmt::format("--{} {} ({} before)", name, setting.value(),
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
  parser_->check();
}

}  // namespace retrace::train
