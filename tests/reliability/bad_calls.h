#pragma once

// Wrong calls, with the numbers of the list that they come from: each throws a documented type
// whose message names the op, what does not fit and what to do; changes nothing; leaves nothing
// behind; and the next call works. rows_test.cpp holds the numbers against the whole list.

#include <retrace/tests/reliability/refusal.h>

namespace retrace::testing {

std::vector<BadCall> bad_products();
std::vector<BadCall> bad_views();
std::vector<BadCall> bad_reductions();
std::vector<BadCall> bad_indices();
std::vector<BadCall> bad_layers();
std::vector<BadCall> bad_optimizers();
std::vector<BadCall> bad_tape();
std::vector<BadCall> bad_sizes();

inline const std::type_index kShape = typeid(ShapeError), kDType = typeid(DTypeError),
                             kIndex = typeid(IndexError), kValue = typeid(ValueError),
                             kTape = typeid(AutogradError);

inline Arguments two_by_three() { return {ones({2, 3})}; }
inline Arguments int64_row() { return {arange(2)}; }
inline Tensor leaf(const NestedList& values) { return tensor(values).requires_grad_(); }
inline Arguments leaf_of_two() { return {leaf({1.0, 2.0})}; }

inline void check(const std::vector<BadCall>& calls) {
  for (const BadCall& bad : calls) {
    const std::string reason = objection(bad);
    CHECK_MESSAGE(reason.empty(), bad.number << ": " << reason);
  }
}

}  // namespace retrace::testing
