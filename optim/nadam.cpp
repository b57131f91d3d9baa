#include <retrace/optim/nadam.h>

#include <cmath>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<NAdamOptions> {
  static constexpr std::string_view name = "NAdam";

  static void check(const NAdamOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_betas(name, o.betas);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require_at_least_zero(name, "momentum_decay", o.momentum_decay);
  }

  static KeptTensors kept(const NAdamOptions&) {
    return {{{"exp_avg"}, {"exp_avg_sq"}, {.name = "mu_product", .initial = 1, .is_number = true}}};
  }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("betas", o.betas);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
    f("momentum_decay", o.momentum_decay);
    f("decoupled_weight_decay", o.decoupled_weight_decay);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const NAdamOptions& o, const Share<T>& share) {
    const auto momentum = [&](Power& power, std::int64_t step) {
      return o.betas[0] * (1 - 0.5 * power(std::pow(0.96, o.momentum_decay), step));
    };
    const double now = momentum(power_now_, share.step);
    const double next = momentum(power_next_, share.step + 1);
    const double product = *share.number *= now;

    const auto keep1 = static_cast<T>(o.betas[0]), take1 = static_cast<T>(1 - o.betas[0]);
    const auto keep2 = static_cast<T>(o.betas[1]), take2 = static_cast<T>(1 - o.betas[1]);
    const auto of_gradient = static_cast<T>(o.lr * (1 - now) / (1 - product));
    const auto of_mean = static_cast<T>(o.lr * next / (1 - product * next));
    const auto root_scale = static_cast<T>(1 / std::sqrt(1 - power2_(o.betas[1], share.step)));
    const auto eps = static_cast<T>(o.eps);
    update_each(share, o.decoupled_weight_decay ? decoupled_decay(o) : coupled_decay(o),
                [=](T& p, T g, T& m, T& v) {
                  m = keep1 * m + take1 * g;
                  v = keep2 * v + take2 * (g * g);
                  p -= (of_gradient * g + of_mean * m) / (std::sqrt(v) * root_scale + eps);
                });
  }

  Power power_now_, power_next_, power2_;
};

template class OptimizerFor<NAdamOptions>;

}  // namespace retrace::optim
