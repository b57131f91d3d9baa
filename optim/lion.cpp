#include <retrace/optim/lion.h>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<LionOptions> {
  static constexpr std::string_view name = "Lion";

  static void check(const LionOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_betas(name, o.betas);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
  }

  static KeptTensors kept(const LionOptions&) { return {{{"exp_avg"}}}; }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("betas", o.betas);
    f("weight_decay", o.weight_decay);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const LionOptions& o, const Share<T>& share) {
    const auto lr = static_cast<T>(o.lr);
    const auto keep1 = static_cast<T>(o.betas[0]), take1 = static_cast<T>(1 - o.betas[0]);
    const auto keep2 = static_cast<T>(o.betas[1]), take2 = static_cast<T>(1 - o.betas[1]);
    update_each(share, decoupled_decay(o), [=](T& p, T g, T& m) {
      const T c = keep1 * m + take1 * g;
      p -= lr * (c > T(0) ? T(1) : c < T(0) ? T(-1) : c);
      m = keep2 * m + take2 * g;
    });
  }
};

template class OptimizerFor<LionOptions>;

}  // namespace retrace::optim
