#include <retrace/optim/adam.h>

#include <cmath>
#include <type_traits>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {
namespace {

// Adam and AdamW differ in where the weight decay goes.
template <class Options>
struct AdamRule {
  static constexpr bool decoupled = std::is_same_v<Options, AdamWOptions>;
  static constexpr std::string_view name = decoupled ? "AdamW" : "Adam";

  static void check(const Options& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_betas(name, o.betas);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
  }

  static KeptTensors kept(const Options& o) {
    return {{{"exp_avg"}, {"exp_avg_sq"}, {o.amsgrad ? "max_exp_avg_sq" : ""}}};
  }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("betas", o.betas);
    f("eps", o.eps);
    f("weight_decay", o.weight_decay);
    f("amsgrad", o.amsgrad);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const Options& o, const Share<T>& share) {
    const auto keep1 = static_cast<T>(o.betas[0]), take1 = static_cast<T>(1 - o.betas[0]);
    const auto keep2 = static_cast<T>(o.betas[1]), take2 = static_cast<T>(1 - o.betas[1]);
    const auto step_size = static_cast<T>(o.lr / (1 - power1_(o.betas[0], share.step)));
    const auto root_scale = static_cast<T>(1 / std::sqrt(1 - power2_(o.betas[1], share.step)));
    const auto eps = static_cast<T>(o.eps);
    const Decay decay = decoupled ? decoupled_decay(o) : coupled_decay(o);
    if (o.amsgrad) {
      update_each(share, decay, [=](T& p, T g, T& m, T& v, T& largest) {
        m = keep1 * m + take1 * g;
        v = keep2 * v + take2 * (g * g);
        largest = largest >= v ? largest : v;  // NaN in v wins, as in torch.maximum
        p -= step_size * (m / (std::sqrt(largest) * root_scale + eps));
      });
    } else {
      update_each(share, decay, [=](T& p, T g, T& m, T& v) {
        m = keep1 * m + take1 * g;
        v = keep2 * v + take2 * (g * g);
        p -= step_size * (m / (std::sqrt(v) * root_scale + eps));
      });
    }
  }

  Power power1_, power2_;
};

}  // namespace

template <>
struct RuleFor<AdamOptions> : AdamRule<AdamOptions> {};
template <>
struct RuleFor<AdamWOptions> : AdamRule<AdamWOptions> {};

template class OptimizerFor<AdamOptions>;
template class OptimizerFor<AdamWOptions>;

}  // namespace retrace::optim
