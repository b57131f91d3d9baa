#include <retrace/optim/adadelta.h>

#include <cmath>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<AdadeltaOptions> {
  static constexpr std::string_view name = "Adadelta";

  static void check(const AdadeltaOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_decay_rate(name, "rho", o.rho);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
  }

  static KeptTensors kept(const AdadeltaOptions&) { return {{{"square_avg"}, {"acc_delta"}}}; }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("rho", o.rho);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const AdadeltaOptions& o, const Share<T>& share) {
    const auto lr = static_cast<T>(o.lr), eps = static_cast<T>(o.eps);
    const auto keep = static_cast<T>(o.rho), take = static_cast<T>(1 - o.rho);
    update_each(share, coupled_decay(o), [=](T& p, T g, T& v, T& u) {
      v = keep * v + take * (g * g);
      const T d = std::sqrt(u + eps) / std::sqrt(v + eps) * g;
      u = keep * u + take * (d * d);
      p -= lr * d;
    });
  }
};

template class OptimizerFor<AdadeltaOptions>;

}  // namespace retrace::optim
