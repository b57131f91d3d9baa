#pragma once

// For those who write an optimizer. It is an aggregate of options with a member `double lr`, and a
// rule for them:
//
//   template <>
//   struct RuleFor<SGDOptions> {
//     static constexpr std::string_view name = "SGD";
//     static void check(const SGDOptions&);            ValueError for what is out of range
//     static KeptTensors kept(const SGDOptions&);      what is kept for a parameter
//     static void visit(auto& options, auto&& f);      f("lr", options.lr), ... for all options;
//                                                      one called eps is above 0 in any dtype
//     template <class T> void update(const SGDOptions&, const Share<T>&);
//   };
//   template class OptimizerFor<SGDOptions>;           of algorithm.h
//
// A program of one's own specialises `retrace::optim::RuleFor`, includes algorithm.h and says
// `using Mine = retrace::optim::OptimizerFor<MyOptions>;`.
//
// A rule may also have `static void check_shape(std::size_t index, const Shape&)`, a ShapeError for
// parameters that it does not take, and `void reserve(const Shape&, DType)`, which gets the memory
// that update needs besides: update must not fail.

#include <array>
#include <cmath>
#include <string_view>
#include <type_traits>

#include <retrace/tensor/parallel.h>
#include <retrace/tensor/shape.h>

namespace retrace::optim {

template <class Options>
struct RuleFor;

/// A tensor kept for a parameter from its first step on, in the parameter's shape and dtype.
struct KeptTensor {
  std::string_view name = "";  ///< in a state; "": nothing is kept
  double initial = 0;
  bool is_number = false;  ///< a float64 [] instead; at most one
};

inline constexpr std::size_t kMaxKept = 3;
using KeptTensors = std::array<KeptTensor, kMaxKept>;

/// One parameter's share of a step. All tensors have `sizes` and dtype T and lie row-major.
template <class T>
struct Share {
  std::int64_t step;  ///< 1 in the parameter's first step
  const Shape& sizes;
  std::int64_t n;
  T* parameter;
  const T* gradient;
  std::array<T*, kMaxKept> kept;  ///< null where nothing or a number is kept
  double* number;                 ///< the number that is kept, else null
};

/// What all rules do to an element before their own arithmetic:
/// p = shrink · p, then g = ±g + weight_decay · p.
struct Decay {
  double weight_decay = 0;
  double shrink = 1;
  bool maximize = false;
};

/// Adds weight_decay · p to the gradient: L2 regularisation.
Decay coupled_decay(const auto& options) {
  return {.weight_decay = options.weight_decay, .maximize = options.maximize};
}

/// Leaves the gradient alone and shrinks p by lr · weight_decay.
Decay decoupled_decay(const auto& options) {
  return {.shrink = 1 - options.lr * options.weight_decay, .maximize = options.maximize};
}

/// Elements of a parameter below which a second thread costs more than it saves.
inline constexpr std::int64_t kUpdateGrain = 32768;

// Not part of the parallel loop's body: inlined there, g++ forgets `restrict` and leaves it scalar.
template <bool kDecays, class T, class Element>
[[gnu::noinline]] void update_range(std::int64_t n, T* __restrict p, const T* __restrict g,
                                    T* __restrict a, T* __restrict b, T* __restrict c,
                                    const T shrink, const T sign, const T weight_decay,
                                    const Element element) {
  for (std::int64_t i = 0; i < n; ++i) {
    T parameter = shrink * p[i];
    T gradient = sign * g[i];
    if constexpr (kDecays) gradient += weight_decay * parameter;
    if constexpr (std::is_invocable_v<const Element&, T&, T>)
      element(parameter, gradient);
    else if constexpr (std::is_invocable_v<const Element&, T&, T, T&>)
      element(parameter, gradient, a[i]);
    else if constexpr (std::is_invocable_v<const Element&, T&, T, T&, T&>)
      element(parameter, gradient, a[i], b[i]);
    else
      element(parameter, gradient, a[i], b[i], c[i]);
    p[i] = parameter;
  }
}

/// One pass over a parameter: element(T& p, T g, T&... kept) for every element, after the decay.
/// It takes as many kept tensors as it uses, from the first on.
template <class T, class Element>
void update_each(const Share<T>& share, const Decay& decay, const Element& element) {
  auto* const range =
      decay.weight_decay != 0 ? update_range<true, T, Element> : update_range<false, T, Element>;
  parallel_for(share.n, kUpdateGrain, [&](std::int64_t begin, std::int64_t end) {
    const auto kept = [&](std::size_t k) {
      return share.kept[k] == nullptr ? nullptr : share.kept[k] + begin;
    };
    range(end - begin, share.parameter + begin, share.gradient + begin, kept(0), kept(1), kept(2),
          static_cast<T>(decay.shrink), static_cast<T>(decay.maximize ? -1 : 1),
          static_cast<T>(decay.weight_decay), element);
  });
}

/// base^step, remembered: nearly always the parameters of a model are all in the same step.
class Power {
 public:
  double operator()(double base, std::int64_t step) {
    if (base != base_ || step != step_) {
      base_ = base;
      step_ = step;
      value_ = std::pow(base, static_cast<double>(step));
    }
    return value_;
  }

 private:
  double base_ = 0, value_ = 1;
  std::int64_t step_ = 0;
};

/// ValueErrors in the name of an optimizer or schedule, for options.
void require_at_least_zero(std::string_view name, std::string_view option, double value);
void require_positive(std::string_view name, std::string_view option, double value);
void require_finite(std::string_view name, std::string_view option, double value);
/// Finite when it is rounded to float32 and, if it is called eps, above 0.
void require_float32(std::string_view name, std::string_view option, double value);
/// In [0, 1).
void require_decay_rate(std::string_view name, std::string_view option, double value);
void require_betas(std::string_view name, const std::array<double, 2>& betas);

}  // namespace retrace::optim
