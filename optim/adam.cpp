#include <retrace/optim/adam.h>

#include <cmath>
#include <type_traits>

#include <retrace/optim/algorithm.h>
#include <retrace/tensor/parallel.h>

namespace retrace::optim {
namespace {

template <class T>
struct Factors {
  T sign, weight_decay, shrink;  // of the gradient; coupled decay; 1 - lr · decoupled decay
  T keep1, take1, keep2, take2;  // β and 1 - β
  T step_size, root_scale, eps;  // lr / (1 - β1^t), 1 / sqrt(1 - β2^t)
};

// A plain function over restrict pointers: in the body of a parallel loop g++ leaves it scalar.
template <class T, bool kDecays, bool kAmsgrad>
void adam(const Factors<T> f, std::int64_t n, T* __restrict parameter, const T* __restrict gradient,
          T* __restrict exp_avg, T* __restrict exp_avg_sq, T* __restrict max_exp_avg_sq) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T p = f.shrink * parameter[i];
    T g = f.sign * gradient[i];
    if constexpr (kDecays) g += f.weight_decay * p;
    const T m = f.keep1 * exp_avg[i] + f.take1 * g;
    T v = f.keep2 * exp_avg_sq[i] + f.take2 * (g * g);
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    if constexpr (kAmsgrad) {
      // NaN in v wins, as in torch.maximum.
      v = max_exp_avg_sq[i] >= v ? max_exp_avg_sq[i] : v;
      max_exp_avg_sq[i] = v;
    }
    parameter[i] = p - f.step_size * (m / (std::sqrt(v) * f.root_scale + f.eps));
  }
}

// Adam and AdamW differ in where the weight decay goes.
template <class OptionsType>
struct AdamRule {
  using Options = OptionsType;
  static constexpr bool decoupled = std::is_same_v<Options, AdamWOptions>;
  static constexpr std::string_view name = decoupled ? "AdamW" : "Adam";

  static void check(const Options& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_decay_rate(name, "betas[0]", o.betas[0]);
    require_decay_rate(name, "betas[1]", o.betas[1]);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
  }

  static KeptNames kept(const Options& o) {
    return {"exp_avg", "exp_avg_sq", o.amsgrad ? "max_exp_avg_sq" : ""};
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
    correct_for(share.step, o.betas);
    const Factors<T> f{static_cast<T>(o.maximize ? -1 : 1),
                       static_cast<T>(o.weight_decay),
                       static_cast<T>(decoupled ? 1 - o.lr * o.weight_decay : 1),
                       static_cast<T>(o.betas[0]),
                       static_cast<T>(1 - o.betas[0]),
                       static_cast<T>(o.betas[1]),
                       static_cast<T>(1 - o.betas[1]),
                       static_cast<T>(o.lr / correction1_),
                       static_cast<T>(1 / std::sqrt(correction2_)),
                       static_cast<T>(o.eps)};
    const bool decays = !decoupled && o.weight_decay != 0;
    auto* const pass = o.amsgrad ? (decays ? adam<T, true, true> : adam<T, false, true>)
                                 : (decays ? adam<T, true, false> : adam<T, false, false>);
    parallel_for(share.n, kUpdateGrain, [&](std::int64_t begin, std::int64_t end) {
      pass(f, end - begin, share.parameter + begin, share.gradient + begin, share.kept[0] + begin,
           share.kept[1] + begin, o.amsgrad ? share.kept[2] + begin : nullptr);
    });
  }

  // 1 - β^t. Nearly always the parameters of a model are all in the same step.
  void correct_for(std::int64_t step, const std::array<double, 2>& betas) {
    if (step == step_ && betas == betas_) return;
    step_ = step;
    betas_ = betas;
    correction1_ = 1 - std::pow(betas[0], static_cast<double>(step));
    correction2_ = 1 - std::pow(betas[1], static_cast<double>(step));
  }

  std::int64_t step_ = 0;
  std::array<double, 2> betas_ = {};
  double correction1_ = 1, correction2_ = 1;
};

}  // namespace

Adam::Adam(const std::vector<Tensor>& parameters, const AdamOptions& options)
    : Adam(std::vector<Group>{{parameters, options}}) {}
Adam::Adam(const std::vector<Group>& groups)
    : Optimizer(AlgorithmOf<AdamRule<AdamOptions>>::make(groups)) {}

AdamW::AdamW(const std::vector<Tensor>& parameters, const AdamWOptions& options)
    : AdamW(std::vector<Group>{{parameters, options}}) {}
AdamW::AdamW(const std::vector<Group>& groups)
    : Optimizer(AlgorithmOf<AdamRule<AdamWOptions>>::make(groups)) {}

}  // namespace retrace::optim
