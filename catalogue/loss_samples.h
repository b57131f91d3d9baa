#pragma once

// Samples and arguments that the rows of losses share.

#include <retrace/catalogue/samples.h>
#include <retrace/losses/reduction.h>

namespace retrace::catalogue {

/// The argument "reduction" of a call of `loss`: the mean by default.
inline Reduction reduction_of(std::string_view loss, const Call& c) {
  return losses::reduction_from_string(loss, c.text("reduction", "mean"));
}

/// An input that never gets a gradient: a reference value, a mask.
Input constant(std::string name, const Shape& sizes, const Domain& domain = {});
inline Domain log_probabilities() { return between(-2, -0.2); }

/// The elements of a call's tensor, in row-major order.
inline std::vector<double> numbers_of(const Call& c, std::string_view name) {
  return c[name].to_vector<double>();
}
/// Far enough apart for differences to be taken.
inline bool far(double a, double b) { return a - b > 0.01 || b - a > 0.01; }

/// No coordinate of one input is close to the other's.
bool coordinates_differ(const Call& call, std::string_view a, std::string_view b);

/// Each of the samples with every reduction.
std::vector<Sample> with_reductions(const std::vector<Sample>& samples,
                                    std::initializer_list<const char*> reductions = {"mean", "sum",
                                                                                     "none"});
/// "input" and "target" of one shape: matrix, 3-d, 0-d, sizes of 1; with every reduction.
std::vector<Sample> of_pairs(const Domain& input = {}, const Input& target = {"target", {}},
                             const Arguments& arguments = {});
/// No element of "input" is close to that of "target".
bool input_differs_from_target(const Call& call);

/// "input" [5, 4], [3], [2, 3, 4], [2, 1] and their classes as "target"; two of them with the
/// optional input `weight` for each class; with the reductions.
std::vector<Sample> of_classes(const std::string& weight, const Arguments& arguments = {},
                               std::initializer_list<const char*> reductions = {"mean", "sum",
                                                                                "none"});

}  // namespace retrace::catalogue
