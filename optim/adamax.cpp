#include <retrace/optim/adamax.h>

#include <cmath>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<AdamaxOptions> {
  static constexpr std::string_view name = "Adamax";

  static void check(const AdamaxOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_betas(name, o.betas);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
  }

  static KeptTensors kept(const AdamaxOptions&) { return {{{"exp_avg"}, {"exp_inf"}}}; }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("betas", o.betas);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const AdamaxOptions& o, const Share<T>& share) {
    const auto keep1 = static_cast<T>(o.betas[0]), take1 = static_cast<T>(1 - o.betas[0]);
    const auto keep2 = static_cast<T>(o.betas[1]), eps = static_cast<T>(o.eps);
    const auto step_size = static_cast<T>(o.lr / (1 - power_(o.betas[0], share.step)));
    update_each(share, coupled_decay(o), [=](T& p, T g, T& m, T& u) {
      m = keep1 * m + take1 * g;
      const T before = keep2 * u, now = std::abs(g) + eps;
      u = before >= now ? before : now;  // NaN in g wins, as in torch.maximum
      p -= step_size * (m / u);
    });
  }

  Power power_;
};

template class OptimizerFor<AdamaxOptions>;

}  // namespace retrace::optim
