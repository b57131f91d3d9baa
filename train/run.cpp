#include <retrace/train/run.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <new>

#include <retrace/tensor/check.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/trace/html.h>
#include <retrace/train/log.h>
#include <retrace/train/option_values.h>
#include <retrace/train/terminal.h>

namespace retrace::train {
namespace {

double seconds_between(auto from, auto to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string loss_name(const Result& result) {
  return result.loss_unit.empty() ? "loss" : fmt::format("loss ({})", result.loss_unit);
}

// All that --check finds wanting, as sentences. A number that is NaN has not passed.
std::vector<std::string> misses(const Result& result, const std::optional<double>& gap) {
  std::vector<std::string> missed;
  if (gap && result.largest_gap && !(*gap <= *result.largest_gap))
    missed.push_back(fmt::format("the gap is {:.6f}, and at most {:.6f} was to be reached", *gap,
                                 *result.largest_gap));
  if (gap && result.largest_gap && *gap < -*result.largest_gap)
    missed.push_back(
        fmt::format("the loss is {:.6f} below the best possible one, which cannot be", -*gap));
  for (const Bound& bound : result.bounds) {
    const auto metric =
        std::find_if(result.metrics.begin(), result.metrics.end(),
                     [&bound](const auto& named) { return named.first == bound.metric; });
    const double value = metric == result.metrics.end() ? std::nan("") : metric->second;
    if (!(value >= bound.low && value <= bound.high))
      missed.push_back(fmt::format("{} is {:.6f}, and {:.6g} to {:.6g} was to be reached",
                                   bound.metric, value, bound.low, bound.high));
  }
  return missed;
}

struct Coordinates {
  Figure::Numbers steps, values;
};
Coordinates coordinates(const Curve& curve) {
  Coordinates result;
  for (const Curve::Point& point : curve.points()) {
    result.steps.push_back(point.step);
    result.values.push_back(point.value);
  }
  return result;
}

}  // namespace

Run::Run(CommandLine& command, const Options& options)
    : command_(command),
      options_(options),
      page_(command.name(), command.about()),
      started_(Clock::now()) {
  if (options.distributed) ranks_.emplace();
  if (options.resume) {
    if (is_first()) require_no_steps(options);
    if (ranks_) ranks_->gather({});  // nobody makes the folder before
    const CheckpointFolder folder(options.save);
    checkpoint_ = folder.newest();
    if (!checkpoint_) {
      if (const std::vector<std::string> stages = folder.stages(); !stages.empty()) {
        checkpoint_stage_ = stages.front();
        checkpoint_ = folder.stage(checkpoint_stage_).newest();
      }
    }
    if (checkpoint_) {
      const std::string program = checkpoint_->metadata["program"];
      require<UsageError>(program == name(), "--resume {}: this is a run of {}", options.save,
                          program);
    }
    command.adopt(checkpoint_ ? checkpoint_->metadata : Metadata());
    if (!checkpoint_ && is_first())
      log_info(
          fmt::format("--resume {}: has no checkpoint; training starts with step 1", options.save));
  }
  std::error_code ignored;
  for (const std::string& path : {options.trace, options.trace_html})
    if (std::filesystem::is_directory(path, ignored))
      throw WriteError(path + ": is a folder, not a file to write a trace to");
  if (options.threads > 0)
    set_num_threads(static_cast<int>(std::min<std::int64_t>(options.threads, 1024)));
  else if (ranks_)
    set_num_threads(std::max(1, num_threads() / ranks_->count_here()));
  manual_seed(options.seed);
  if (is_first()) {
    report_.emplace(options.json, options.csv, options.resume);
  } else {
    report_.emplace("", "", false);
    silence_log();
  }
}

void Run::relies_on(const std::vector<Tensor>& tensors) {
  if (options_.save.empty()) return;  // nobody resumes it
  relied_on_ += fmt::format("{}{:08x}", relied_on_.empty() ? "" : " ", checksum_of(tensors));
}

void Run::print(std::string_view text) {
  if (!is_first()) return;
  if (progress_) progress_->clear();
  const std::string lines = fmt::format("{}{}", text, text.ends_with('\n') ? "" : "\n");
  if (options_.json == "-") {
    print_error(lines);
  } else if (!train::print(lines)) {
    throw WriteError("standard output: nobody reads the results any more");
  }
}

void Run::show(const Figure& figure) {
  print(fmt::format("\n{}\n{}", figure.title(), figure.text({.rows = 16, .utf8 = speaks_utf8()})));
  page_.add(figure);
}

void Run::show(const Table& table) {
  print(fmt::format("\n{}\n{}", table.title, table.text()));
  page_.add(table);
}

void Run::write_predictions(std::string_view csv) {
  if (!is_first()) return;
  if (options_.out.empty()) return print(csv);
  writing([&] { write_file(options_.out, csv); });
  log_info(fmt::format("wrote {}", options_.out));
}

std::optional<CheckpointFolder> Run::open_folder(const std::string& stage) {
  if (options_.save.empty()) return {};
  const CheckpointFolder folder(options_.save);
  const bool is_new = !std::exchange(folder_opened_, true) && !options_.resume;
  if (!folder_lock_ && is_first()) {
    folder.require_writable();
    writing([&] { folder_lock_.emplace(folder.path()); });
  }
  if (is_new && is_first() && folder.clear())
    log_info(fmt::format("removed what another run left in {}", folder.path()));
  if (is_new && ranks_) ranks_->gather({});  // nobody looks into it before
  return stage.empty() ? folder : folder.stage(stage);
}

std::optional<Checkpoint> Run::take_checkpoint(const CheckpointFolder& folder,
                                               const std::string& stage) {
  if (checkpoint_ && checkpoint_stage_ == stage) return std::exchange(checkpoint_, std::nullopt);
  return folder.newest();
}

void Run::begin_training(std::int64_t total, std::int64_t done, const std::string& stage) {
  seconds_before_ = training_seconds();
  stage_ = stage;
  if (options_.resume) report_->go_on_after(stage, done, seconds_before_);
  if (!std::exchange(is_training_, true) && ranks_) waited_before_ = ranks_->waited();
  if (is_first()) progress_.emplace(total, done, stage);
  losses_ = Curve(done + 1);
  metrics_.clear();
  validation_steps_.clear();
  validation_losses_.clear();
  training_started_ = training_ended_ = next_flush_ = Clock::now();
}

std::unique_ptr<trace::Recorder> Run::record_trace(std::int64_t step,
                                                   const NamedTensors& parameters) {
  if (!options_.traces() || step != options_.trace_step || !is_first()) return nullptr;
  auto recorder = std::make_unique<trace::Recorder>(trace::RecorderOptions{.program = name()});
  recorder->name(parameters);
  recorder->training_step(step);
  return recorder;
}

void Run::check_trace(trace::Recorder* recorder, const std::function<Tensor()>& loss) const {
  if (recorder == nullptr || !options_.trace_check) return;
  try {
    const auto [measured, left_out, differ] = recorder->check(loss);
    log_info(fmt::format(
        "{} gradients measured by finite differences, {} could not be; {}", measured, left_out,
        differ == 0 ? "all agree" : fmt::format("{} differ, as the trace says at each", differ)));
  } catch (const ValueError& error) {
    log_warning(fmt::format("--trace-check: {}", error.what()));  // the trace is good without
  }
}

void Run::write_trace(std::unique_ptr<trace::Recorder> recorder) {
  if (!recorder) return;
  if (!options_.trace.empty()) {
    writing([&] { recorder->save(options_.trace); });
    log_info(fmt::format("wrote {}", options_.trace));
  }
  if (!options_.trace_html.empty()) {
    const trace::HtmlPage page = trace::html_page(recorder->trace());
    writing([&] { write_file(options_.trace_html, page.html); });
    log_info(fmt::format("wrote {}: {}", options_.trace_html, page.about));
  }
  trace_written_ = true;
}

void Run::step(std::int64_t step, double loss) {
  if (!is_training_) begin_training(options_.steps.value_or(step), step - 1);
  record({.step = step, .loss = loss});
  if (!std::isfinite(loss))
    throw NotFiniteError(fmt::format("step {}: the loss is {}; try a smaller --lr", step, loss));
  if (const int signal = InterruptGuard::signal(); signal != 0)
    throw Interrupted(signal, fmt::format("interrupted after step {}", step));
}

void Run::record(const StepRecord& step) {
  training_ended_ = Clock::now();
  losses_.add(step.loss);
  samples_ += step.samples;
  for (const auto& [name, value] : step.metrics)
    metrics_.try_emplace(name, step.step).first->second.add(value);
  StepRecord timed = step;
  timed.stage = stage_;
  timed.seconds = training_seconds();
  report_->step(timed);
  if (progress_) progress_->update(step.step, step.loss);
  if (training_ended_ < next_flush_) return;
  report_->flush();
  next_flush_ = training_ended_ + std::chrono::milliseconds(500);
}

Figure Run::metrics_by_step(const std::string& title, const std::string& unit,
                            const std::vector<std::string>& names) const {
  Figure figure(title, "step", unit);
  for (const std::string& name : names) {
    const auto found = metrics_.find(name);
    if (found == metrics_.end()) continue;
    const auto [steps, values] = coordinates(found->second);
    figure.line(name, steps, values);
  }
  return figure;
}

void Run::record_validation(std::int64_t step, double loss) {
  validation_steps_.push_back(static_cast<double>(step));
  validation_losses_.push_back(loss);
  report_->event(
      JsonObject().add("event", "validation").add("step", step).add("validation_loss", loss));
}

double Run::training_seconds() const {
  return seconds_before_ + seconds_between(training_started_, training_ended_);
}

void Run::finish(std::string_view data, const Result& result) {
  if (progress_) progress_->clear();
  require<UsageError>(!options_.traces() || trace_written_ || !is_first(),
                      "--trace-step {}: no such step was made; steps count from 1",
                      options_.trace_step);
  JsonObject metrics;
  std::optional<double> test_loss;
  for (const auto& [name, value] : result.metrics) {
    metrics.add(name, value);
    if (name == "test_loss") test_loss = value;
  }
  std::optional<double> gap;
  if (test_loss && result.floor) gap = *test_loss - *result.floor;
  const std::vector<std::string> missed = misses(result, gap);
  std::optional<bool> passed;
  if (options_.check && ((gap && result.largest_gap) || !result.bounds.empty()))
    passed = missed.empty();

  Table numbers{"Result", {"", "", ""}, {}, {}};
  const auto line = [&numbers](std::string_view name, const std::optional<double>& value,
                               std::string_view meaning) {
    if (value)
      numbers.rows.push_back(
          {std::string(name), fmt::format("{:.6f}", *value), std::string(meaning)});
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
  std::string text;
  if (const std::string curve = plot(losses_, {.utf8 = speaks_utf8()}); !curve.empty())
    text += fmt::format("\ntraining {} by step\n{}", loss_name(result), curve);
  text += '\n';
  std::size_t width = 0;
  for (const auto& row : numbers.rows) width = std::max(width, row[0].size());
  for (const auto& row : numbers.rows)
    text +=
        fmt::format("{:<{}}  {}{}{}\n", row[0], width, row[1], row[2].empty() ? "" : "  ", row[2]);
  text += fmt::format("trained in {:.2f} s", training_seconds());
  if (ranks_) {
    text += fmt::format(", in {} processes; this one waited {:.2f} s for the others",
                        ranks_->count(), ranks_->waited() - waited_before_);
    report_->event(JsonObject()
                       .add("event", "distributed")
                       .add("processes", static_cast<std::int64_t>(ranks_->count()))
                       .add("waited_seconds", ranks_->waited() - waited_before_));
  }
  print(text);
  if (!options_.report.empty() && is_first()) write_page(data, numbers, result);

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
  report_->sync();
  if (ranks_) ranks_->end();
  if (passed && !*passed) throw MissedBound(fmt::format("{}", fmt::join(missed, "; ")));
}

void Run::write_page(std::string_view data, const Table& numbers, const Result& result) {
  Figure losses("Loss by step", "step", loss_name(result));
  const auto [steps, values] = coordinates(losses_);
  losses.line("training", steps, values);
  losses.line("validation", validation_steps_, validation_losses_);
  if (result.floor && result.floor_of_training && !steps.empty())
    losses.line("best possible on the test rows", {steps.front(), steps.back()},
                {*result.floor, *result.floor}, Figure::dashed);

  Table settings{"How it was run", {"option", "value"}, {{"task", std::string(data)}}, {}};
  for (const auto& [option, value] : this->settings())
    if (!value.empty()) settings.rows.push_back({option, value});
  settings.rows.push_back({"trained in", fmt::format("{:.2f} s", training_seconds())});

  page_.add_first(losses);
  page_.add_first(numbers);
  page_.add(settings);
  writing([&] { write_file(options_.report, page_.html()); });
  log_info(fmt::format("wrote {}", options_.report));
}

namespace {

int exit_code_of(CommandLine& command, int argc, const char* const* argv,
                 const std::function<void(Run&)>& body) {
  const auto fail = [&command](ExitCode code, const std::string& message) {
    log_error(command.name() + ": " + one_line(message));
    return static_cast<int>(code);
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

}  // namespace

int run_program(CommandLine& command, int argc, const char* const* argv,
                const std::function<void(Run&)>& body) {
  // Writing to a closed pipe is an error like any other.
  static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
  const int code = exit_code_of(command, argc, argv, body);
  if (code != 0) Ranks::abandon(code);
  return code;
}

}  // namespace retrace::train
