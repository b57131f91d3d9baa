#pragma once

// Steps of programs on tensors: changes in place, and the tape.

#include <retrace/tests/fuzz/program_ops.h>

namespace retrace::fuzz {

// In place ----------------------------------------------------------------------------------------

/// Whether two elements are one place.
inline bool meets_itself(const SlowTensor& x) {
  std::vector<std::size_t> places = x.places;
  std::sort(places.begin(), places.end());
  return std::adjacent_find(places.begin(), places.end()) != places.end();
}

/// Whether a tensor may be changed by a call that takes `other`, if it is one of numbers.
inline Verdict may_change(const Entry& to, const Tensor& other) {
  const Tensor& x = to.tensor;
  if (meets_itself(to.slow) || (x.is_leaf() && x.requires_grad())) return Verdict::wrong;
  // A change that becomes part of the tape asks who else sees the numbers.
  const bool recorded = x.requires_grad() || (other.defined() && other.requires_grad());
  return recorded ? Verdict::either : Verdict::right;
}

inline void change(Program& p) {
  Entry& to = p.any();
  const Entry from = p.any();
  Tensor& x = to.tensor;
  const Tensor& y = from.tensor;
  const bool fits = broadcast(to.slow.sizes, from.slow.sizes) &&
                    joint_sizes(to.slow.sizes, from.slow.sizes) == to.slow.sizes;
  const bool are_numbers = fits && x.dtype() == y.dtype() && x.dtype() != kBool;
  const auto apply = [&](bool is_right, const Tensor& other, auto call, auto values) {
    const Verdict verdict = is_right ? may_change(to, other) : Verdict::wrong;
    const bool was_leaf = x.is_leaf();
    if (!Program::made(within_reason(verdict, to.slow.sizes), call).defined()) return;
    to.slow.write(values());
    p.tape_is_fresh = false;
    if (was_leaf && !x.is_leaf()) to.leaf = 0;
  };
  const auto combine = [&](bool is_right, auto call, auto f) {
    apply(is_right, y, call, [&] { return slow_map(x.dtype(), to.slow, from.slow, f).values(); });
  };
  const Number value = p.number(x.dtype());
  const bool is_whole = x.dtype() == kInt64 || x.dtype() == kBool;
  const Scalar plain =
      is_whole ? Scalar(static_cast<std::int64_t>(value)) : Scalar(static_cast<double>(value));
  switch (p.in.below(6)) {
    case 0:
      if (x.dtype() != y.dtype()) return;
      return combine(
          fits, [&] { return x.copy_(y); }, [](auto, auto v) { return v; });
    case 1:
      return apply(
          true, {}, [&] { return x.fill_(plain); },
          [&] { return std::vector<Number>(to.slow.places.size(), value); });
    case 2:
      return combine(
          are_numbers, [&] { return x.add_(y); }, Plus());
    case 3:
      return combine(
          are_numbers, [&] { return x.mul_(y); }, Times());
    case 4:
      return combine(
          are_numbers && !is_whole, [&] { return x.div_(y); }, Over());
    default:
      return apply(
          fits && y.dtype() == kBool, {}, [&] { return x.masked_fill_(y, plain); },
          [&] {
            std::vector<Number> values = to.slow.values();
            const SlowTensor mask = from.slow.repeated(to.slow.sizes);
            for (std::size_t i = 0; i < values.size(); ++i)
              if (mask[i] != 0) values[i] = value;
            return values;
          });
  }
}

// The tape ----------------------------------------------------------------------------------------

inline void check_gradient(const Entry& entry, const Tensor& before, bool went) {
  const Tensor grad = entry.tensor.grad();
  if (grad.defined())
    expect(grad.sizes() == entry.tensor.sizes() && grad.dtype() == entry.tensor.dtype(),
           "a gradient is like its tensor");
  if (went) return;
  expect(grad.defined() == before.defined(), "a refused pass leaves gradients alone");
  if (grad.defined()) expect(same_bits(grad, before), "a refused pass changes none");
}

/// The gradient of a sum over a view: how often the view shows each element. (Of a leaf whose own
/// elements are one place, nobody can tell which of them is shown.)
inline void check_counts(const Entry& leaf, const SlowTensor& view) {
  if (meets_itself(leaf.slow)) return;
  const Tensor grad = leaf.tensor.grad();
  expect(grad.defined(), "a leaf has a gradient after backward");
  const std::vector<Number> given = numbers_of(grad);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto shown = std::count(view.places.begin(), view.places.end(), leaf.slow.places[i]);
    expect(given[i] == static_cast<Number>(shown), "the gradient of element {} is {}, not {}", i,
           shown, given[i]);
  }
}

inline void want_gradient(Program& p, Entry& entry) {
  const bool wanted = p.in.below(8) > 0, was_leaf = entry.tensor.is_leaf();
  // What was computed on the tape wants one, and stays with it.
  const bool fits = wanted ? entry.tensor.is_floating_point() : was_leaf;
  const auto call = [&] { return entry.tensor.requires_grad_(wanted); };
  if (Program::made(right_if(fits), call).defined() && was_leaf)
    entry.leaf = wanted ? ++p.leaves : 0;
}

inline void go_back(Program& p) {
  Entry& from = p.any();
  if (p.in.below(2) == 0) return want_gradient(p, from);
  if (p.in.below(4) == 0) return from.tensor.zero_grad();
  std::vector<Tensor> before;
  for (const Entry& entry : p.entries) {
    const Tensor grad = entry.tensor.grad();
    before.push_back(grad.defined() ? grad.clone() : Tensor());
  }
  // What a pass has gone through, or what lost numbers that the way back needs, is gone.
  const bool is_sure = p.tape_is_fresh || from.tensor.is_leaf();
  const Verdict verdict = !from.tensor.requires_grad() ? Verdict::wrong
                          : is_sure                    ? Verdict::right
                                                       : Verdict::either;
  const bool went = Program::made(within_reason(verdict, from.slow.sizes), [&] {
                      const Tensor sum = from.tensor.sum();
                      sum.backward();
                      return sum;
                    }).defined();
  if (went && !from.tensor.is_leaf()) p.tape_is_fresh = false;
  for (std::size_t i = 0; i < p.entries.size(); ++i) check_gradient(p.entries[i], before[i], went);
  if (!went || from.leaf == 0) return;
  for (std::size_t i = 0; i < p.entries.size(); ++i)
    if (p.entries[i].leaf == from.leaf && p.entries[i].tensor.is_leaf() && !before[i].defined())
      check_counts(p.entries[i], from.slow);
}

}  // namespace retrace::fuzz
