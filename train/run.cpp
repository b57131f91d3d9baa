#include <retrace/train/run.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <new>

#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/train/log.h>
#include <retrace/train/terminal.h>

namespace retrace::train {
namespace {

using namespace std::chrono_literals;

double seconds_between(auto from, auto to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

ExitCode report_failure(const std::string& name, ExitCode code, const std::string& message) {
  log_error(name + ": " + one_line(message));
  return code;
}

}  // namespace

Run::Run(CommandLine& command, const Options& options)
    : command_(command), options_(options), started_(Clock::now()) {
  if (options.resume) {
    checkpoint_ = CheckpointFolder(options.save).newest();
    if (checkpoint_) {
      const std::string program = checkpoint_->metadata["program"];
      require<UsageError>(program == name(), "--resume {}: this is a run of {}", options.save,
                          program);
      command.adopt(checkpoint_->metadata);
    }
  }
  if (options.threads > 0) set_num_threads(static_cast<int>(std::min<std::int64_t>(
      options.threads, 1024)));
  manual_seed(options.seed);
  report_.emplace(options.json, options.csv, options.resume);
}

void Run::print(std::string_view text) {
  if (progress_) progress_->clear();
  std::FILE* out = options_.json == "-" ? stderr : stdout;
  const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size() &&
                       (text.ends_with('\n') || std::fputc('\n', out) != EOF) &&
                       std::fflush(out) == 0;
  if (!written && out == stdout) throw WriteError("standard output: cannot write the results");
}

void Run::write_predictions(std::string_view csv) {
  if (options_.out.empty()) return print(csv);
  writing([&] { write_file(options_.out, csv); });
  log_info(fmt::format("wrote {}", options_.out));
}

void Run::begin_training(std::int64_t total, std::int64_t done) {
  progress_.emplace(total, done);
  losses_ = Curve(done + 1);
  training_started_ = training_ended_ = next_flush_ = Clock::now();
}

void Run::step(std::int64_t step, double loss) {
  if (!progress_) begin_training(options_.steps.value_or(step), step - 1);
  record({.step = step, .loss = loss});
  if (!std::isfinite(loss))
    throw NotFiniteError(fmt::format("step {}: the loss is {}; try a smaller --lr", step, loss));
  if (const int signal = InterruptGuard::signal(); signal != 0)
    throw Interrupted(signal, fmt::format("interrupted after step {}", step));
}

void Run::record(const StepRecord& step) {
  training_ended_ = Clock::now();
  losses_.add(step.loss);
  StepRecord timed = step;
  timed.seconds = training_seconds();
  report_->step(timed);
  progress_->update(step.step, step.loss);
  if (training_ended_ < next_flush_) return;
  report_->flush();
  next_flush_ = training_ended_ + 500ms;
}

double Run::training_seconds() const { return seconds_between(training_started_, training_ended_); }

void Run::finish(std::string_view data, const Result& result) {
  if (progress_) progress_->clear();
  JsonObject metrics;
  std::optional<double> test_loss;
  for (const auto& [name, value] : result.metrics) {
    metrics.add(name, value);
    if (name == "test_loss") test_loss = value;
  }
  std::optional<double> gap;
  if (test_loss && result.floor) gap = *test_loss - *result.floor;
  std::optional<bool> passed;
  // A gap that is NaN has not passed.
  if (options_.check && gap && result.largest_gap) passed = *gap <= *result.largest_gap;

  std::string text;
  if (const std::string curve = plot(losses_, {.utf8 = speaks_utf8()}); !curve.empty())
    text += "\ntraining loss (nats) by step\n" + curve;
  text += '\n';
  const auto line = [&text](std::string_view name, const std::optional<double>& value,
                            std::string_view meaning) {
    if (value) text += fmt::format("{:<17} {:.6f}{}{}\n", name, *value, meaning.empty() ? "" : "  ", meaning);
  };
  for (const auto& [name, value] : result.metrics) line(name, value, "");
  line("start", result.start, "test_loss before training");
  line("floor", result.floor, "test_loss of the best possible model on the same rows");
  line("population_floor", result.population_floor, "the same over all data, exactly");
  if (gap) {
    line("gap", gap,
         *result.floor > 0
             ? fmt::format("test_loss - floor, {:.2f} % of it", 100 * *gap / *result.floor)
             : "test_loss - floor");
  }
  text += fmt::format("trained in {:.2f} s", training_seconds());
  print(text);

  report_->event(JsonObject()
                     .add("event", "result")
                     .add("example", name())
                     .add("data", data)
                     .add("seed", options_.seed)
                     .add("metrics", metrics)
                     .add("start", result.start)
                     .add("floor", result.floor)
                     .add("population_floor", result.population_floor)
                     .add("gap", gap)
                     .add("passed", passed)
                     .add("seconds", seconds_between(started_, Clock::now()))
                     .add("train_seconds", training_seconds()));
  report_->flush();
  if (passed && !*passed)
    throw MissedBound(fmt::format("the gap is {:.6f}, and at most {:.6f} was to be reached", *gap,
                                  *result.largest_gap));
}

int run_program(CommandLine& command, int argc, const char* const* argv,
                const std::function<void(Run&)>& body) {
  std::signal(SIGPIPE, SIG_IGN);  // writing to a closed pipe is an error like any other
  const auto fail = [&command](ExitCode code, const std::string& message) {
    return static_cast<int>(report_failure(command.name(), code, message));
  };
  try {
    const Options* options = command.parse(argc, argv);
    if (options != nullptr) {
      Run run(command, *options);
      body(run);
    }
    return static_cast<int>(ExitCode::done);
  } catch (const UsageError& error) {
    return fail(ExitCode::usage, fmt::format("{}; see {} --help", error.what(), command.name()));
  } catch (const IoError& error) {
    return fail(ExitCode::bad_file, error.what());
  } catch (const NotFiniteError& error) {
    return fail(ExitCode::not_finite, error.what());
  } catch (const MissedBound& error) {
    return fail(ExitCode::missed_bound, error.what());
  } catch (const Interrupted& error) {
    log_warning(command.name() + ": " + one_line(error.what()));
    return 128 + error.signal();
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::failure, "out of memory");
  } catch (const std::exception& error) {
    return fail(ExitCode::failure, error.what());
  }
}

}  // namespace retrace::train
