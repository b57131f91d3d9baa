#include <retrace/tensor/check.h>
#include <retrace/tensor/view.h>
#include <retrace/trace/distance.h>
#include <retrace/trace/numbers.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace retrace::trace {
namespace {

using Real = long double;  // holds every double and every int64

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Real> elements_of(const Tensor& dense) {
  std::vector<Real> list;
  visit(dense.dtype(), [&]<class T>() {
    const T* x = elements<T>(dense);
    for (std::int64_t i = 0; i < dense.numel(); ++i) list.push_back(static_cast<Real>(x[i]));
  });
  return list;
}

// The corner that all have kept.
Shape common_corner(std::initializer_list<const Numbers*> all) {
  Shape sizes = (*all.begin())->values.sizes();
  for (const Numbers* each : all) {
    for (int d = 0; d < sizes.size(); ++d) sizes[d] = std::min(sizes[d], each->values.sizes()[d]);
  }
  return sizes;
}

Real largest(const std::vector<Real>& list) {
  Real most = 0;
  for (const Real each : list) {
    if (std::isfinite(each)) most = std::max(most, std::abs(each));
  }
  return most;
}

Distance apart(Real a, Real b, Real scale, double tolerance) {
  const bool equal = (std::isnan(a) && std::isnan(b)) || a == b;
  if (equal) return {.same = tolerance > 0 || std::isnan(a) || std::signbit(a) == std::signbit(b)};
  if (!std::isfinite(a) || !std::isfinite(b))
    return {.same = false, .absolute = kInfinity, .relative = kInfinity};
  const Real by = std::abs(a - b);
  const Real relative = scale > 0 ? by / scale : static_cast<Real>(kInfinity);
  return {.same = relative <= static_cast<Real>(tolerance),
          .absolute = static_cast<double>(by),
          .relative = static_cast<double>(relative)};
}

std::string position_text(std::int64_t index, const Shape& sizes) {
  if (sizes.empty()) return "it";
  Shape position = sizes;
  for (int d = sizes.size(); d-- > 0; index /= sizes[d]) position[d] = index % sizes[d];
  return fmt::format("element {}", position);
}

std::optional<std::uint64_t> content(const Numbers& numbers) {
  return numbers.complete ? hash_of(numbers.values) : numbers.hash;
}

// All elements are the same, kept or not; none: not known.
std::optional<bool> same_content(const Numbers& a, const Numbers& b) {
  const std::optional<std::uint64_t> of_a = content(a), of_b = content(b);
  if (a.dtype != b.dtype || !of_a || !of_b) return {};
  return *of_a == *of_b;
}

void tell(Difference& result, const char* what, std::string a, std::string b,
          const Distance& there) {
  if (result.distance.same)
    result.where = what, result.a = std::move(a), result.b = std::move(b), result.there = there;
  result.distance.same = false;
}

// Of those elements that one of them did not keep, as far as it is known.
void compare_rest(Difference& result, const Numbers& a, const Numbers& b, double tolerance) {
  const std::optional<bool> is_same = same_content(a, b);
  if (is_same == true) return;
  result.distance.whole = false;
  const auto summary_of = [](const Numbers& numbers) {
    return numbers.complete ? keep_numbers(numbers.values, /*complete=*/false, 1) : numbers;
  };
  const Numbers x = summary_of(a), y = summary_of(b);
  const Real scale = largest({x.min, x.max, y.min, y.max});
  const auto compare = [&](const char* what, double of_a, double of_b, Real against) {
    const Distance each = apart(of_a, of_b, against, tolerance);
    if (!each.same) tell(result, what, number_text(of_a), number_text(of_b), each);
  };
  compare("number of NaN and infinite elements", static_cast<double>(x.non_finite),
          static_cast<double>(y.non_finite), 0);
  compare("minimum", x.min, y.min, scale);
  compare("maximum", x.max, y.max, scale);
  compare("mean", x.mean, y.mean, scale);
  compare("norm", x.norm, y.norm, largest({x.norm, y.norm}));
  if (is_same == false && tolerance == 0)
    tell(result, "hash of all elements", hash_text(*content(a)), hash_text(*content(b)),
         {.same = false});
}

}  // namespace

void Distance::widen(const Distance& other) {
  same = same && other.same;
  absolute = std::max(absolute, other.absolute);
  relative = std::max(relative, other.relative);
  whole = whole && other.whole;
}

Distance distance(double a, double b, double tolerance) {
  return apart(a, b, largest({a, b}), tolerance);
}

Difference difference(const Numbers& a, const Numbers& b, double tolerance) {
  const Shape corner = common_corner({&a, &b});
  const Tensor of_a = contiguous_copy(corner_of(a.values, corner)),
               of_b = contiguous_copy(corner_of(b.values, corner));
  const std::vector<Real> x = elements_of(of_a), y = elements_of(of_b);
  // Integers are counted, not rounded: no two of them are near enough.
  if (!is_floating(a.dtype) || !is_floating(b.dtype)) tolerance = 0;
  Real scale = std::max(largest(x), largest(y));
  for (const Numbers* each : {&a, &b}) {
    if (!each->complete) scale = std::max(scale, largest({each->min, each->max}));
  }
  Difference result;
  result.compared = corner.numel();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Distance each = apart(x[i], y[i], scale, tolerance);
    const auto index = static_cast<std::int64_t>(i);
    if (!each.same) {
      ++result.differing;
      if (result.differing == 1 || each.absolute > result.distance.absolute) {
        result.where = position_text(index, corner);
        result.a = number_text(of_a, index), result.b = number_text(of_b, index);
        result.there = each;
      }
    }
    result.distance.widen(each);
  }
  if (!a.complete || !b.complete) compare_rest(result, a, b, tolerance);
  return result;
}

Distance update_distance(const Numbers& before_a, const Numbers& after_a, const Numbers& before_b,
                         const Numbers& after_b) {
  const Shape corner = common_corner({&before_a, &after_a, &before_b, &after_b});
  const auto update = [&corner](const Numbers& before, const Numbers& after) {
    std::vector<Real> change = elements_of(contiguous_copy(corner_of(after.values, corner)));
    const std::vector<Real> was = elements_of(contiguous_copy(corner_of(before.values, corner)));
    for (std::size_t i = 0; i < change.size(); ++i) change[i] -= was[i];
    return change;
  };
  const std::vector<Real> x = update(before_a, after_a), y = update(before_b, after_b);
  const Real scale = std::max(largest(x), largest(y));
  Distance result;
  for (std::size_t i = 0; i < x.size(); ++i) result.widen(apart(x[i], y[i], scale, 0));
  const bool complete =
      before_a.complete && after_a.complete && before_b.complete && after_b.complete;
  result.whole = complete || (same_content(before_a, before_b) == true &&
                              same_content(after_a, after_b) == true);
  return result;
}

}  // namespace retrace::trace
