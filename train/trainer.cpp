#include <retrace/train/trainer.h>

#include <cmath>
#include <exception>

#include <retrace/autograd/anomaly.h>
#include <retrace/autograd/grad_mode.h>
#include <retrace/optim/clip.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>
#include <retrace/train/log.h>
#include <retrace/train/predict.h>

namespace retrace::train {
namespace {

// In a checkpoint's metadata.
constexpr std::string_view kDescribed = "described.";
constexpr const char *kReliedOn = "relied_on", *kProcesses = "processes";

// 32 bits, which a double holds.
std::uint32_t settings_hash(const Metadata& settings) {
  std::string all;
  for (const auto& [name, text] : settings) all += name + '\0' + text + '\0';
  return static_cast<std::uint32_t>(std::hash<std::string>()(all));
}

// f(), or the error that nothing more could be written somewhere.
template <class F>
std::exception_ptr write_error_of(F&& f) {
  try {
    f();
    return nullptr;
  } catch (const WriteError&) {
    return std::current_exception();
  }
}

std::vector<Tensor> copies(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> kept;
  for (const Tensor& tensor : tensors) kept.push_back(contiguous_copy(tensor));
  return kept;
}

}  // namespace

Trainer::Trainer(Run& run, nn::Module& model, optim::Optimizer& optimizer,
                 const TrainerOptions& options)
    : run_(run), model_(model), optimizer_(optimizer), options_(options) {
  require<ValueError>(options.steps >= 1 && options.accumulate >= 1,
                      "Trainer: steps ({}) and accumulate ({}) must be at least 1", options.steps,
                      options.accumulate);
  require<ValueError>(options.clip_norm >= 0 && std::isfinite(options.clip_norm),
                      "Trainer: clip_norm must be finite and at least 0, not {}",
                      options.clip_norm);
  parts_.add("model", model_);
  parts_.add("optimizer", optimizer_);
}

void Trainer::follow(optim::Schedule& schedule) {
  require<ValueError>(schedule_ == nullptr, "Trainer: follows one schedule, not two");
  schedule_ = &schedule;
  parts_.add("schedule", schedule);
}

void Trainer::validate(std::int64_t every, std::function<double()> loss) {
  require<ValueError>(every >= 1, "Trainer: validation every {} steps; at least 1", every);
  require<ValueError>(!best_, "Trainer: watches one validation loss, not two");
  validate_every_ = every;
  validation_ = std::move(loss);
  best_.emplace(model_);
  parts_.add("best", *best_);
}

bool Trainer::out_of_patience() const {
  const std::int64_t patience = run_.options().patience;
  return best_ && patience > 0 && best_->waited() >= patience;
}

void Trainer::look_at_validation(std::int64_t step) {
  if (!best_ || (step % validate_every_ != 0 && step != options_.steps)) return;
  const EvalGuard eval(model_);
  const NoGradGuard no_grad;
  const double loss = validation_();
  best_->watch(model_, loss);
  run_.record_validation(step, loss);  // may throw; the checkpoint then holds this validation
  if (out_of_patience())
    log_info(
        fmt::format("step {}: the validation loss has not fallen {} times in a row; the model "
                    "is that of its smallest",
                    step, best_->waited()));
}

void Trainer::fit(const std::function<BatchLoss()>& loss) {
  folder_ = run_.open_folder(options_.stage);
  const std::int64_t done = first_step();
  join_ranks(done);
  model_.train();
  check_trace_step(done);
  run_.begin_training(options_.steps, done, options_.stage);
  std::exception_ptr failed;
  for (std::int64_t step = done + 1; step <= options_.steps && !out_of_patience(); ++step) {
    const StateDict before = sources_.copy();
    auto recorder =
        options_.stage.empty() ? run_.record_trace(step, model_.named_parameters()) : nullptr;
    StepRecord record{.step = step, .lr = optimizer_.lr()};
    const std::vector<Tensor> buffers =
        gradient_sum_ ? copies(model_.buffers()) : std::vector<Tensor>();
    try {
      compute_gradients(loss, gradient_sum_ ? &*gradient_sum_ : nullptr, record);
    } catch (const RankLost& lost) {
      give_up(step - 1, before, buffers, lost);
    }
    if (std::isfinite(record.loss)) check_trace(recorder.get(), before, loss);
    if (std::isfinite(record.loss)) record.gradient_norm = clip_gradients();
    failed = write_error_of([&] { run_.record(record); });
    if (!std::isfinite(record.loss + record.gradient_norm.value_or(0)))
      run_.write_trace(std::move(recorder));
    if (!std::isfinite(record.loss)) explain(step, "the loss", record.loss, before, loss);
    if (!std::isfinite(record.gradient_norm.value_or(0)))
      explain(step, "the gradient's norm", *record.gradient_norm, before, loss);
    record.lr = optimizer_.lr();  // a schedule goes on before it is told
    optimizer_.step();
    run_.write_trace(std::move(recorder));
    if (schedule_ != nullptr) schedule_->step();
    if (const auto error = write_error_of([&] { look_at_validation(step); })) failed = error;

    const int signal = gradient_sum_ ? signal_ : InterruptGuard::signal();
    const std::int64_t every = run_.options().save_every;
    const bool is_last = step == options_.steps || out_of_patience();
    const bool is_due = is_last || (every > 0 && step % every == 0);
    if (is_due || signal != 0 || failed) require_finite(record);
    if (folder_ && (is_due || signal != 0 || failed)) {
      if (const auto error = write_error_of([&] { run_.sync_steps(); })) failed = error;
      if (const auto error = write_error_of([&] { save(step); })) failed = error;
    }
    // After the last step the model, a third of the size, may still find its place.
    if (failed && !is_last) std::rethrow_exception(failed);
    if (signal != 0) {
      if (run_.ranks() != nullptr) run_.ranks()->end();
      throw Interrupted(signal,
                        fmt::format("interrupted after step {} of {}; {}", step, options_.steps,
                                    folder_ ? "go on with --resume " + run_.options().save
                                            : "nothing was kept, as there was no --save"));
    }
  }
  optimizer_.zero_grad();
  if (best_ && best_->has_any()) best_->give_to(model_);
  if (best_ && !best_->has_any())
    log_warning("the validation loss was never finite; the model is that of the last step");
  if (folder_ && run_.is_first()) {
    Metadata metadata = description_;
    metadata["program"] = run_.name();
    folder_->save_model(delivered_.value_or(model_).state_dict(), metadata);
  }
  if (failed) std::rethrow_exception(failed);
}

// Told before training, not after it.
void Trainer::check_trace_step(std::int64_t done) const {
  const std::int64_t wanted = run_.options().trace_step;
  require<UsageError>(!run_.options().traces() || !options_.stage.empty() ||
                          (wanted > done && wanted <= options_.steps),
                      "--trace-step {}: the training makes the steps {} to {}", wanted, done + 1,
                      options_.steps);
  require<UsageError>(
      !run_.options().trace_check || options_.accumulate == 1,
      "--trace-check: the gradients of a step are sums over {} batches; make it one",
      options_.accumulate);
}

// The batch comes again, and the model is left as it is.
void Trainer::check_trace(trace::Recorder* recorder, const StateDict& before,
                          const std::function<BatchLoss()>& loss) {
  if (recorder == nullptr || !run_.options().trace_check) return;
  const auto back_to = [this](const StateDict& state) {
    const ObserverScope nobody;
    sources_.load_state_dict(state);
  };
  const StateDict now = sources_.copy();
  const std::vector<Tensor> buffers = model_.buffers(), kept = copies(buffers);
  run_.check_trace(recorder, [&] {
    back_to(before);
    return loss().loss;
  });
  back_to(now);
  for (std::size_t i = 0; i < kept.size(); ++i) copy_elements(buffers[i], kept[i]);
}

// All begin with the first one's model: a checkpoint holds it, and so does each that was made from
// the same seed, unless a program draws more in one process than in another.
void Trainer::join_ranks(std::int64_t done) {
  Ranks* ranks = run_.ranks();
  if (ranks == nullptr) return;
  const std::vector<double> begins = ranks->gather(std::vector<double>{
      static_cast<double>(done), static_cast<double>(settings_hash(run_.settings()))});
  for (std::size_t i = 2; i < begins.size(); ++i)
    require<UsageError>(begins[i] == begins[i % 2],
                        "--distributed: process {} begins {}; all must see the folder of --resume, "
                        "and be started with the same options",
                        i / 2,
                        i % 2 == 1 ? std::string("with other options than the first one")
                                   : fmt::format("after step {}, the first one after step {}",
                                                 begins[i], begins[0]));
  require<UsageError>(options_.accumulate == 1,
                      "--distributed: a step here is made of {} batches; make it one, as large",
                      options_.accumulate);
  require<UsageError>(!run_.options().trace_check,
                      "--trace-check: measures one process alone; leave --distributed out");
  ranks->broadcast(model_.parameters());
  ranks->broadcast(model_.buffers());
  gradient_sum_.emplace(*ranks, optimizer_.parameters());
}

// The step has changed nothing yet but what batches come from, and buffers.
void Trainer::give_up(std::int64_t done, const StateDict& before,
                      const std::vector<Tensor>& buffers, const RankLost& lost) {
  std::string kept = "nothing was kept, as there was no --save";
  if (folder_ && run_.is_first()) {
    const std::vector<Tensor> now = model_.buffers();
    for (std::size_t i = 0; i < now.size(); ++i) copy_elements(now[i], buffers[i]);
    sources_.load_state_dict(before);
    run_.sync_steps();
    const bool is_sound = nn::utils::are_finite(model_.parameters());
    if (done > 0 && is_sound) save(done);
    kept = is_sound ? "go on with --resume " + run_.options().save
                    : "its update left parameters that are not finite, and was not saved";
  }
  throw RankLost(fmt::format("{}; step {} of {} was the last that all made; {}", lost.what(), done,
                             options_.steps, kept));
}

// Steps already made, by the run that this one resumes.
std::int64_t Trainer::first_step() {
  if (!folder_) return 0;
  const std::optional<Checkpoint> checkpoint = run_.take_checkpoint(*folder_, options_.stage);
  if (!checkpoint) return 0;
  require<UsageError>(checkpoint->step <= options_.steps,
                      "the checkpoint in {} is at step {}, beyond the {} that are wanted",
                      folder_->path(), checkpoint->step, options_.steps);
  require_same_run(*checkpoint);
  try {
    parts_.load_state_dict(checkpoint->state);
  } catch (const Error& error) {
    throw IoError(folder_->checkpoint_path(checkpoint->step) +
                  ": does not fit this program: " + error.what());
  }
  log_info(fmt::format("going on after step {} of {}", checkpoint->step, options_.steps));
  return checkpoint->step;
}

// What was learnt of other data would have other meanings, in the middle of training.
void Trainer::require_same_run(const Checkpoint& checkpoint) const {
  const auto said = [&checkpoint](const char* name, std::string otherwise) {
    const auto text = checkpoint.metadata.find(name);
    return text == checkpoint.metadata.end() ? otherwise : text->second;
  };
  require<IoError>(said(kReliedOn, run_.relied_on()) == run_.relied_on(),
                   "{}: the data or the models that training relies on are not those that the run "
                   "began with; go on with the files of then, or train anew with another --save",
                   folder_->checkpoint_path(checkpoint.step));
  if (const std::string before = said(kProcesses, "1"); before != processes_text())
    log_warning(
        fmt::format("the run that is resumed was of {} processes, and is now of {}: its "
                    "model will not have the same bits",
                    before, processes_text()));
  for (const auto& [name, text] : description_) {
    const auto before = checkpoint.metadata.find(std::string(kDescribed) + name);
    require<IoError>(before == checkpoint.metadata.end() || before->second == text,
                     "{}: what was learnt of the data ({}) is not what the run began with; go on "
                     "with the files of then, or train anew with another --save",
                     folder_->checkpoint_path(checkpoint.step), name);
  }
}

// The record gets the loss and its samples, and the metrics of the last batch.
void Trainer::compute_gradients(const std::function<BatchLoss()>& loss, GradientSum* together,
                                StepRecord& record) {
  optimizer_.zero_grad();
  double sum = 0;
  for (std::int64_t i = 0; i < options_.accumulate; ++i) {
    BatchLoss batch = loss();
    record.metrics = std::move(batch.metrics);
    const double weight = batch.weight();
    require<ValueError>(weight > 0 && std::isfinite(weight),
                        "Trainer: a loss of {} samples has no weight; leave such a batch out",
                        weight);
    if (together != nullptr) {
      const SharedBatch shared = together->backward(batch);
      signal_ = shared.signal;
      record.loss = shared.loss;
      record.samples = shared.samples;
      return;
    }
    record.samples += weight;
    if (options_.accumulate == 1) {
      batch.loss.backward();
      record.loss = batch.loss.item<double>();
      return;
    }
    // Weighted by its samples now, divided by the samples of all below.
    batch.loss.backward(full(batch.loss.sizes(), weight, batch.loss.dtype()));
    sum += batch.loss.item<double>() * weight;
  }
  const NoGradGuard no_grad;
  for (const Tensor& parameter : optimizer_.parameters()) {
    if (parameter.grad().defined()) parameter.grad().div_(record.samples);
  }
  record.loss = sum / record.samples;
}

// Their norm before. Without clipping it is not asked for, unless it is not finite.
std::optional<double> Trainer::clip_gradients() const {
  const std::vector<Tensor>& parameters = optimizer_.parameters();
  if (options_.clip_norm > 0) return nn::utils::clip_grad_norm_(parameters, options_.clip_norm);
  if (nn::utils::grads_are_finite(parameters)) return {};
  return nn::utils::grad_norm(parameters);
}

// The step has changed nothing yet: made again from the same state, watched, it names the op.
void Trainer::explain(std::int64_t step, std::string_view what, double value,
                      const StateDict& before, const std::function<BatchLoss()>& loss) {
  std::string cause;
  for (const bool infinities : {false, true}) {
    if (!cause.empty()) break;
    sources_.load_state_dict(before);
    try {
      const AnomalyMode watch(true, infinities);
      StepRecord unused;
      compute_gradients(loss, nullptr, unused);  // those of this process alone
    } catch (const Error& error) {
      cause = error.what();
    }
  }
  if (cause.empty())
    cause = gradient_sum_
                ? "not by an op of this process"
                : "the results of all ops are finite, but too large to be added or squared";
  if (run_.ranks() != nullptr) run_.ranks()->end();
  throw NotFiniteError(
      fmt::format("step {}: {} is {} (learning rate {:.3g}; try a smaller --lr): {}", step, what,
                  std::isnan(value) ? std::abs(value) : value, optimizer_.lr(), cause));
}

// The next loss would tell, but what was saved by then would be lost to who resumes it.
void Trainer::require_finite(const StepRecord& record) {
  for (const auto& [name, parameter] : model_.named_parameters()) {
    if (nn::utils::are_finite({parameter})) continue;
    if (run_.ranks() != nullptr) run_.ranks()->end();
    throw NotFiniteError(
        fmt::format("step {}: its update made parameters that are not finite, {} the first "
                    "(learning rate {:.3g}; try a smaller --lr); the step was not saved",
                    record.step, name, record.lr.value_or(0)));
  }
}

std::string Trainer::processes_text() const {
  return fmt::format("{}", run_.ranks() != nullptr ? run_.ranks()->count() : 1);
}

void Trainer::save(std::int64_t step) {
  if (!run_.is_first()) return;
  Metadata metadata = run_.settings();
  metadata["program"] = run_.name();
  metadata[kReliedOn] = run_.relied_on();
  metadata[kProcesses] = processes_text();
  for (const auto& [name, text] : description_) metadata[std::string(kDescribed) + name] = text;
  folder_->save(step, parts_.state_dict(), std::move(metadata));
}

}  // namespace retrace::train
