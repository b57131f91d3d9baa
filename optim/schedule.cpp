#include <retrace/optim/schedule.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <retrace/optim/rule.h>
#include <retrace/optim/state_reader.h>
#include <retrace/tensor/check.h>

namespace retrace::optim {

Schedule::Schedule(Optimizer optimizer, std::string_view name)
    : optimizer_(std::move(optimizer)), name_(name) {
  for (std::size_t group = 0; group < optimizer_.groups(); ++group)
    base_.push_back(optimizer_.lr(group));
  rates_ = base_;
}

std::vector<double> Schedule::rates_of(std::span<const double> base, std::int64_t step) const {
  std::vector<double> rates;
  for (const double each : base) {
    rates.push_back(rate(each, step));
    require_at_least_zero(name_, "the rate", rates.back());
  }
  return rates;
}

void Schedule::set(std::vector<double> rates) {
  for (std::size_t group = 0; group < rates.size(); ++group) optimizer_.set_lr(rates[group], group);
  rates_ = std::move(rates);
}

void Schedule::start() {
  std::vector<double> rates = rates_of(base_, 0);
  for (std::size_t group = 0; group < rates.size(); ++group) {
    require<ValueError>(base_[group] > 0 || rates[group] > 0,
                        "{}: the rate of group {} is 0, and would stay so; set_lr() first, or make "
                        "one schedule of a "
                        "warm-up and what follows it",
                        name_, group);
  }
  set(std::move(rates));
}

void Schedule::step() {
  for (std::size_t group = 0; group < rates_.size(); ++group) {
    require<ValueError>(optimizer_.lr(group) == rates_[group],
                        "{}: the rate of group {} is {}, and this schedule had set {}; leave it to "
                        "one schedule, or make a new one, which goes on from there",
                        name_, group, optimizer_.lr(group), rates_[group]);
  }
  set(rates_of(base_, steps_ + 1));
  ++steps_;
}

StateDict Schedule::state_dict() const {
  StateDict state = new_state(name_);
  state.insert("step", to_tensor(steps_));
  state.insert("base_lr", to_tensor(base_));
  return state;
}

void Schedule::load_state_dict(const StateDict& state) {
  StateReader reader(state, name_);
  std::int64_t steps = 0;
  std::vector<double> base = base_;
  reader.read("step", steps);
  reader.read("base_lr", base);
  if (steps < 0) reader.add_problem(fmt::format("step is {}, expected 0 or more", steps));
  reader.finish();
  for (const double each : base) require_at_least_zero(name_, "base_lr", each);
  set(rates_of(base, steps));
  steps_ = steps;
  base_.swap(base);
}

// ReduceLROnPlateau -----------------------------------------------------------------------------

namespace {

constexpr std::string_view kPlateau = "ReduceLROnPlateau";

double worst(PlateauMode mode) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return mode == PlateauMode::min ? infinity : -infinity;
}

}  // namespace

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer optimizer, const ReduceLROnPlateauOptions& options)
    : optimizer_(std::move(optimizer)), options_(options), best_(worst(options.mode)) {
  require_decay_rate(kPlateau, "factor", options.factor);
  require<ValueError>(options.patience >= 0 && options.cooldown >= 0,
                      "ReduceLROnPlateau: patience is {}, cooldown {}; give at least 0",
                      options.patience, options.cooldown);
  require_at_least_zero(kPlateau, "threshold", options.threshold);
  require_at_least_zero(kPlateau, "min_lr", options.min_lr);
  require_at_least_zero(kPlateau, "eps", options.eps);
}

bool ReduceLROnPlateau::is_better(double metric) const {
  const bool minimizes = options_.mode == PlateauMode::min;
  const double t = minimizes ? -options_.threshold : options_.threshold;
  // Not best · (1 + t) while best is infinite: with threshold 1 that would be NaN.
  const double bar = best_ == worst(options_.mode)                      ? best_
                     : options_.threshold_mode == PlateauThreshold::rel ? best_ * (1 + t)
                                                                        : best_ + t;
  return minimizes ? metric < bar : metric > bar;
}

void ReduceLROnPlateau::step(double metric) {
  if (is_better(metric)) {
    best_ = metric;
    bad_steps_ = 0;
  } else {
    ++bad_steps_;
  }
  if (cooldown_ > 0) {
    --cooldown_;
    bad_steps_ = 0;
  }
  if (bad_steps_ > options_.patience) {
    reduce();
    cooldown_ = options_.cooldown;
    bad_steps_ = 0;
  }
}

void ReduceLROnPlateau::reduce() {
  for (std::size_t group = 0; group < optimizer_.groups(); ++group) {
    const double before = optimizer_.lr(group);
    const double after = std::max(before * options_.factor, options_.min_lr);
    if (before - after > options_.eps) optimizer_.set_lr(after, group);
  }
}

StateDict ReduceLROnPlateau::state_dict() const {
  StateDict state = new_state(kPlateau);
  state.insert("mode", to_tensor(options_.mode));
  state.insert("best", to_tensor(best_));
  state.insert("bad_steps", to_tensor(bad_steps_));
  state.insert("cooldown", to_tensor(cooldown_));
  std::vector<double> rates;
  for (std::size_t group = 0; group < optimizer_.groups(); ++group)
    rates.push_back(optimizer_.lr(group));
  state.insert("lr", to_tensor(rates));
  return state;
}

void ReduceLROnPlateau::load_state_dict(const StateDict& state) {
  StateReader reader(state, kPlateau);
  PlateauMode mode = options_.mode;
  double best = best_;
  std::int64_t bad_steps = 0, cooldown = 0;
  std::vector<double> rates(optimizer_.groups());
  reader.read("mode", mode);
  reader.read("best", best);
  reader.read("bad_steps", bad_steps);
  reader.read("cooldown", cooldown);
  reader.read("lr", rates);
  if (mode != options_.mode)
    reader.add_problem("mode is another: what was better there is worse here");
  if (std::isnan(best)) reader.add_problem("best is nan, expected a number");
  for (const auto& [name, count] : {std::pair{"bad_steps", bad_steps}, {"cooldown", cooldown}}) {
    if (count < 0) reader.add_problem(fmt::format("{} is {}, expected 0 or more", name, count));
  }
  reader.finish();
  for (const double rate : rates) require_at_least_zero(kPlateau, "lr", rate);
  for (std::size_t group = 0; group < rates.size(); ++group) optimizer_.set_lr(rates[group], group);
  best_ = best;
  bad_steps_ = bad_steps;
  cooldown_ = cooldown;
}

}  // namespace retrace::optim
