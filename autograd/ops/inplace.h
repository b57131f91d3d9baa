#pragma once

// For .cpp files: the rules of changing a tensor in place. Unrecorded, numbers are written over.
// Recorded, the op runs as usual on the old numbers, the result is written over them, and the
// tensor becomes the output of that op.

#include <initializer_list>
#include <string_view>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Whether the change of x, given `others`, is to be recorded. Refuses, in the name of `op`, what
/// cannot be done: ValueError for elements that share memory; AutogradError for a leaf that wants a
/// gradient, or for recording a change of numbers that a view shares.
bool check_in_place(std::string_view op, const Tensor& x,
                    std::initializer_list<const Tensor*> others);

/// x takes the numbers and the history of y.
void take_over(Tensor& x, const Tensor& y);

/// `other`, or a copy of it when it shares memory with x but not element for element: reading after
/// writing would see changed numbers.
Tensor unshared(const Tensor& x, const Tensor& other);

}  // namespace retrace
