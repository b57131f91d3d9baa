#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/tensor/safetensors.h>

namespace retrace::train {

/// The options that programs have in common. Empty or without a value: not given.
struct Options {
  // Data
  std::string data = "";  ///< a file or folder; without it the program generates its task
  std::string test = "";
  double test_fraction = 0.2;
  std::string target = "";
  std::int64_t labels = 0;  ///< the last columns of a CSV that are labels
  bool no_header = false;
  // Run
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  ///< 0: all processors
  bool distributed = false;  ///< one of the processes of mpirun, see distributed.h
  std::optional<std::int64_t> epochs = {}, steps = {}, batch_size = {};
  std::optional<double> lr = {};
  std::string optimizer = "";  ///< one of optim::names()
  std::int64_t patience = 0;   ///< 0: no early stop
  // Results
  std::string json = "", csv = "", report = "";
  std::string trace = "";       ///< where a trace of one step of training goes
  std::string trace_html = "";  ///< where its page goes
  std::int64_t trace_step = 1;  ///< which step, from 1 on
  bool trace_check = false;     ///< with finite differences beside its gradients
  bool traces() const { return !trace.empty() || !trace_html.empty(); }
  bool check = false;
  // Keeping and using a model
  std::string save = "";  ///< where to keep the run: with --resume, that folder
  std::int64_t save_every = 0;
  bool resume = false;
  std::string load = "", predict = "", out = "";
};

/// What a program understands on its command line.
///
///     train::CommandLine command("xor", "Learns exclusive or.", {"seed", "steps", "json"});
///     command.add("--hidden", hidden, "neurons of the hidden layer");
///     const train::Options& options = command.parse(argc, argv);
class CommandLine {
 public:
  /// `offered`: which members of Options, by name ("test-fraction"); there is no other way to set
  /// them. What is not given on the command line is as in `defaults`. ValueError for an unknown
  /// name.
  CommandLine(std::string name, std::string about, const std::vector<std::string_view>& offered,
              const Options& defaults = {});
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// "--data": the option is given; "--loss focal": that is its value, given or by default.
  using Conditions = std::vector<std::string>;
  class Option;

  /// Options of the program's own; `value` holds the default and must outlive the command line.
  /// A whole number of at least `low`.
  Option add(const std::string& name, std::int64_t& value, const std::string& what,
             std::int64_t low = 1);
  /// The same without a default; `what` says what holds then.
  Option add(const std::string& name, std::optional<std::int64_t>& value, const std::string& what,
             std::int64_t low = 1);
  /// In an interval as it is written: "(0, 1]", "[0, inf)".
  Option add(const std::string& name, double& value, const std::string& interval,
             const std::string& what);
  Option add(const std::string& name, std::optional<double>& value, const std::string& interval,
             const std::string& what);
  Option add(const std::string& name, std::string& value, const std::string& what);
  /// Numbers with commas between them, rising from above `low` to below `high`: "0.1,0.5,0.9".
  Option add(const std::string& name, std::vector<double>& value, double low, double high,
             const std::string& what);
  /// One of `choices`.
  Option add(const std::string& name, std::string& value, const std::vector<std::string>& choices,
             const std::string& what);
  /// A flag: false, or true when it is given.
  Option add(const std::string& name, bool& value, const std::string& what);

  /// UsageError when it makes no sense. On --help prints the help and returns nothing.
  const Options* parse(int argc, const char* const* argv);

  const std::string& name() const;
  std::string about() const;
  std::string help() const;
  /// Everything that decides the outcome of a run, as it was given, for its checkpoints: seed,
  /// data, rate and so on, and the program's own options.
  Metadata settings() const;
  /// For a run that is resumed: takes over what is not on the command line, and checks what needs
  /// what, which parse() then left to this. UsageError, listing all, when something there differs.
  /// Where the data lie and how long to train may change. In a folder without a run: adopt({}).
  void adopt(const Metadata& settings);

 private:
  struct Setting;
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

/// When an option of the program's own says something. One that is given where it would say nothing
/// is refused, a UsageError.
///
///     command.add("--gamma", gamma, "[0, inf)", "how far ...").needs({"--loss focal"});
class CommandLine::Option {
 public:
  /// One of these must hold; of several calls, one of each. The help begins with it: "With --loss
  /// focal: how far ...".
  Option needs(Conditions one_of);
  /// None of these may hold.
  Option excludes(Conditions conditions);
  /// It is of what a loaded model does, too. Without this, or needs() with "--load" in it, --load
  /// excludes it.
  Option with_load();

 private:
  friend struct CommandLine::Parser;
  explicit Option(Setting& setting) : setting_(&setting) {}
  Setting* setting_;
};

}  // namespace retrace::train
