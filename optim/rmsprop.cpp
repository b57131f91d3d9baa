#include <retrace/optim/rmsprop.h>

#include <cmath>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<RMSpropOptions> {
  static constexpr std::string_view name = "RMSprop";

  static void check(const RMSpropOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_decay_rate(name, "alpha", o.alpha);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require_at_least_zero(name, "momentum", o.momentum);
  }

  static KeptTensors kept(const RMSpropOptions& o) {
    const char* const mean = o.centered ? "grad_avg" : "";
    if (o.momentum == 0) return {{{"square_avg"}, {mean}}};
    return {{{"square_avg"}, {"momentum_buffer"}, {mean}}};
  }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("alpha", o.alpha);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
    f("momentum", o.momentum);
    f("centered", o.centered);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const RMSpropOptions& o, const Share<T>& share) {
    const auto lr = static_cast<T>(o.lr), eps = static_cast<T>(o.eps);
    const auto keep = static_cast<T>(o.alpha), take = static_cast<T>(1 - o.alpha);
    const auto momentum = static_cast<T>(o.momentum);
    const Decay decay = coupled_decay(o);

    const auto mean_square = [=](T g, T& s) { return s = keep * s + take * (g * g); };
    const auto variance = [=](T g, T& s, T& a) {
      s = keep * s + take * (g * g);
      a = keep * a + take * g;
      // A mean of squares is at least the square of the mean; rounding may say otherwise.
      const T difference = s - a * a;
      return difference < T(0) ? T(0) : difference;
    };
    const auto descend = [=](T& p, T g, T v) { p -= lr * (g / (std::sqrt(v) + eps)); };
    const auto descend_with_momentum = [=](T& p, T g, T v, T& b) {
      b = momentum * b + g / (std::sqrt(v) + eps);
      p -= lr * b;
    };

    if (o.momentum > 0 && o.centered) {
      update_each(share, decay, [=](T& p, T g, T& s, T& b, T& a) {
        descend_with_momentum(p, g, variance(g, s, a), b);
      });
    } else if (o.momentum > 0) {
      update_each(share, decay, [=](T& p, T g, T& s, T& b) {
        descend_with_momentum(p, g, mean_square(g, s), b);
      });
    } else if (o.centered) {
      update_each(share, decay, [=](T& p, T g, T& s, T& a) { descend(p, g, variance(g, s, a)); });
    } else {
      update_each(share, decay, [=](T& p, T g, T& s) { descend(p, g, mean_square(g, s)); });
    }
  }
};

template class OptimizerFor<RMSpropOptions>;

}  // namespace retrace::optim
