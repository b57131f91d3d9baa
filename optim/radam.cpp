#include <retrace/optim/radam.h>

#include <cmath>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<RAdamOptions> {
  static constexpr std::string_view name = "RAdam";

  static void check(const RAdamOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_betas(name, o.betas);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
  }

  static KeptTensors kept(const RAdamOptions&) { return {{{"exp_avg"}, {"exp_avg_sq"}}}; }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("betas", o.betas);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
    f("decoupled_weight_decay", o.decoupled_weight_decay);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const RAdamOptions& o, const Share<T>& share) {
    const auto keep1 = static_cast<T>(o.betas[0]), take1 = static_cast<T>(1 - o.betas[0]);
    const auto keep2 = static_cast<T>(o.betas[1]), take2 = static_cast<T>(1 - o.betas[1]);
    const double step_size = o.lr / (1 - power1_(o.betas[0], share.step));
    const double power2 = power2_(o.betas[1], share.step);
    const double n = 2 / (1 - o.betas[1]) - 1;
    const double k = n - 2 * static_cast<double>(share.step) * power2 / (1 - power2);
    const auto eps = static_cast<T>(o.eps);
    const Decay decay = o.decoupled_weight_decay ? decoupled_decay(o) : coupled_decay(o);
    if (k > 5) {
      const double r = std::sqrt((k - 4) * (k - 2) * n / ((n - 4) * (n - 2) * k));
      const auto scale = static_cast<T>(step_size * r * std::sqrt(1 - power2));
      update_each(share, decay, [=](T& p, T g, T& m, T& v) {
        m = keep1 * m + take1 * g;
        v = keep2 * v + take2 * (g * g);
        p -= scale * (m / (std::sqrt(v) + eps));
      });
    } else {
      const auto scale = static_cast<T>(step_size);
      update_each(share, decay, [=](T& p, T g, T& m, T& v) {
        m = keep1 * m + take1 * g;
        v = keep2 * v + take2 * (g * g);
        p -= scale * m;
      });
    }
  }

  Power power1_, power2_;
};

template class OptimizerFor<RAdamOptions>;

}  // namespace retrace::optim
