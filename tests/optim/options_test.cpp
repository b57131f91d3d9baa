// What optimizers refuse to be made with.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <functional>
#include <limits>
#include <set>

#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>
#include <retrace/tests/optim/every_optimizer.h>

using namespace retrace;
using retrace::testing::every_optimizer;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor matrix() { return ones({2, 2}).requires_grad_(); }

const std::vector<double> kNotFinite = {kNaN, kInfinity, -kInfinity};
const std::vector<double> kNegative = {-0.1, kNaN, kInfinity, -kInfinity};
const std::vector<double> kNotPositive = {0, -0.1, kNaN, kInfinity, -kInfinity};
const std::vector<double> kNotADecayRate = {1, 1.5, -0.1, kNaN, kInfinity, -kInfinity};

// An option, and values that it cannot have.
struct BadOption {
  std::string optimizer, option;
  std::vector<double> values;
  std::function<void(double)> make;
};

template <class O, class Set>
BadOption bad(const char* option, const std::vector<double>& values, Set set) {
  return {std::string(O::type_name()), option, values, [set](double value) {
            typename O::Options options;
            set(options, value);
            O({matrix()}, options);
          }};
}
template <class O>
BadOption bad(const char* option, double O::Options::*member, const std::vector<double>& values) {
  return bad<O>(option, values, [member](auto& o, double value) { o.*member = value; });
}
template <class O>
std::vector<BadOption> bad_betas() {
  return {bad<O>("betas[0]", kNotADecayRate, [](auto& o, double value) { o.betas[0] = value; }),
          bad<O>("betas[1]", kNotADecayRate, [](auto& o, double value) { o.betas[1] = value; })};
}
// What all optimizers have.
template <class O>
std::vector<BadOption> bad_common() {
  return {bad<O>("lr", &O::Options::lr, kNegative),
          bad<O>("weight_decay", &O::Options::weight_decay, kNegative)};
}
template <class O>
std::vector<BadOption> bad_eps() {
  return {bad<O>("eps", &O::Options::eps, kNotPositive)};
}

std::vector<BadOption> bad_options() {
  using namespace optim;
  std::vector<BadOption> all = {
      bad<SGD>("momentum", &SGDOptions::momentum, kNegative),
      bad<SGD>("dampening", &SGDOptions::dampening, kNotFinite),
      bad<RMSprop>("alpha", &RMSpropOptions::alpha, kNotADecayRate),
      bad<RMSprop>("momentum", &RMSpropOptions::momentum, kNegative),
      bad<Adagrad>("lr_decay", &AdagradOptions::lr_decay, kNegative),
      bad<Adagrad>("initial_accumulator_value", &AdagradOptions::initial_accumulator_value,
                   kNegative),
      bad<Adadelta>("rho", &AdadeltaOptions::rho, kNotADecayRate),
      bad<NAdam>("momentum_decay", &NAdamOptions::momentum_decay, kNegative),
      bad<Muon>("momentum", &MuonOptions::momentum, kNotADecayRate),
      bad<Muon>("ns_coefficients[2]", kNotFinite,
                [](auto& o, double value) { o.ns_coefficients[2] = value; }),
      bad<Muon>("ns_steps", {0, -3},
                [](auto& o, double value) { o.ns_steps = static_cast<std::int64_t>(value); }),
      bad<Muon>("eps_mode", {2, -1},
                [](auto& o, double value) { o.eps_mode = static_cast<EpsMode>(value); }),
  };
  for (const auto& more :
       {bad_common<SGD>(),      bad_common<Adam>(),  bad_common<AdamW>(),   bad_common<Adamax>(),
        bad_common<NAdam>(),    bad_common<RAdam>(), bad_common<RMSprop>(), bad_common<Adagrad>(),
        bad_common<Adadelta>(), bad_common<Lion>(),  bad_common<Muon>(),    bad_betas<Adam>(),
        bad_betas<AdamW>(),     bad_betas<Adamax>(), bad_betas<NAdam>(),    bad_betas<RAdam>(),
        bad_betas<Lion>(),      bad_eps<Adam>(),     bad_eps<AdamW>(),      bad_eps<Adamax>(),
        bad_eps<NAdam>(),       bad_eps<RAdam>(),    bad_eps<RMSprop>(),    bad_eps<Adagrad>(),
        bad_eps<Adadelta>(),    bad_eps<Muon>()})
    all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

TEST_CASE("bad options are refused by an error with the optimizer, the option and its value") {
  for (const BadOption& bad : bad_options()) {
    for (const double value : bad.values) {
      const std::string start =
          fmt::format("{}: {} is {}; give ", bad.optimizer, bad.option, value);
      const std::string message = message_of<ValueError>([&] { bad.make(value); });
      CHECK_MESSAGE(message.starts_with(start), "expected \"", start, "...\", got ", message);
    }
  }
}

TEST_CASE("every numeric option of an optimizer is in the table of bad options") {
  std::set<std::string> tried;
  for (const BadOption& bad : bad_options())
    tried.insert(bad.optimizer + "." + bad.option.substr(0, bad.option.find('[')));
  for (const auto& kind : every_optimizer()) {
    const optim::Optimizer optimizer = kind.make({matrix()});
    for (const auto& [name, value] : optimizer.state_dict()) {
      const bool is_option = name.starts_with("groups.0.") && name != "groups.0.size";
      if (!is_option || value.dtype() == kBool) continue;
      const std::string option = std::string(optimizer.name()) + name.substr(8);
      CHECK_MESSAGE(tried.contains(option), option);
    }
  }
}

TEST_CASE("options that do not go together are refused") {
  const std::vector<Tensor> p = {matrix()};
  CHECK(says(message_of<ValueError>([&] { optim::SGD(p, {.nesterov = true}); }),
             "SGD: nesterov with momentum 0"));
  CHECK(says(message_of<ValueError>(
                 [&] { optim::SGD(p, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}); }),
             "dampening 0.1"));
  CHECK(says(message_of<ValueError>([&] {
               optim::SGD({{p, {}}, {{matrix()}, {.lr = -1}}});
             }),
             "SGD: lr is -1"));
}

TEST_CASE("what float32 cannot hold is refused by a step of float32 parameters") {
  const auto refuse = [](optim::Optimizer optimizer, std::string_view start) {
    const Tensor p = optimizer.parameters()[0], before = p.detach().clone();
    p.set_grad(zeros_like(p));
    const std::string message = message_of<ValueError>([&] { optimizer.step(); });
    CHECK_MESSAGE(message.starts_with(start), "expected \"", start, "...\", got ", message);
    CHECK(p.equal(before));
    CHECK_FALSE(optimizer.state_dict().contains("0.step"));
  };
  refuse(optim::Adam({matrix()}, {.eps = 1e-46}), "Adam: eps is 1e-46, which is 0 as float32");
  refuse(optim::Adam({matrix()}, {.lr = 1e39}), "Adam: lr is 1e+39, which is inf as float32");
  refuse(optim::SGD({matrix()}, {.weight_decay = 1e39}), "SGD: weight_decay is 1e+39");
  refuse(optim::Muon({matrix()}, {.ns_coefficients = {1, 2, -1e39}}),
         "Muon: ns_coefficients is -1e+39");
  optim::Adam later({matrix()});
  later.set_lr(1e39);
  refuse(later, "Adam: lr is 1e+39");
  // All other options that are numbers: those of the table, if they may be so large.
  for (const auto& kind : every_optimizer()) {
    const StateDict names = kind.make({matrix()}).state_dict();
    for (const auto& [name, value] : names) {
      if (value.dtype() != kFloat64 || value.dim() != 0) continue;
      optim::Optimizer optimizer = kind.make({matrix()});
      StateDict state = names;
      state[name] = full({}, 1e39, kFloat64);
      if (!message_of<ValueError>([&] { optimizer.load_state_dict(state); }).empty()) continue;
      refuse(optimizer, std::string(optimizer.name()) + ": " + name.substr(9) + " is 1e+39");
    }
  }
}

TEST_CASE("float64 parameters take options that float32 cannot hold") {
  Tensor p = ones({2}, kFloat64).requires_grad_();
  optim::Adam optimizer({p}, {.lr = 1e39, .eps = 1e-46});
  p.set_grad(tensor({0.0, 1.0}, kFloat64));
  optimizer.step();
  CHECK(p[0].item<double>() == 1);
  CHECK(p[1].item<double>() == doctest::Approx(-1e39));
}
