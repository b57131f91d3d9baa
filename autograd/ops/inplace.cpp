#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/inplace.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/tensor/random.h>

namespace retrace {

bool check_in_place(std::string_view op, const Tensor& x,
                    std::initializer_list<const Tensor*> others) {
  require_defined(op, {&x});
  require<ValueError>(
      !elements_overlap(x),
      "{}: several elements of the tensor of shape {} and strides {} are one place in "
      "memory (expand, unfold); clone() it first",
      op, x.sizes(), x.strides());
  if (!GradMode::is_enabled()) return false;
  const TensorData& data = x.get();
  require<AutogradError>(!data.requires_grad,
                         "{}: a leaf of shape {} that wants a gradient cannot be changed in place "
                         "while recording; use a NoGradGuard",
                         op, data.sizes);
  bool records = static_cast<bool>(data.producer);
  for (const Tensor* other : others)
    records = records || (other->defined() && other->requires_grad());
  if (!records) return false;
  // A graph that ends in the tensor would begin in it as well, and keep itself alive.
  require<AutogradError>(!data.was_leaf || data.references.count() == 1,
                         "{}: the tensor of shape {} wanted a gradient before, and a graph may "
                         "lead to it; compute a new tensor instead, or clone() first",
                         op, data.sizes);
  // A constant that others share would become part of the tape behind their back.
  const bool shared = data.is_view || data.storage->recorded_views > 0 ||
                      (!data.producer && data.storage->references.count() > 1);
  require<AutogradError>(!shared,
                         "{}: the tensor of shape {} shares its numbers with a view, whose history "
                         "would become wrong; compute a new tensor instead, or clone() first",
                         op, data.sizes);
  return true;
}

void take_over(Tensor& x, const Tensor& y) {
  TensorData& data = x.get();
  without_recording([&] { copy_elements(x, y); });
  data.storage->changed();
  if (data.retains_grad) {
    forget_tensor(data);
    data.retains_grad = false;
  }
  data.producer = y.get().producer;
  data.output = y.get().output;
}

Tensor unshared(const Tensor& x, const Tensor& other) {
  const TensorData &a = x.get(), &b = other.get();
  const bool same_elements = a.data == b.data && a.sizes == b.sizes && a.strides == b.strides;
  return a.storage == b.storage && !same_elements ? contiguous_copy(other) : other;
}

namespace {

void require_fits(std::string_view op, const Tensor& x, const Tensor& other) {
  require_defined(op, {&x, &other});
  require<ShapeError>(
      broadcast_shapes(op, x.sizes(), other.sizes()) == x.sizes(),
      "{}: the result would be {}, the tensor is {}; it cannot grow in place, compute a new one",
      op, broadcast_shapes(op, x.sizes(), other.sizes()), x.sizes());
}

template <class Compute, class Overwrite>
Tensor& in_place(std::string_view op, Tensor& x, const Tensor& other, Compute compute,
                 Overwrite overwrite) {
  if (check_in_place(op, x, {&other})) {
    // What the op saves of x must be the old numbers.
    const Tensor old = x.clone();
    take_over(x, compute(old, other.is_same(x) ? old : other));
    return x;
  }
  overwrite(other.defined() ? unshared(x, other) : other);
  x.get().storage->changed();
  return x;
}

template <class F>
void map_numbers(std::string_view op, const Tensor& x, const Tensor& other, F f) {
  visit_number(x.dtype(), op, [&]<class T>() {
    kernels::map<T, T, T>([f](T a, T b) { return f(a, b); }, x, x, other);
  });
}

template <class F>
void map_number(std::string_view op, const Tensor& x, Scalar c, F f) {
  visit_number(x.dtype(), op, [&]<class T>() {
    const T number = c.to<T>(op);
    kernels::map<T, T>([f, number](T a) { return f(a, number); }, x, x);
  });
}

}  // namespace

Tensor& Tensor::copy_(const Tensor& source) {
  require_fits("copy_", *this, source);
  return in_place(
      "copy_", *this, source,
      [](const Tensor& x, const Tensor& y) { return y.to(x.dtype()).expand(x.sizes()).clone(); },
      [&](const Tensor& y) { copy_elements(*this, y); });
}

Tensor& Tensor::fill_(Scalar value) {
  require_defined("fill_", {this});
  value.require_held("fill_", dtype());
  return in_place(
      "fill_", *this, {},
      [&](const Tensor& x, const Tensor&) { return full(x.sizes(), value, x.dtype()); },
      [&](const Tensor&) {
        visit(dtype(), [&]<class T>() {
          const T number = value.to<T>("fill_");
          kernels::map<T>([number] { return number; }, *this);
        });
      });
}

Tensor& Tensor::add_(const Tensor& other, Scalar alpha) {
  require_fits("add_", *this, other);
  require_same_dtype("add_", *this, other);
  return in_place(
      "add_", *this, other,
      [&](const Tensor& x, const Tensor& y) { return retrace::add(x, y, alpha); },
      [&](const Tensor& y) {
        visit_number(dtype(), "add_", [&]<class T>() {
          const T factor = alpha.to<T>("add_");
          kernels::map<T, T, T>(
              [factor](T a, T b) { return math::plus(a, math::times(factor, b)); }, *this, *this,
              y);
        });
      });
}

Tensor& Tensor::sub_(const Tensor& other, Scalar alpha) {
  require_fits("sub_", *this, other);
  require_same_dtype("sub_", *this, other);
  return in_place(
      "sub_", *this, other,
      [&](const Tensor& x, const Tensor& y) { return retrace::sub(x, y, alpha); },
      [&](const Tensor& y) {
        visit_number(dtype(), "sub_", [&]<class T>() {
          const T factor = alpha.to<T>("sub_");
          kernels::map<T, T, T>(
              [factor](T a, T b) { return math::minus(a, math::times(factor, b)); }, *this, *this,
              y);
        });
      });
}

Tensor& Tensor::mul_(const Tensor& other) {
  require_fits("mul_", *this, other);
  require_same_dtype("mul_", *this, other);
  return in_place(
      "mul_", *this, other, [](const Tensor& x, const Tensor& y) { return retrace::mul(x, y); },
      [&](const Tensor& y) {
        map_numbers("mul_", *this, y, [](auto a, auto b) { return math::times(a, b); });
      });
}

Tensor& Tensor::div_(const Tensor& other) {
  require_fits("div_", *this, other);
  require_same_dtype("div_", *this, other);
  require<DTypeError>(is_floating_point(), "div_: needs float32 or float64, got {}; use div",
                      dtype());
  return in_place(
      "div_", *this, other, [](const Tensor& x, const Tensor& y) { return retrace::div(x, y); },
      [&](const Tensor& y) {
        map_numbers("div_", *this, y, [](auto a, auto b) { return a / b; });
      });
}

Tensor& Tensor::add_(Scalar value) {
  return in_place(
      "add_", *this, {}, [&](const Tensor& x, const Tensor&) { return retrace::add(x, value); },
      [&](const Tensor&) {
        map_number("add_", *this, value, [](auto a, auto c) { return math::plus(a, c); });
      });
}

Tensor& Tensor::sub_(Scalar value) {
  return in_place(
      "sub_", *this, {}, [&](const Tensor& x, const Tensor&) { return retrace::sub(x, value); },
      [&](const Tensor&) {
        map_number("sub_", *this, value, [](auto a, auto c) { return math::minus(a, c); });
      });
}

Tensor& Tensor::mul_(Scalar value) {
  return in_place(
      "mul_", *this, {}, [&](const Tensor& x, const Tensor&) { return retrace::mul(x, value); },
      [&](const Tensor&) {
        map_number("mul_", *this, value, [](auto a, auto c) { return math::times(a, c); });
      });
}

Tensor& Tensor::div_(Scalar value) {
  require_defined("div_", {this});
  require<DTypeError>(is_floating_point(), "div_: needs float32 or float64, got {}; use div",
                      dtype());
  return in_place(
      "div_", *this, {}, [&](const Tensor& x, const Tensor&) { return retrace::div(x, value); },
      [&](const Tensor&) {
        map_number("div_", *this, value, [](auto a, auto c) { return a / c; });
      });
}

Tensor& Tensor::clamp_(std::optional<Scalar> min, std::optional<Scalar> max) {
  return in_place(
      "clamp_", *this, {},
      [&](const Tensor& x, const Tensor&) { return retrace::clamp(x, min, max); },
      [&](const Tensor&) { copy_elements(*this, retrace::clamp(*this, min, max)); });
}

Tensor& Tensor::masked_fill_(const Tensor& mask, Scalar value) {
  require_fits("masked_fill_", *this, mask);
  require<DTypeError>(mask.dtype() == kBool,
                      "masked_fill_: the mask {} is {}, it must be bool; compare first, such as "
                      "mask != 0",
                      mask.sizes(), mask.dtype());
  value.require_held("masked_fill_", dtype());
  return in_place(
      "masked_fill_", *this, mask,
      [&](const Tensor& x, const Tensor& m) { return retrace::masked_fill(x, m, value); },
      [&](const Tensor& m) {
        visit(dtype(), [&]<class T>() {
          const T number = value.to<T>("masked_fill_");
          kernels::map<T, T, bool>(
              [number](T v, bool fill) { return math::select(fill, number, v); }, *this, *this, m);
        });
      });
}

namespace {

// Of random numbers, which depend on nothing: as fill_.
template <class Fill>
Tensor& fill_randomly(std::string_view op, Tensor& x, Fill fill) {
  require_defined(op, {&x});
  const auto filled = [&](const Tensor& old, const Tensor&) {
    Tensor drawn = empty_like(old);
    fill(drawn);
    return drawn;
  };
  return in_place(op, x, {}, filled, [&](const Tensor&) { fill(x); });
}

}  // namespace

Tensor& Tensor::uniform_(double low, double high) {
  return fill_randomly("uniform_", *this,
                       [&](const Tensor& x) { fill_uniform(x, low, high, default_generator()); });
}

Tensor& Tensor::normal_(double mean, double std) {
  return fill_randomly("normal_", *this,
                       [&](const Tensor& x) { fill_normal(x, mean, std, default_generator()); });
}

// Members that compute: arithmetic ---------------------------------------------------------------

Tensor Tensor::add(const Tensor& other, Scalar alpha) const {
  return retrace::add(*this, other, alpha);
}
Tensor Tensor::sub(const Tensor& other, Scalar alpha) const {
  return retrace::sub(*this, other, alpha);
}
Tensor Tensor::mul(const Tensor& other) const { return retrace::mul(*this, other); }
Tensor Tensor::div(const Tensor& other) const { return retrace::div(*this, other); }
Tensor Tensor::add(Scalar value) const { return retrace::add(*this, value); }
Tensor Tensor::sub(Scalar value) const { return retrace::sub(*this, value); }
Tensor Tensor::mul(Scalar value) const { return retrace::mul(*this, value); }
Tensor Tensor::div(Scalar value) const { return retrace::div(*this, value); }
Tensor Tensor::neg() const { return retrace::neg(*this); }

}  // namespace retrace
