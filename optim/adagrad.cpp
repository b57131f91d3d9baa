#include <retrace/optim/adagrad.h>

#include <cmath>

#include <retrace/optim/algorithm.h>

namespace retrace::optim {

template <>
struct RuleFor<AdagradOptions> {
  static constexpr std::string_view name = "Adagrad";

  static void check(const AdagradOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_at_least_zero(name, "lr_decay", o.lr_decay);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require_at_least_zero(name, "initial_accumulator_value", o.initial_accumulator_value);
    require_positive(name, "eps", o.eps);
  }

  static KeptTensors kept(const AdagradOptions& o) {
    return {{{"sum", o.initial_accumulator_value}}};
  }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("lr_decay", o.lr_decay);
    f("weight_decay", o.weight_decay);
    f("initial_accumulator_value", o.initial_accumulator_value);
    f("eps", o.eps);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const AdagradOptions& o, const Share<T>& share) {
    const auto lr = static_cast<T>(o.lr / (1 + static_cast<double>(share.step - 1) * o.lr_decay));
    const auto eps = static_cast<T>(o.eps);
    update_each(share, coupled_decay(o), [=](T& p, T g, T& sum) {
      sum += g * g;
      p -= lr * (g / (std::sqrt(sum) + eps));
    });
  }
};

template class OptimizerFor<AdagradOptions>;

}  // namespace retrace::optim
