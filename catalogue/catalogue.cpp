#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/catalogue/catalogue.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/view.h>

#include <algorithm>
#include <cmath>

namespace retrace::catalogue {
namespace {

constexpr double kGap = 1e-2;

double draw(const Domain& domain, Generator& generator) {
  const auto near_kink = [&](double value) {
    return std::any_of(domain.kinks.begin(), domain.kinks.end(),
                       [&](double kink) { return std::abs(value - kink) < kGap; });
  };
  if (!domain.choices.empty()) {
    const auto count = static_cast<std::int64_t>(domain.choices.size());
    return domain.choices[static_cast<std::size_t>(generator.next_below(count))];
  }
  double value = 0;
  do {
    value = domain.low + (domain.high - domain.low) * generator.next_uniform();
  } while (near_kink(value));
  return value;
}

Tensor filled(const Input& input, DType dtype, Generator& generator) {
  const Domain& domain = input.domain;
  Tensor x = empty(input.sizes, domain.dtype);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    if (domain.dtype == kInt64) {
      elements<std::int64_t>(x)[i] =
          static_cast<std::int64_t>(domain.low) +
          generator.next_below(static_cast<std::int64_t>(domain.high - domain.low) + 1);
    } else if (domain.dtype == kBool) {
      elements<bool>(x)[i] = generator.next_below(2) == 1;
    } else {
      elements<double>(x)[i] = draw(domain, generator);
    }
  }
  return is_floating(domain.dtype) ? x.to(dtype) : x;
}

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (const auto add_family : {add_arithmetic,     add_math,
                                add_rectifiers,     add_activations,
                                add_softmax,        add_gated,
                                add_comparisons,    add_selections,
                                add_views,          add_reductions,
                                add_extremes,       add_indexing,
                                add_joining,        add_linalg,
                                add_layers,         add_normalization,
                                add_convolution,    add_attention,
                                add_recurrent,      add_regression,
                                add_quantiles,      add_binary_classification,
                                add_classification, add_divergences,
                                add_distances,      add_metric_learning,
                                add_contrastive,    add_language,
                                add_preference,     add_policy_gradient,
                                add_advantages})
    add_family(rows);
  return rows;
}

}  // namespace

const std::vector<Row>& rows() {
  static const std::vector<Row> table = all_rows();
  return table;
}

const Row* find(std::string_view name) {
  const auto row =
      std::find_if(rows().begin(), rows().end(), [name](const Row& r) { return r.name == name; });
  return row == rows().end() ? nullptr : &*row;
}

Call make_call(const Row& row, const Sample& sample, std::uint64_t seed, DType dtype) {
  Generator generator(seed);
  for (int attempt = 0; attempt < 1000; ++attempt) {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const Input& input : sample.inputs)
      tensors.emplace_back(input.name, filled(input, dtype, generator));
    Call call(std::move(tensors), sample.arguments);
    if (row.smooth == nullptr || row.smooth(call)) return call;
  }
  fail<ValueError>("{}: no smooth inputs were found in 1000 draws; widen the sample's domain",
                   row.name);
}

// Samples that many rows share --------------------------------------------------------------------

std::vector<Sample> of_one(const Domain& domain, const Arguments& arguments) {
  std::vector<Sample> samples;
  for (const Shape& sizes : {Shape{3, 4}, Shape{2, 3, 4}, Shape{1, 3, 1}, Shape{}, Shape{2, 0, 3}})
    samples.push_back({{{"x", sizes, domain}}, arguments});
  return samples;
}

std::vector<Sample> of_pieces(const std::vector<double>& kinks, const Arguments& arguments) {
  return both(of_one(between(-4, 8, kinks), arguments), of_one(between(-30, 30, kinks), arguments));
}

std::vector<Sample> of_two(const Domain& a, const Domain& b, const Arguments& arguments) {
  const std::pair<Shape, Shape> shapes[] = {
      {{3, 4}, {3, 4}}, {{3, 4}, {4}}, {{3, 1}, {2, 3, 4}}, {{2, 1, 4}, {3, 1}},
      {{}, {3}},        {{}, {}},      {{0, 3}, {1, 3}},    {{1, 1}, {1, 1}},
  };
  std::vector<Sample> samples;
  for (const auto& [left, right] : shapes)
    samples.push_back({{{"a", left, a}, {"b", right, b}}, arguments});
  return samples;
}

std::vector<Sample> of_reduction(const Domain& domain, bool several) {
  std::vector<Sample> samples = {
      shaped({3, 4}, {}, domain),
      shaped({2, 3, 4}, {{"dim", 1}}, domain),
      shaped({2, 3, 4}, {{"dim", -1}, {"keepdim", true}}, domain),
      shaped({3, 2}, {{"dim", 0}}, domain),
      shaped({1, 3, 1}, {{"dim", 1}}, domain),
      shaped({}, {}, domain),
      shaped({0, 3}, {{"dim", 1}}, domain),
  };
  if (several) {
    samples.push_back(shaped({2, 3, 4}, {{"dim", list({0, 2})}}, domain));
    samples.push_back(shaped({2, 3, 4}, {{"dim", list({0, -1})}, {"keepdim", true}}, domain));
  }
  return samples;
}

Sample shaped(const Shape& sizes, Arguments arguments, const Domain& domain) {
  return {{{"x", sizes, domain}}, std::move(arguments)};
}

bool all_differ(const Call& call) {
  std::vector<double> values = call["x"].to_vector<double>();
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end(),
                            [](double a, double b) { return b - a < kGap; }) == values.end();
}

bool sides_differ(const Call& call) {
  for (const double d : sub(call["a"], call["b"]).to_vector<double>()) {
    if (std::abs(d) < kGap) return false;
  }
  return true;
}

std::vector<Sample> both(std::vector<Sample> first, const std::vector<Sample>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

}  // namespace retrace::catalogue
