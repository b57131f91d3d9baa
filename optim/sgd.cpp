#include <retrace/optim/sgd.h>

#include <retrace/optim/algorithm.h>
#include <retrace/tensor/check.h>

namespace retrace::optim {

template <>
struct RuleFor<SGDOptions> {
  static constexpr std::string_view name = "SGD";

  static void check(const SGDOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_at_least_zero(name, "momentum", o.momentum);
    require_finite(name, "dampening", o.dampening);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require<ValueError>(
        !o.nesterov || (o.momentum > 0 && o.dampening == 0),
        "SGD: nesterov with momentum {} and dampening {}; give a momentum above 0 and dampening 0",
        o.momentum, o.dampening);
  }

  static KeptTensors kept(const SGDOptions& o) {
    return {{{o.momentum > 0 ? "momentum_buffer" : ""}}};
  }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("momentum", o.momentum);
    f("dampening", o.dampening);
    f("weight_decay", o.weight_decay);
    f("nesterov", o.nesterov);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const SGDOptions& o, const Share<T>& share) {
    const bool first = share.step == 1;
    const auto lr = static_cast<T>(o.lr), momentum = static_cast<T>(o.momentum);
    const auto keep = static_cast<T>(first ? 0 : o.momentum);
    const auto take = static_cast<T>(first ? 1 : 1 - o.dampening);
    if (o.momentum == 0) {
      update_each(share, coupled_decay(o), [=](T& p, T g) { p -= lr * g; });
    } else if (o.nesterov) {
      update_each(share, coupled_decay(o), [=](T& p, T g, T& b) {
        b = keep * b + take * g;
        p -= lr * (g + momentum * b);
      });
    } else {
      update_each(share, coupled_decay(o), [=](T& p, T g, T& b) {
        b = keep * b + take * g;
        p -= lr * b;
      });
    }
  }
};

template class OptimizerFor<SGDOptions>;

}  // namespace retrace::optim
