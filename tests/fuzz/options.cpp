// A command line, an argument to a line, behind an empty line that of the run that resumes it, and
// behind another what its checkpoint says else: refused as wrong usage, or options that the resumed
// run takes over.

#include <retrace/tests/fuzz/target.h>
#include <retrace/train/exit.h>
#include <retrace/train/options.h>

using namespace retrace;

namespace {

// Which options a program has: all, or those that the text names, by themselves or by what comes
// with them, since to make all takes most of the time.
struct Offered {
  std::string_view text;
  bool all;

  bool has(std::string_view option) const {
    return all || text.find(option) != std::string_view::npos;
  }
  std::vector<std::string_view> common() const {
    constexpr std::string_view kCommon[] = {
        "data",    "test",     "test-fraction", "target",     "labels",    "no-header",
        "epochs",  "steps",    "batch-size",    "lr",         "optimizer", "seed",
        "threads", "patience", "report",        "json",       "csv",       "check",
        "save",    "load",     "predict",       "distributed"};
    std::vector<std::string_view> found;
    for (const std::string_view name : kCommon) {
      if (has(name) || (name == "steps" && has("trace")) || (name == "save" && has("resume")) ||
          (name == "predict" && has("out")))
        found.push_back(name);
    }
    return found;
  }
};

// What programs have in common, and one of each kind of their own.
struct Command {
  explicit Command(const Offered& offered) : line("program", "Does something.", offered.common()) {
    if (offered.has("hidden")) line.add("--hidden", hidden, "neurons").with_load();
    if (offered.has("beams")) line.add("--beams", beams, "beams");
    if (offered.has("beta")) line.add("--beta", beta, "(0, inf)", "how far from the reference");
    if (offered.has("dropout")) line.add("--dropout", dropout, "[0, 1)", "share that is left out");
    if (offered.has("prompt")) line.add("--prompt", prompt, "text to go on with");
    if (offered.has("quantiles")) line.add("--quantiles", quantiles, 0, 1, "which ones");
    if (offered.has("loss") || offered.has("gamma"))
      line.add("--loss", loss, {"hinge", "focal"}, "which loss");
    if (offered.has("gamma"))
      line.add("--gamma", gamma, "[0, inf)", "how far").needs({"--loss focal"});
    if (offered.has("linear") && offered.has("data")) {
      auto option = line.add("--linear", linear, "without activations").needs({"--data"});
      if (offered.has("csv")) option.excludes({"--csv"});
    }
  }

  std::int64_t hidden = 8;
  std::optional<std::int64_t> beams;
  double beta = 0.1, gamma = 2;
  std::optional<double> dropout;
  std::string prompt, loss = "hinge";
  std::vector<double> quantiles = {0.1, 0.9};
  bool linear = false;
  train::CommandLine line;
};

bool asks_for_help(std::string_view argument) {
  // CLI11 takes -h out of a bundle of flags.
  return argument.starts_with("--help") ||
         (argument.starts_with('-') && !argument.starts_with("--") &&
          argument.find('h') != std::string_view::npos);
}

// The lines up to an empty one, as arguments, taken off the text; none where there is a call for
// help, which would be printed.
std::optional<std::vector<std::string>> next_arguments(std::string_view& rest) {
  std::string_view text = rest.substr(0, rest.find("\n\n"));
  rest.remove_prefix(std::min(text.size() + 2, rest.size()));
  std::vector<std::string> arguments = {"program"};
  while (!text.empty()) {
    arguments.emplace_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(arguments.back().size() + 1, text.size()));
    if (asks_for_help(arguments.back())) return std::nullopt;
  }
  return arguments;
}

// Null when they are refused.
const train::Options* parse(Command& command, const std::vector<std::string>& arguments) {
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  const train::Options* options = nullptr;
  fuzz::accepts<train::UsageError>(
      "", [&] { options = command.line.parse(static_cast<int>(argv.size()), argv.data()); });
  return options;
}

// Settings of another program, or another version: names and values in turn.
void change(Metadata& settings, const std::vector<std::string>& others) {
  for (std::size_t i = 1; i + 1 < others.size(); i += 2) settings[others[i]] = others[i + 1];
}

// Without arguments it has the values of the run before, with some it may be refused.
void check_resumed(const Offered& offered, const Command& command, const Metadata& settings,
                   const std::vector<std::string>& arguments, bool is_ours) {
  Command resumed(offered);
  if (parse(resumed, arguments) == nullptr) return;
  fuzz::accepts<train::UsageError>("", [&] {
    resumed.line.adopt(settings);
    fuzz::expect(resumed.gamma == 2 || resumed.loss == "focal", "an option says something");
    if (!is_ours) return;
    fuzz::expect(resumed.hidden == command.hidden && resumed.quantiles == command.quantiles,
                 "a resumed run takes over the values");
    fuzz::expect(arguments.size() > 1 || resumed.line.settings() == settings,
                 "and how they were given");
  });
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  std::string_view rest = text;
  const auto first = next_arguments(rest), second = next_arguments(rest),
             others = next_arguments(rest);
  if (!first || !second || !others) return 0;
  const Offered offered{text, fuzz::turn_of(data, size) % 16 == 0};
  Command command(offered);
  const train::Options* const options = parse(command, *first);
  if (options == nullptr) return 0;
  fuzz::expect(options->test_fraction > 0 && options->test_fraction < 1, "a share is one");
  fuzz::expect(!options->steps || *options->steps >= 1, "there are steps");
  fuzz::expect(command.hidden >= 1 && command.beta > 0, "an option is what it may be");
  fuzz::expect(command.loss == "hinge" || command.loss == "focal", "a choice is one of them");
  if (fuzz::turn_of(data, size) % 4 != 0) return 0;  // the rest takes longer than reading
  fuzz::expect(!command.line.help().empty(), "there is help");
  fuzz::expect(command.line.about() == "Does something.", "and what the program does");
  Metadata settings = command.line.settings();
  change(settings, *others);
  check_resumed(offered, command, settings, *second, others->size() == 1);
  return 0;
}
