// A command line, an argument to a line: refused as wrong usage, or options that a resumed run
// takes over.

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
        "data",       "test",  "test-fraction", "target", "labels",  "no-header", "epochs", "steps",
        "batch-size", "lr",    "optimizer",     "seed",   "threads", "patience",  "report", "json",
        "csv",        "check", "save",          "load",   "predict"};
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
    if (offered.has("linear") && offered.has("data"))
      line.add("--linear", linear, "without activations").needs({"--data"});
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

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> arguments = {"program"};
  for (std::string_view rest = fuzz::text_of(data, size); !rest.empty();) {
    arguments.emplace_back(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(arguments.back().size() + 1, rest.size()));
    if (asks_for_help(arguments.back())) return 0;  // it would be printed
  }
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  const Offered offered{fuzz::text_of(data, size), fuzz::turn_of(data, size) % 16 == 0};
  Command command(offered);
  const train::Options* options = nullptr;
  fuzz::accepts<train::UsageError>(
      "", [&] { options = command.line.parse(static_cast<int>(argv.size()), argv.data()); });
  if (options == nullptr) return 0;
  fuzz::expect(options->test_fraction > 0 && options->test_fraction < 1, "a share is one");
  fuzz::expect(!options->steps || *options->steps >= 1, "there are steps");
  fuzz::expect(command.hidden >= 1 && command.beta > 0, "an option is what it may be");
  fuzz::expect(command.loss == "hinge" || command.loss == "focal", "a choice is one of them");
  if (fuzz::turn_of(data, size) % 4 != 0) return 0;  // the rest takes longer than reading
  fuzz::expect(!command.line.help().empty(), "there is help");
  const Metadata settings = command.line.settings();
  Command resumed(offered);
  const char* const none[] = {"program"};
  resumed.line.parse(1, none);
  fuzz::accepts<train::UsageError>("", [&] {
    resumed.line.adopt(settings);
    fuzz::expect(resumed.line.settings() == settings, "a resumed run takes over what was given");
    fuzz::expect(command.gamma == 2 || command.loss == "focal", "an option says something");
    fuzz::expect(resumed.hidden == command.hidden && resumed.quantiles == command.quantiles,
                 "with its values");
  });
  return 0;
}
