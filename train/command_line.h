#pragma once

// For .cpp files: what CommandLine keeps of its options, in CLI11's terms.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <retrace/train/option_values.h>
#include <retrace/train/options.h>

namespace retrace::train {

// The parts of the help.
constexpr const char *kData = "Data", *kRun = "Run", *kResults = "Results",
                     *kKeep = "Keep and use the model", *kOther = "Other";

inline CLI::Validator valid(Check check) { return CLI::Validator(std::move(check), ""); }

// An option whose value decides the outcome of a run.
struct CommandLine::Setting {
  CLI::Option* option = nullptr;
  std::string default_text = {};
  bool may_change = false;  // when a run is resumed
  bool own = false;         // of the program
  bool with_load = false;
  std::vector<Conditions> needs = {};  // one of each
  Conditions excludes = {};

  bool is_given() const { return option->count() > 0; }
  std::string value() const { return is_given() ? option->results().back() : default_text; }
};

struct CommandLine::Parser {
  Parser(std::string about, std::string program) : app(std::move(about), std::move(program)) {}

  template <class T>
  CLI::Option* option(const char* group, const std::string& name, T& value, const std::string& what,
                      const char* type) {
    return app.add_option(name, value, what)->group(group)->type_name(type);
  }
  Setting& decides(CLI::Option* option, std::string default_text = "", bool may_change = false) {
    Setting& setting = settings[option->get_single_name()];
    setting = {.option = option, .default_text = std::move(default_text), .may_change = may_change};
    return setting;
  }
  // One of the program's own.
  Option own(CLI::Option* option, std::string default_text = "") {
    Setting& setting = decides(option, std::move(default_text));
    setting.own = true;
    return Option(setting);
  }
  void offer(std::string_view name);

  bool is_given(const std::string& name) const {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->count() > 0;
  }
  // "--data": it is given; "--loss focal": that is its value, given or not.
  bool holds(const std::string& condition) const;
  // Of what is given, what needs what, and what excludes what.
  void check() const;
  void check_own(const Setting& setting) const;

  CLI::App app;
  Options options;
  bool reads_tables = false;
  std::string resume_folder;
  std::map<std::string, Setting> settings;
};

// "--data or --load", "--loss triplet or contrastive".
std::string either(const CommandLine::Conditions& conditions);

}  // namespace retrace::train
