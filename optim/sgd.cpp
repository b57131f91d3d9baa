#include <retrace/optim/sgd.h>

#include <retrace/optim/algorithm.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/parallel.h>

namespace retrace::optim {
namespace {

template <class T>
struct Factors {
  T lr, sign, weight_decay, momentum, keep, take;
};

// Plain functions over restrict pointers: in the body of a parallel loop g++ leaves them scalar.
template <class T, bool kDecays>
void descend(const Factors<T> f, std::int64_t n, T* __restrict p, const T* __restrict g) {
  for (std::int64_t i = 0; i < n; ++i) {
    T gradient = f.sign * g[i];
    if constexpr (kDecays) gradient += f.weight_decay * p[i];
    p[i] -= f.lr * gradient;
  }
}

template <class T, bool kDecays, bool kNesterov>
void descend_with_momentum(const Factors<T> f, std::int64_t n, T* __restrict p,
                           const T* __restrict g, T* __restrict buffer) {
  for (std::int64_t i = 0; i < n; ++i) {
    T gradient = f.sign * g[i];
    if constexpr (kDecays) gradient += f.weight_decay * p[i];
    const T b = f.keep * buffer[i] + f.take * gradient;
    buffer[i] = b;
    p[i] -= f.lr * (kNesterov ? gradient + f.momentum * b : b);
  }
}

struct SgdRule {
  using Options = SGDOptions;
  static constexpr std::string_view name = "SGD";

  static void check(const Options& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_at_least_zero(name, "momentum", o.momentum);
    require_finite(name, "dampening", o.dampening);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require<ValueError>(
        !o.nesterov || (o.momentum > 0 && o.dampening == 0),
        "SGD: nesterov with momentum {} and dampening {}; it needs a momentum above "
        "0 and dampening 0",
        o.momentum, o.dampening);
  }

  static KeptNames kept(const Options& o) { return {o.momentum > 0 ? "momentum_buffer" : ""}; }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("momentum", o.momentum);
    f("dampening", o.dampening);
    f("weight_decay", o.weight_decay);
    f("nesterov", o.nesterov);
    f("maximize", o.maximize);
  }

  template <class T>
  void update(const Options& o, const Share<T>& share) {
    const bool first = share.step == 1;
    const Factors<T> f{static_cast<T>(o.lr),
                       static_cast<T>(o.maximize ? -1 : 1),
                       static_cast<T>(o.weight_decay),
                       static_cast<T>(o.momentum),
                       static_cast<T>(first ? 0 : o.momentum),
                       static_cast<T>(first ? 1 : 1 - o.dampening)};
    const auto run = [&]<bool kDecays>() {
      parallel_for(share.n, kUpdateGrain, [&](std::int64_t begin, std::int64_t end) {
        T* p = share.parameter + begin;
        const T* g = share.gradient + begin;
        if (share.kept[0] == nullptr) return descend<T, kDecays>(f, end - begin, p, g);
        T* buffer = share.kept[0] + begin;
        o.nesterov ? descend_with_momentum<T, kDecays, true>(f, end - begin, p, g, buffer)
                   : descend_with_momentum<T, kDecays, false>(f, end - begin, p, g, buffer);
      });
    };
    o.weight_decay != 0 ? run.template operator()<true>() : run.template operator()<false>();
  }
};

}  // namespace

SGD::SGD(const std::vector<Tensor>& parameters, const SGDOptions& options)
    : SGD(std::vector<Group>{{parameters, options}}) {}
SGD::SGD(const std::vector<Group>& groups) : Optimizer(AlgorithmOf<SgdRule>::make(groups)) {}

}  // namespace retrace::optim
