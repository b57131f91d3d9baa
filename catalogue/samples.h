#pragma once

// Samples that many rows share, and the families that make up the table.

#include <initializer_list>

#include <retrace/catalogue/catalogue.h>

namespace retrace::catalogue {

using Arguments = std::vector<std::pair<std::string, Argument>>;

inline std::vector<double> list(std::initializer_list<double> values) { return values; }

// Domains ----------------------------------------------------------------------------------------

inline Domain between(double low, double high, std::vector<double> kinks = {}) {
  return {low, high, std::move(kinks), kFloat64};
}
inline Domain away_from(std::vector<double> kinks) { return between(-2, 2, std::move(kinks)); }
inline Domain positive() { return between(0.3, 3); }
inline Domain indices(std::int64_t size) { return {0, static_cast<double>(size - 1), {}, kInt64}; }
/// Either of two labels, as floating numbers.
inline Domain labels(double first, double second) {
  return {first, second, {}, kFloat64, {first, second}};
}
inline Domain truths() { return {0, 1, {}, kBool}; }

// Samples ----------------------------------------------------------------------------------------

/// One tensor "x" of these sizes.
Sample shaped(const Shape& sizes, Arguments arguments = {}, const Domain& domain = {});
/// Of one tensor "x": matrix, 3-d, sizes of 1, 0-d, empty.
std::vector<Sample> of_one(const Domain& domain = {}, const Arguments& arguments = {});
/// Of one tensor "x", around the points where the pieces of an op meet, and far from them.
std::vector<Sample> of_pieces(const std::vector<double>& kinks, const Arguments& arguments = {});
/// Of two tensors "a" and "b": equal shapes, broadcast on either side and on both, 0-d, empty.
std::vector<Sample> of_two(const Domain& a = {}, const Domain& b = {},
                           const Arguments& arguments = {});
/// Reductions of "x": over everything, over one dim, kept or not; and, if `several`, over two.
std::vector<Sample> of_reduction(const Domain& domain = {}, bool several = true);
/// One after the other.
std::vector<Sample> both(std::vector<Sample> first, const std::vector<Sample>& second);

// Calls of the usual kinds -----------------------------------------------------------------------

template <Tensor (*op)(const Tensor&)>
Results call_unary(const Call& c) {
  return op(c["x"]);
}
template <Tensor (*op)(const Tensor&, const Tensor&)>
Results call_binary(const Call& c) {
  return op(c["a"], c["b"]);
}
/// The choice that the argument names; the first when it is not given.
template <class T>
T one_of(const Call& c, std::string_view name,
         std::initializer_list<std::pair<std::string_view, T>> choices) {
  const std::string text = c.text(name, std::string(choices.begin()->first));
  for (const auto& [label, choice] : choices) {
    if (label == text) return choice;
  }
  throw ValueError("call: the argument \"" + std::string(name) + "\" is \"" + text + "\"");
}
/// all(x), one(x, dim, keepdim) or several(x, dims, keepdim), by what "dim" is.
template <class All, class One, class Several>
Results call_reduction(const Call& c, All all, One one, Several several) {
  const bool keepdim = c.flag("keepdim", false);
  if (c.is_list("dim")) return several(c["x"], c.list("dim"), keepdim);
  if (c.has("dim")) return one(c["x"], c.integer("dim"), keepdim);
  if (!keepdim) return all(c["x"]);
  Shape dims;
  for (int d = 0; d < c["x"].dim(); ++d) dims.push_back(d);
  return several(c["x"], dims, true);
}

/// All elements of "x" differ from each other by 0.01 or more (for sorting, extremes).
bool all_differ(const Call& call);
/// All elements of "a" differ from those of "b" that they meet.
bool sides_differ(const Call& call);

// Families ---------------------------------------------------------------------------------------

void add_arithmetic(std::vector<Row>& rows);
void add_math(std::vector<Row>& rows);
void add_rectifiers(std::vector<Row>& rows);
void add_activations(std::vector<Row>& rows);
void add_softmax(std::vector<Row>& rows);
void add_gated(std::vector<Row>& rows);
void add_comparisons(std::vector<Row>& rows);
void add_selections(std::vector<Row>& rows);
void add_views(std::vector<Row>& rows);
void add_reductions(std::vector<Row>& rows);
void add_extremes(std::vector<Row>& rows);
void add_indexing(std::vector<Row>& rows);
void add_joining(std::vector<Row>& rows);
void add_linalg(std::vector<Row>& rows);
void add_layers(std::vector<Row>& rows);
void add_normalization(std::vector<Row>& rows);
void add_convolution(std::vector<Row>& rows);
void add_attention(std::vector<Row>& rows);
void add_recurrent(std::vector<Row>& rows);
void add_regression(std::vector<Row>& rows);
void add_quantiles(std::vector<Row>& rows);
void add_distances(std::vector<Row>& rows);
void add_metric_learning(std::vector<Row>& rows);
void add_contrastive(std::vector<Row>& rows);
void add_language(std::vector<Row>& rows);
void add_binary_classification(std::vector<Row>& rows);
void add_classification(std::vector<Row>& rows);
void add_divergences(std::vector<Row>& rows);
void add_preference(std::vector<Row>& rows);
void add_policy_gradient(std::vector<Row>& rows);
void add_advantages(std::vector<Row>& rows);

}  // namespace retrace::catalogue
