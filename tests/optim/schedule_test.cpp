#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

optim::SGD optimizer(double lr = 0.1) { return optim::SGD({zeros({1})}, {.lr = lr}); }

// Rates at the given steps.
std::vector<double> rates(optim::Schedule&& schedule, const std::vector<std::int64_t>& steps) {
  std::vector<double> result;
  for (const std::int64_t step : steps) {
    while (schedule.steps() < step) schedule.step();
    result.push_back(schedule.lr());
  }
  return result;
}

void check_near(const std::vector<double>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    CHECK(std::abs(got[i] - expected[i]) <= 1e-12 + 1e-10 * std::abs(expected[i]));
}

template <class F>
bool refused(F f) {
  return !message_of<ValueError>(f).empty();
}

}  // namespace

// The numbers are PyTorch's, or follow from the formula by hand.
TEST_CASE("rates of the schedules") {
  check_near(
      rates(optim::StepLR(optimizer(), {.step_size = 5, .gamma = 0.5}), {0, 4, 5, 9, 10, 23}),
      {0.1, 0.1, 0.05, 0.05, 0.025, 0.00625});
  check_near(rates(optim::MultiStepLR(optimizer(), {.milestones = {3, 7, 15}}), {0, 2, 3, 7, 15}),
             {0.1, 0.1, 0.01, 0.001, 0.0001});
  check_near(rates(optim::ExponentialLR(optimizer(), {.gamma = 0.9}), {0, 1, 14}),
             {0.1, 0.09, 0.022876792454961013});
  check_near(rates(optim::CosineAnnealingLR(optimizer(), {.T_max = 20}), {0, 1, 10, 20, 21, 40}),
             {0.1, 0.0993844170297569, 0.05, 0, 0.0006155829702431115, 0.1});
  check_near(rates(optim::CosineAnnealingWarmRestarts(optimizer(),
                                                      {.T_0 = 5, .T_mult = 2, .eta_min = 0.001}),
                   {0, 4, 5, 14, 15, 23}),
             {0.1, 0.010453658778440109, 0.1, 0.0034227024433899004, 0.1, 0.0657963412215599});
  check_near(
      rates(optim::LinearLR(optimizer(), {.start_factor = 0.25, .total_iters = 8}), {0, 3, 8, 9}),
      {0.025, 0.053125, 0.1, 0.1});
  check_near(rates(optim::ConstantLR(optimizer(), {.factor = 0.5, .total_iters = 5}), {0, 4, 5}),
             {0.05, 0.05, 0.1});
  check_near(
      rates(optim::PolynomialLR(optimizer(), {.total_iters = 12, .power = 2}), {0, 1, 11, 12, 13}),
      {0.1, 0.08402777777777777, 0.000694444444444445, 0, 0});
  check_near(rates(optim::OneCycleLR(optimizer(), {.max_lr = 0.4, .total_steps = 25}),
                   {0, 1, 7, 11, 24, 25}),
             {0.016, 0.037992443074583715, 0.3991948620196127, 0.338212776947253, 1.6e-6, 1.6e-6});
  // The rise may be a single step, and half a wave as short.
  check_near(
      rates(optim::OneCycleLR(optimizer(), {.max_lr = 0.4, .total_steps = 4, .pct_start = 0.25}),
            {0, 3}),
      {0.4, 1.6e-6});
  check_near(rates(optim::CosineAnnealingLR(optimizer(), {.T_max = 1}), {0, 1, 2}), {0.1, 0, 0.1});
  check_near(rates(optim::WarmupLinearLR(optimizer(), {.warmup_steps = 4, .total_steps = 20}),
                   {0, 1, 4, 5, 20, 30}),
             {0, 0.025, 0.1, 0.09375, 0, 0});
  check_near(rates(optim::WarmupCosineLR(optimizer(), {.warmup_steps = 4, .total_steps = 20}),
                   {0, 1, 4, 5, 12, 20, 30}),
             {0, 0.025, 0.1, 0.09903926402016153, 0.05, 0, 0});
  check_near(
      rates(optim::WarmupInverseSqrtLR(optimizer(), {.warmup_steps = 4}), {0, 1, 4, 16, 400}),
      {0, 0.025, 0.1, 0.05, 0.01});
  check_near(
      rates(optim::LambdaLR(optimizer(), [](std::int64_t t) { return 1.0 / (1.0 + double(t)); }),
            {0, 1, 4}),
      {0.1, 0.05, 0.02});
}

TEST_CASE("a warm-up of no steps, and cosines with a floor") {
  check_near(rates(optim::WarmupCosineLR(optimizer(), {.total_steps = 10, .eta_min = 0.02}),
                   {0, 5, 10, 11}),
             {0.1, 0.06, 0.02, 0.02});
  check_near(rates(optim::CosineAnnealingWarmRestarts(optimizer(), {.T_0 = 3}), {0, 3, 300}),
             {0.1, 0.1, 0.1});
}

TEST_CASE("a schedule sets the rates of every group") {
  optim::SGD two({{{zeros({1})}, {.lr = 1}}, {{zeros({1})}, {.lr = 0.5}}});
  optim::StepLR schedule(two, {.step_size = 1, .gamma = 0.5});
  schedule.step();
  CHECK(two.lr(0) == 0.5);
  CHECK(two.lr(1) == 0.25);
  CHECK(schedule.lr(1) == 0.25);
}

TEST_CASE("options out of range are refused") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refused([] { optim::StepLR(optimizer(), {}); }));
  CHECK(refused([] { optim::StepLR(optimizer(), {.step_size = 1, .gamma = 0}); }));
  CHECK(says(message_of<ValueError>([] {
               optim::MultiStepLR(optimizer(), {.milestones = {7, 3}});
             }),
             "[7, 3] are not ascending"));
  CHECK(refused([] { optim::ExponentialLR(optimizer(), {}); }));
  CHECK(refused([=] { optim::ExponentialLR(optimizer(), {.gamma = nan}); }));
  CHECK(says(message_of<ValueError>([] { optim::CosineAnnealingLR(optimizer(), {}); }),
             "CosineAnnealingLR: T_max is 0"));
  CHECK(refused([] { optim::CosineAnnealingLR(optimizer(), {.T_max = 3, .eta_min = -1}); }));
  CHECK(refused([] { optim::CosineAnnealingWarmRestarts(optimizer(), {.T_0 = 1, .T_mult = 0}); }));
  CHECK(refused([] { optim::LinearLR(optimizer(), {.start_factor = 0}); }));
  CHECK(refused([] { optim::LinearLR(optimizer(), {.total_iters = 0}); }));
  for (const double factor : {-1.0, 1.5, 5.0, nan}) {
    CHECK(refused([=] { optim::ConstantLR(optimizer(), {.factor = factor}); }));
    CHECK(refused([=] { optim::LinearLR(optimizer(), {.start_factor = factor}); }));
    CHECK(refused([=] { optim::LinearLR(optimizer(), {.end_factor = factor}); }));
  }
  CHECK(says(message_of<ValueError>([] { optim::LinearLR(optimizer(), {.start_factor = 7}); }),
             "LinearLR: start_factor is 7; give a number in [0, 1]"));
  CHECK(refused([] { optim::PolynomialLR(optimizer(), {.power = 0}); }));
  CHECK(refused([] { optim::WarmupCosineLR(optimizer(), {.warmup_steps = 5, .total_steps = 5}); }));
  CHECK(
      refused([] { optim::WarmupLinearLR(optimizer(), {.warmup_steps = -1, .total_steps = 5}); }));
  CHECK(refused([] { optim::WarmupInverseSqrtLR(optimizer(), {}); }));
  CHECK(refused([] { optim::OneCycleLR(optimizer(), {.max_lr = 1}); }));
  CHECK(refused([] { optim::OneCycleLR(optimizer(), {.total_steps = 3}); }));
  CHECK(refused(
      [] { optim::OneCycleLR(optimizer(), {.max_lr = 1, .total_steps = 3, .pct_start = 2}); }));
  CHECK(refused([] { optim::ReduceLROnPlateau(optimizer(), {.factor = 1}); }));
  CHECK(refused([] { optim::ReduceLROnPlateau(optimizer(), {.patience = -1}); }));
}

TEST_CASE("periods longer than an int64 can say") {
  const optim::CosineAnnealingWarmRestartsOptions longer = {.T_0 = 4, .T_mult = 1LL << 62};
  check_near(rates(optim::CosineAnnealingWarmRestarts(optimizer(), longer), {0, 2, 4, 5, 9}),
             {0.1, 0.05, 0.1, 0.1, 0.1});
  const std::int64_t longest = std::numeric_limits<std::int64_t>::max();
  check_near(rates(optim::CosineAnnealingLR(optimizer(), {.T_max = longest}), {0, 1, 5}),
             {0.1, 0.1, 0.1});
}

TEST_CASE("a rate that another has changed is not undone in silence") {
  const auto refuses = [](optim::Schedule& schedule, std::string_view what) {
    const std::int64_t steps = schedule.steps();
    const double rate = schedule.lr();
    CHECK(says(message_of<ValueError>([&] { schedule.step(); }), what));
    CHECK(schedule.steps() == steps);
    CHECK(schedule.lr() == rate);
  };
  SUBCASE("set_lr") {
    optim::SGD two({{{zeros({1})}, {.lr = 1}}, {{zeros({1})}, {.lr = 0.5}}});
    optim::StepLR schedule(two, {.step_size = 1, .gamma = 0.5});
    schedule.step();
    two.set_lr(0.125, 1);
    refuses(schedule,
            "StepLR: the rate of group 1 is 0.125, and this schedule had set 0.25; leave it to");
    optim::StepLR next(two, {.step_size = 1, .gamma = 0.5});
    next.step();
    CHECK(two.lr(1) == 0.0625);
  }
  SUBCASE("a plateau") {
    optim::SGD sgd = optimizer(1);
    optim::StepLR schedule(sgd, {.step_size = 100});
    optim::ReduceLROnPlateau plateau(sgd, {.factor = 0.5, .patience = 0});
    plateau.step(1);
    schedule.step();
    plateau.step(1);
    refuses(schedule, "the rate of group 0 is 0.5, and this schedule had set 1");
  }
  SUBCASE("a schedule behind a warm-up that has not begun") {
    optim::SGD sgd = optimizer();
    optim::WarmupInverseSqrtLR warmup(sgd, {.warmup_steps = 4});
    CHECK(says(message_of<ValueError>([&] { optim::ExponentialLR(sgd, {.gamma = 0.9}); }),
               "ExponentialLR: the rate of group 0 is 0, and would stay so; set_lr() first"));
    CHECK(sgd.lr() == 0);
    warmup.step();
    CHECK(sgd.lr() == doctest::Approx(0.025));
    // One that goes by no base is none of that kind.
    optim::SGD still = optimizer(0);
    CHECK(optim::OneCycleLR(still, {.max_lr = 1, .total_steps = 3}).lr() > 0);
  }
  SUBCASE("a schedule behind one that is under way") {
    optim::SGD sgd = optimizer(1);
    optim::LinearLR first(sgd, {.start_factor = 0.5, .total_iters = 4});
    optim::ExponentialLR second(sgd, {.gamma = 0.5});
    first.step();
    refuses(second, "ExponentialLR: the rate of group 0 is 0.625, and this schedule had set 0.5");
  }
  SUBCASE("a loaded optimizer") {
    optim::SGD sgd = optimizer(1), other = optimizer(3);
    optim::StepLR schedule(sgd, {.step_size = 1, .gamma = 0.5}), same(other, {.step_size = 1});
    schedule.step();
    const StateDict state = schedule.state_dict();
    sgd.load_state_dict(other.state_dict());
    refuses(schedule, "is 3, and this schedule had set 0.5");
    schedule.load_state_dict(state);
    schedule.step();
    CHECK(sgd.lr() == 0.25);
  }
}

TEST_CASE("a refused schedule or step leaves the rate alone") {
  optim::SGD sgd = optimizer(0.1);
  CHECK(refused([&] { optim::LinearLR(sgd, {.end_factor = -1}); }));
  CHECK(sgd.lr() == 0.1);
  optim::OneCycleLR once(sgd, {.max_lr = 1, .total_steps = 1});
  const double rate = sgd.lr();
  once.step();  // after the last step of training: it keeps the last rate
  CHECK(sgd.lr() == rate);
  CHECK(says(message_of<ValueError>([&] { once.step(); }), "the cycle is over"));
  CHECK(once.steps() == 1);
  CHECK(sgd.lr() == rate);
  optim::LambdaLR wild(sgd, [](std::int64_t t) { return t == 0 ? 1.0 : -1.0; });
  CHECK(refused([&] { wild.step(); }));
  CHECK(wild.steps() == 0);
  CHECK(sgd.lr() == rate);
}

namespace {

template <class S, class Options>
std::unique_ptr<optim::Schedule> make(optim::Optimizer optimizer, const Options& options) {
  return std::make_unique<S>(std::move(optimizer), options);
}

using MakeSchedule = std::function<std::unique_ptr<optim::Schedule>(optim::Optimizer)>;
struct NamedSchedule {
  const char* name;
  MakeSchedule make;
};
const NamedSchedule kSchedules[] = {
    {"step", [](auto o) { return make<optim::StepLR>(o, optim::StepLROptions{.step_size = 3}); }},
    {"multistep",
     [](auto o) {
       return make<optim::MultiStepLR>(o, optim::MultiStepLROptions{.milestones = {2, 10}});
     }},
    {"exponential",
     [](auto o) {
       return make<optim::ExponentialLR>(o, optim::ExponentialLROptions{.gamma = 0.9});
     }},
    {"constant",
     [](auto o) {
       return make<optim::ConstantLR>(o, optim::ConstantLROptions{.total_iters = 11});
     }},
    {"linear",
     [](auto o) { return make<optim::LinearLR>(o, optim::LinearLROptions{.total_iters = 20}); }},
    {"polynomial",
     [](auto o) {
       return make<optim::PolynomialLR>(o, optim::PolynomialLROptions{.total_iters = 20});
     }},
    {"cosine",
     [](auto o) {
       return make<optim::CosineAnnealingLR>(o, optim::CosineAnnealingLROptions{.T_max = 8});
     }},
    {"cosine with restarts",
     [](auto o) {
       return make<optim::CosineAnnealingWarmRestarts>(
           o, optim::CosineAnnealingWarmRestartsOptions{.T_0 = 2, .T_mult = 2});
     }},
    {"warm-up and line",
     [](auto o) {
       return make<optim::WarmupLinearLR>(
           o, optim::WarmupOptions{.warmup_steps = 4, .total_steps = 20});
     }},
    {"warm-up and cosine",
     [](auto o) {
       return make<optim::WarmupCosineLR>(
           o, optim::WarmupOptions{.warmup_steps = 4, .total_steps = 20});
     }},
    {"warm-up and root",
     [](auto o) {
       return make<optim::WarmupInverseSqrtLR>(
           o, optim::WarmupInverseSqrtLROptions{.warmup_steps = 4});
     }},
    {"one cycle",
     [](auto o) {
       return make<optim::OneCycleLR>(o, optim::OneCycleLROptions{.max_lr = 1, .total_steps = 20});
     }},
};

}  // namespace

TEST_CASE("a saved schedule goes on where it stopped") {
  for (const NamedSchedule& schedule : kSchedules) {
    CAPTURE(schedule.name);
    optim::SGD first = optimizer(0.3), second = optimizer(7);
    const auto a = schedule.make(first);
    for (int i = 0; i < 9; ++i) a->step();
    const auto b = schedule.make(second);
    b->load_state_dict(a->state_dict());
    CHECK(b->steps() == 9);
    CHECK(second.lr() == first.lr());
    for (int i = 0; i < 5; ++i) {
      a->step();
      b->step();
      CHECK(second.lr() == first.lr());
    }
  }
}

TEST_CASE("a saved plateau goes on where it stopped") {
  const std::vector<double> metrics = {3, 2, 2, 2, 1, 1, 1, 1, 1, 0.5, 0.6, 0.7, 0.8};
  const optim::ReduceLROnPlateauOptions options = {.factor = 0.5, .patience = 1, .cooldown = 1};
  for (std::size_t stop = 0; stop < metrics.size(); ++stop) {
    CAPTURE(stop);
    optim::SGD first = optimizer(), second = optimizer(7);
    optim::ReduceLROnPlateau a(first, options), b(second, options);
    for (std::size_t i = 0; i < stop; ++i) a.step(metrics[i]);
    b.load_state_dict(a.state_dict());
    for (std::size_t i = stop; i < metrics.size(); ++i) {
      a.step(metrics[i]);
      b.step(metrics[i]);
      CHECK(second.lr() == first.lr());
    }
    CHECK(first.lr() < 0.1);
  }
}

TEST_CASE("a state of another schedule is refused") {
  optim::SGD sgd = optimizer();
  optim::StepLR schedule(sgd, {.step_size = 2});
  schedule.step();
  CHECK(says(message_of<ValueError>([&] {
               schedule.load_state_dict(
                   optim::ExponentialLR(optimizer(), {.gamma = 1}).state_dict());
             }),
             "one of ExponentialLR"));
  optim::SGD two({{{zeros({1})}, {}}, {{zeros({1})}, {}}});
  CHECK(says(message_of<ValueError>([&] {
               schedule.load_state_dict(optim::StepLR(two, {.step_size = 2}).state_dict());
             }),
             "base_lr is float64 [2], expected float64 [1]"));
  StateDict negative = schedule.state_dict();
  negative["step"] = full({}, -1, kInt64);
  CHECK(refused([&] { schedule.load_state_dict(negative); }));
  CHECK(schedule.steps() == 1);
}

TEST_CASE(
    "a state whose base rates are none is refused, and one of other options goes on with ours") {
  optim::SGD sgd = optimizer();
  optim::StepLR halves(sgd, {.step_size = 2, .gamma = 0.5});
  for (int i = 0; i < 3; ++i) halves.step();
  optim::SGD other = optimizer(7);
  optim::StepLR late(other, {.step_size = 100});
  late.load_state_dict(halves.state_dict());
  CHECK(late.steps() == 3);
  CHECK(other.lr() == 0.1);
  CHECK_NOTHROW(late.step());
  optim::WarmupLinearLR warmup(other, {.warmup_steps = 2, .total_steps = 4});
  for (const double base : {-1.0, std::nan(""), HUGE_VAL}) {
    StateDict state = warmup.state_dict();
    state["base_lr"] = full({1}, base, kFloat64);
    CHECK(says(message_of<ValueError>([&] { warmup.load_state_dict(state); }), "base_lr is "));
  }
  CHECK(other.lr() == 0);
}

TEST_CASE("a state of another plateau is refused") {
  optim::SGD sgd = optimizer();
  optim::ReduceLROnPlateau down(sgd), up(sgd, {.mode = optim::PlateauMode::max});
  CHECK(says(message_of<ValueError>([&] { down.load_state_dict(up.state_dict()); }),
             "mode is another"));
  const auto refuses = [&](const char* name, const Tensor& value) {
    StateDict state = down.state_dict();
    state[name] = value;
    return says(message_of<ValueError>([&] { down.load_state_dict(state); }),
                std::string(name) + " is ");
  };
  CHECK(refuses("best", full({}, std::nan(""), kFloat64)));
  CHECK(refuses("bad_steps", full({}, -1, kInt64)));
  CHECK(refuses("cooldown", full({}, -1, kInt64)));
  CHECK(refuses("mode", full({}, 7, kInt64)));
  CHECK(refuses("lr", full({1}, -1, kFloat64)));
}

TEST_CASE("a plateau reduces the rate") {
  const std::vector<double> metrics = {1,   0.9,  0.95, 0.93, 0.92, 0.91,
                                       0.5, 0.51, 0.52, 0.53, 0.54, 0.4};
  const std::vector<double> expected = {0.1,  0.1,  0.1,  0.1,   0.05,  0.05,
                                        0.05, 0.05, 0.05, 0.025, 0.025, 0.025};
  optim::SGD sgd = optimizer();
  optim::ReduceLROnPlateau schedule(sgd, {.factor = 0.5, .patience = 2});
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    if (i == 5) {  // through a saved state
      const StateDict state = schedule.state_dict();
      sgd = optimizer(3);
      schedule = optim::ReduceLROnPlateau(sgd, {.factor = 0.5, .patience = 2});
      schedule.load_state_dict(state);
    }
    schedule.step(metrics[i]);
    CHECK(sgd.lr() == doctest::Approx(expected[i]).epsilon(1e-12));
  }
}

TEST_CASE("plateaus upwards, by difference, with cooldown, floor and NaN") {
  optim::SGD sgd = optimizer(1);
  optim::ReduceLROnPlateau schedule(sgd, {.mode = optim::PlateauMode::max,
                                          .factor = 0.5,
                                          .patience = 0,
                                          .threshold = 0.1,
                                          .threshold_mode = optim::PlateauThreshold::abs,
                                          .cooldown = 1,
                                          .min_lr = 0.3});
  const auto after = [&](double metric) {
    schedule.step(metric);
    return sgd.lr();
  };
  CHECK(after(1.0) == 1);
  CHECK(after(1.2) == 1);
  CHECK(after(1.25) == 0.5);  // better, but by too little
  CHECK(after(1.0) == 0.5);   // cooling down
  CHECK(after(std::nan("")) == 0.3);
  CHECK(after(0.0) == 0.3);
  CHECK(after(0.0) == 0.3);
}
