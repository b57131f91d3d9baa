#pragma once

#include <optional>
#include <string>
#include <vector>

#include <retrace/train/run.h>

namespace retrace::testing {

/// A program's run, as its main() would make it.
struct Session {
  explicit Session(std::vector<std::string> arguments)
      : command("program", "Does something.",
                {"seed", "steps", "json", "csv", "check", "save", "lr", "patience", "report"}) {
    std::vector<const char*> argv = {"program"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    run.emplace(command, *command.parse(static_cast<int>(argv.size()), argv.data()));
  }
  train::CommandLine command;
  std::optional<train::Run> run;
};

}  // namespace retrace::testing
