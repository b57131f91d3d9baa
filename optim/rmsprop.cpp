#include <retrace/optim/rmsprop.h>

#include <cmath>

#include <retrace/optim/algorithm.h>
#include <retrace/tensor/parallel.h>

namespace retrace::optim {
namespace {

template <class T>
struct Factors {
  T lr, sign, weight_decay, keep, take, eps, momentum;
};

// A plain function over restrict pointers: in the body of a parallel loop g++ leaves it scalar.
template <class T, bool kDecays, bool kMomentum, bool kCentered>
void rmsprop(const Factors<T> f, std::int64_t n, T* __restrict p, const T* __restrict gradient,
             T* __restrict square_avg, T* __restrict buffer, T* __restrict grad_avg) {
  for (std::int64_t i = 0; i < n; ++i) {
    T g = f.sign * gradient[i];
    if constexpr (kDecays) g += f.weight_decay * p[i];
    T s = f.keep * square_avg[i] + f.take * (g * g);
    square_avg[i] = s;
    if constexpr (kCentered) {
      const T a = f.keep * grad_avg[i] + f.take * g;
      grad_avg[i] = a;
      // A mean of squares is at least the square of the mean; rounding may say otherwise.
      const T variance = s - a * a;
      s = variance < T(0) ? T(0) : variance;
    }
    T d = g / (std::sqrt(s) + f.eps);
    if constexpr (kMomentum) {
      d += f.momentum * buffer[i];
      buffer[i] = d;
    }
    p[i] -= f.lr * d;
  }
}

struct RmspropRule {
  using Options = RMSpropOptions;
  static constexpr std::string_view name = "RMSprop";

  static void check(const Options& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_decay_rate(name, "alpha", o.alpha);
    require_positive(name, "eps", o.eps);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require_at_least_zero(name, "momentum", o.momentum);
  }

  static KeptNames kept(const Options& o) {
    return {"square_avg", o.momentum > 0 ? "momentum_buffer" : "", o.centered ? "grad_avg" : ""};
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
  void update(const Options& o, const Share<T>& share) {
    const Factors<T> f{static_cast<T>(o.lr),           static_cast<T>(o.maximize ? -1 : 1),
                       static_cast<T>(o.weight_decay), static_cast<T>(o.alpha),
                       static_cast<T>(1 - o.alpha),    static_cast<T>(o.eps),
                       static_cast<T>(o.momentum)};
    auto* const pass = o.weight_decay != 0 ? choose<T, true>(o) : choose<T, false>(o);
    const auto at = [&](std::size_t k, std::int64_t begin) {
      return share.kept[k] == nullptr ? nullptr : share.kept[k] + begin;
    };
    parallel_for(share.n, kUpdateGrain, [&](std::int64_t begin, std::int64_t end) {
      pass(f, end - begin, share.parameter + begin, share.gradient + begin, at(0, begin),
           at(1, begin), at(2, begin));
    });
  }

  template <class T, bool kDecays>
  static auto choose(const Options& o) {
    return o.momentum > 0
               ? (o.centered ? rmsprop<T, kDecays, true, true> : rmsprop<T, kDecays, true, false>)
               : (o.centered ? rmsprop<T, kDecays, false, true>
                             : rmsprop<T, kDecays, false, false>);
  }
};

}  // namespace

RMSprop::RMSprop(const std::vector<Tensor>& parameters, const RMSpropOptions& options)
    : RMSprop(std::vector<Group>{{parameters, options}}) {}
RMSprop::RMSprop(const std::vector<Group>& groups)
    : Optimizer(AlgorithmOf<RmspropRule>::make(groups)) {}

}  // namespace retrace::optim
