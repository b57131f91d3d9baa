#include <memory>
#include <type_traits>
#include <utility>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/advantages.h>
#include <retrace/nn/init.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/goldens_training.h>

using namespace retrace;
using catalogue::Call;
using catalogue::Results;

namespace {

Tensor number(double value, DType dtype = kFloat64) { return full({}, value, dtype); }

// Gradients
// ----------------------------------------------------------------------------------------

// Leaves that have the gradients g0, g1, ... of a call.
std::vector<Tensor> leaves_with_gradients(const Call& c) {
  std::vector<Tensor> leaves;
  for (const auto& [name, gradient] : c.tensors()) {
    leaves.push_back(zeros_like(gradient).requires_grad_());
    leaves.back().set_grad(gradient.clone());
  }
  return leaves;
}

Results clipped(const Call& c, const std::vector<Tensor>& leaves) {
  std::vector<std::pair<std::string, Tensor>> results;
  for (std::size_t i = 0; i < leaves.size(); ++i)
    results.emplace_back(c.tensors()[i].first, leaves[i].grad());
  return results;
}

Results run_clip_norm(const Call& c) {
  const std::vector<Tensor> leaves = leaves_with_gradients(c);
  const double norm =
      nn::utils::clip_grad_norm_(leaves, c.number("max_norm"), c.number("norm_type", 2));
  std::vector<std::pair<std::string, Tensor>> results = clipped(c, leaves).named();
  results.emplace_back("total_norm", number(norm));
  return results;
}

Results run_clip_value(const Call& c) {
  const std::vector<Tensor> leaves = leaves_with_gradients(c);
  nn::utils::clip_grad_value_(leaves, c.number("clip_value"));
  return clipped(c, leaves);
}

// Initialisers
// -------------------------------------------------------------------------------------

Results run_gain(const Call& c) {
  using nn::init::Nonlinearity;
  const std::pair<std::string_view, Nonlinearity> names[] = {
      {"linear", Nonlinearity::linear}, {"sigmoid", Nonlinearity::sigmoid},
      {"tanh", Nonlinearity::tanh},     {"relu", Nonlinearity::relu},
      {"selu", Nonlinearity::selu},     {"leaky_relu", Nonlinearity::leaky_relu},
  };
  for (const auto& [name, nonlinearity] : names) {
    if (name == c.text("nonlinearity"))
      return number(nn::init::calculate_gain(nonlinearity, c.maybe_number("negative_slope")));
  }
  throw ValueError("gain: unknown nonlinearity " + c.text("nonlinearity"));
}

Results run_init_scale(const Call& c) {
  const Shape sizes = c.list("shape");
  const nn::init::KaimingOptions relu = {.nonlinearity = nn::init::Nonlinearity::relu};
  return std::vector<std::pair<std::string, Tensor>>{
      {"xavier_uniform_bound", number(nn::init::xavier_uniform_bound(sizes))},
      {"xavier_normal_std", number(nn::init::xavier_normal_std(sizes))},
      {"kaiming_uniform_bound_relu", number(nn::init::kaiming_uniform_bound(sizes, relu))},
      {"kaiming_normal_std_relu", number(nn::init::kaiming_normal_std(sizes, relu))},
      {"lecun_normal_std", number(nn::init::lecun_normal_std(sizes))},
  };
}

// Optimizers
// ---------------------------------------------------------------------------------------

void read(const Call& c, const char* name, double& value) { value = c.number(name, value); }
void read(const Call& c, const char* name, bool& value) { value = c.flag(name, value); }
void read(const Call& c, const char* name, std::array<double, 2>& value) {
  if (!c.has(name)) return;
  const std::vector<double> numbers = c.numbers(name);
  value = {numbers.at(0), numbers.at(1)};
}
void read(const Call& c, const char* name, optim::EpsMode& value) {
  if (c.has(name)) value = c.text(name) == "add" ? optim::EpsMode::add : optim::EpsMode::clamp;
}

// The options that an optimizer has, where the call gives them.
template <class Options>
Options options_of(const Call& c) {
  Options o;
  // The cases of Muon have the default of its first implementation, not PyTorch's.
  if constexpr (std::is_same_v<Options, optim::MuonOptions>) o.weight_decay = 0;
  read(c, "lr", o.lr);
  read(c, "weight_decay", o.weight_decay);
  if constexpr (requires { o.momentum; }) read(c, "momentum", o.momentum);
  if constexpr (requires { o.dampening; }) read(c, "dampening", o.dampening);
  if constexpr (requires { o.nesterov; }) read(c, "nesterov", o.nesterov);
  if constexpr (requires { o.maximize; }) read(c, "maximize", o.maximize);
  if constexpr (requires { o.betas; }) read(c, "betas", o.betas);
  if constexpr (requires { o.eps; }) read(c, "eps", o.eps);
  if constexpr (requires { o.amsgrad; }) read(c, "amsgrad", o.amsgrad);
  if constexpr (requires { o.alpha; }) read(c, "alpha", o.alpha);
  if constexpr (requires { o.centered; }) read(c, "centered", o.centered);
  if constexpr (requires { o.rho; }) read(c, "rho", o.rho);
  if constexpr (requires { o.lr_decay; }) read(c, "lr_decay", o.lr_decay);
  if constexpr (requires { o.initial_accumulator_value; })
    read(c, "initial_accumulator_value", o.initial_accumulator_value);
  if constexpr (requires { o.momentum_decay; }) read(c, "momentum_decay", o.momentum_decay);
  if constexpr (requires { o.eps_mode; }) read(c, "eps_mode", o.eps_mode);
  return o;
}

// The parameters after each step, when they get the gradients g0[t], g1[t].
template <class Optimizer>
Results trajectory(const Call& c) {
  std::vector<Tensor> parameters, gradients;
  for (int i = 0; c.optional("p" + std::to_string(i)).defined(); ++i) {
    parameters.push_back(c["p" + std::to_string(i)].clone().requires_grad_());
    gradients.push_back(c["g" + std::to_string(i)]);
  }
  Optimizer optimizer(parameters, options_of<typename Optimizer::Options>(c));
  std::vector<std::vector<Tensor>> after(parameters.size());
  for (std::int64_t t = 0; t < gradients[0].size(0); ++t) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      parameters[i].set_grad(gradients[i][t].clone());
    optimizer.step();
    for (std::size_t i = 0; i < parameters.size(); ++i)
      after[i].push_back(parameters[i].detach().clone());
  }
  std::vector<std::pair<std::string, Tensor>> results;
  for (std::size_t i = 0; i < after.size(); ++i)
    results.emplace_back("trajectory" + std::to_string(i), stack(after[i]));
  return results;
}

Results run_newton_schulz(const Call& c) {
  optim::NewtonSchulzOptions o;
  o.steps = c.integer("steps");
  read(c, "eps", o.eps);
  read(c, "eps_mode", o.eps_mode);
  return optim::newton_schulz(c["g"], o);
}

// Schedules
// ----------------------------------------------------------------------------------------

std::unique_ptr<optim::Schedule> schedule_of(const Call& c, const optim::Optimizer& optimizer) {
  const std::string kind = c.text("kind");
  const auto whole = [&](const char* name) { return c.integer(name); };
  if (kind == "step")
    return std::make_unique<optim::StepLR>(
        optimizer,
        optim::StepLROptions{.step_size = whole("step_size"), .gamma = c.number("gamma")});
  if (kind == "multistep") {
    const Shape milestones = c.list("milestones");
    return std::make_unique<optim::MultiStepLR>(
        optimizer, optim::MultiStepLROptions{.milestones = {milestones.begin(), milestones.end()},
                                             .gamma = c.number("gamma")});
  }
  if (kind == "exponential")
    return std::make_unique<optim::ExponentialLR>(
        optimizer, optim::ExponentialLROptions{.gamma = c.number("gamma")});
  if (kind == "cosine")
    return std::make_unique<optim::CosineAnnealingLR>(
        optimizer,
        optim::CosineAnnealingLROptions{.T_max = whole("T_max"), .eta_min = c.number("eta_min")});
  if (kind == "cosine_restarts")
    return std::make_unique<optim::CosineAnnealingWarmRestarts>(
        optimizer,
        optim::CosineAnnealingWarmRestartsOptions{
            .T_0 = whole("T_0"), .T_mult = whole("T_mult"), .eta_min = c.number("eta_min")});
  if (kind == "linear")
    return std::make_unique<optim::LinearLR>(
        optimizer, optim::LinearLROptions{.start_factor = c.number("start_factor"),
                                          .end_factor = c.number("end_factor"),
                                          .total_iters = whole("total_iters")});
  if (kind == "constant")
    return std::make_unique<optim::ConstantLR>(
        optimizer, optim::ConstantLROptions{.factor = c.number("factor"),
                                            .total_iters = whole("total_iters")});
  if (kind == "polynomial")
    return std::make_unique<optim::PolynomialLR>(
        optimizer, optim::PolynomialLROptions{.total_iters = whole("total_iters"),
                                              .power = c.number("power")});
  if (kind == "one_cycle")
    return std::make_unique<optim::OneCycleLR>(
        optimizer, optim::OneCycleLROptions{.max_lr = c.number("max_lr"),
                                            .total_steps = whole("total_steps"),
                                            .pct_start = c.number("pct_start"),
                                            .anneal_strategy = c.text("anneal_strategy") == "cos"
                                                                   ? optim::AnnealStrategy::cos
                                                                   : optim::AnnealStrategy::linear,
                                            .div_factor = c.number("div_factor"),
                                            .final_div_factor = c.number("final_div_factor")});
  const optim::WarmupOptions warmup = {.warmup_steps = whole("warmup_steps"),
                                       .total_steps = whole("total_steps")};
  if (kind == "warmup_linear") return std::make_unique<optim::WarmupLinearLR>(optimizer, warmup);
  if (kind == "warmup_cosine") return std::make_unique<optim::WarmupCosineLR>(optimizer, warmup);
  throw ValueError("lr_schedule: unknown kind " + kind);
}

optim::SGD optimizer_with(double lr) {
  return optim::SGD({zeros({1}).requires_grad_()}, {.lr = lr});
}

Results run_schedule(const Call& c) {
  const optim::SGD optimizer = optimizer_with(c.number("base_lr"));
  const auto schedule = schedule_of(c, optimizer);
  std::vector<double> rates;
  for (std::int64_t t = 0; t < c.integer("steps"); ++t) {
    rates.push_back(optimizer.lr());
    schedule->step();
  }
  return from_vector(rates);
}

Results run_plateau(const Call& c) {
  const optim::SGD optimizer = optimizer_with(c.number("base_lr"));
  optim::ReduceLROnPlateau schedule(
      optimizer,
      {.mode = c.text("mode") == "min" ? optim::PlateauMode::min : optim::PlateauMode::max,
       .factor = c.number("factor"),
       .patience = c.integer("patience"),
       .threshold = c.number("threshold"),
       .threshold_mode = c.text("threshold_mode") == "rel" ? optim::PlateauThreshold::rel
                                                           : optim::PlateauThreshold::abs});
  std::vector<double> rates;
  for (const double metric : c["metric"].to_vector<double>()) {
    schedule.step(metric);
    rates.push_back(optimizer.lr());
  }
  return from_vector(rates);
}

Results run_adaptive_kl(const Call& c) {
  losses::AdaptiveKL coefficient(
      {.init = c.number("init"), .target = c.number("target"), .horizon = c.number("horizon")});
  std::vector<double> values;
  for (const double kl : c["kl"].to_vector<double>())
    values.push_back(coefficient.update(kl, c.integer("n_steps")));
  return from_vector(values);
}

}  // namespace

Results (*find_training(std::string_view op))(const Call&) {
  static constexpr std::pair<std::string_view, Results (*)(const Call&)> table[] = {
      {"clip_grad_norm", run_clip_norm},
      {"clip_grad_value", run_clip_value},
      {"gain", run_gain},
      {"init_scale", run_init_scale},
      {"sgd", trajectory<optim::SGD>},
      {"adam", trajectory<optim::Adam>},
      {"adamw", trajectory<optim::AdamW>},
      {"rmsprop", trajectory<optim::RMSprop>},
      {"adagrad", trajectory<optim::Adagrad>},
      {"adadelta", trajectory<optim::Adadelta>},
      {"adamax", trajectory<optim::Adamax>},
      {"nadam", trajectory<optim::NAdam>},
      {"radam", trajectory<optim::RAdam>},
      {"lion", trajectory<optim::Lion>},
      {"muon", trajectory<optim::Muon>},
      {"newton_schulz", run_newton_schulz},
      {"adaptive_kl", run_adaptive_kl},
      {"lr_schedule", run_schedule},
      {"reduce_on_plateau", run_plateau},
  };
  for (const auto& [name, run] : table) {
    if (name == op) return run;
  }
  return nullptr;
}
