// Forward mode of every row of the catalogue: against differences, and against backward.
#include <doctest/doctest.h>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>

#include <algorithm>
#include <cmath>
#include <set>

using namespace retrace;
using catalogue::Call;
using catalogue::Row;
using catalogue::Sample;

namespace {

// The inputs of a sample call that want a gradient, each with a tangent, and the call as a function
// of them. Results without a gradient are left out.
struct Moving {
  const Row& row;
  Call call;
  std::vector<std::size_t> positions;
  std::vector<Tensor> inputs, tangents;

  Moving(const Row& of, const Sample& sample, std::uint64_t seed, DType dtype, bool turned)
      : row(of), call(catalogue::make_call(of, sample, seed, dtype)) {
    Generator generator(seed + 1000);
    for (std::size_t i = 0; i < call.tensors().size(); ++i) {
      const Tensor& x = call.tensors()[i].second;
      if (!sample.inputs[i].wants_gradient || !x.is_floating_point()) continue;
      positions.push_back(i);
      inputs.push_back(turned ? turn(x) : x);
      const Tensor t = rand(x.sizes(), kFloat64, &generator) - 0.5;
      const Tensor tangent = (t + sign(t) * 0.5).to(dtype);
      tangents.push_back(turned ? turn(tangent) : tangent);
    }
  }

  std::vector<Tensor> operator()(const std::vector<Tensor>& given) const {
    std::vector<Tensor> all;
    for (const auto& [name, x] : call.tensors()) all.push_back(x);
    for (std::size_t k = 0; k < given.size(); ++k) all[positions[k]] = given[k];
    const catalogue::Results results = row.run(call.with(all));
    std::vector<Tensor> kept;
    for (const auto& [name, result] : results.named())
      if (std::find(row.detached.begin(), row.detached.end(), name) == row.detached.end())
        kept.push_back(result);
    return kept;
  }

  std::vector<Tensor> at(double step) const {
    std::vector<Tensor> moved;
    for (std::size_t k = 0; k < inputs.size(); ++k) moved.push_back(inputs[k] + tangents[k] * step);
    return (*this)(moved);
  }

  std::string label() const { return row.name + call.str(); }

  // The same numbers, not dense where there are two dims or more.
  static Tensor turn(const Tensor& x) {
    return x.dim() < 2 ? x : x.transpose(0, -1).clone().transpose(0, -1);
  }
};

template <class F>
void for_each_moving(DType dtype, bool turned, F f) {
  for (const Row& row : catalogue::rows()) {
    if (!row.differentiable) continue;
    std::uint64_t seed = 1;
    for (const Sample& sample : row.samples) {
      const Moving moving(row, sample, seed++, dtype, turned);
      if (!moving.inputs.empty()) f(moving);
    }
  }
}

double magnitude(const std::vector<Tensor>& tensors) {
  double sum = 0;
  for (const Tensor& x : tensors)
    if (x.defined()) sum += x.abs().sum().item<double>();
  return sum;
}

double inner(const std::vector<Tensor>& a, const std::vector<Tensor>& b, double& size) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a[i].defined() || !b[i].defined()) continue;
    const auto xs = a[i].to_vector<double>(), ys = b[i].to_vector<double>();
    for (std::size_t e = 0; e < xs.size(); ++e) {
      sum += xs[e] * ys[e];
      size += std::abs(xs[e] * ys[e]);
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("tangents agree with differences") {
  std::set<std::string> checked;
  for (const bool turned : {false, true}) {
    for_each_moving(kFloat64, turned, [&](const Moving& moving) {
      INFO(moving.label());
      const Row& row = moving.row;
      const Jvp result = jvp(moving, moving.inputs, moving.tangents);
      checked.insert(row.name);
      constexpr double kStep = 1e-6;
      const std::vector<Tensor> above = moving.at(kStep), below = moving.at(-kStep);
      REQUIRE(result.tangents.size() == above.size());
      for (std::size_t i = 0; i < above.size(); ++i) {
        const Tensor& tangent = result.tangents[i];
        CHECK(tangent.defined() == above[i].is_floating_point());
        if (!tangent.defined()) continue;
        REQUIRE(tangent.sizes() == result.outputs[i].sizes());
        CHECK(tangent.dtype() == result.outputs[i].dtype());
        CHECK(!tangent.requires_grad());
        const auto up = above[i].to_vector<double>(), down = below[i].to_vector<double>();
        const auto given = tangent.to_vector<double>();
        for (std::size_t e = 0; e < up.size(); ++e) {
          const double numeric = (up[e] - down[e]) / (2 * kStep);
          CHECK_MESSAGE(std::abs(given[e] - numeric) <= 1e-5 + 1e-3 * std::abs(numeric),
                        "result " << i << ", element " << e << ": " << given[e]
                                  << ", by differences " << numeric);
        }
      }
    });
  }
  MESSAGE(checked.size() << " rows have tangents");
  for (const Row& row : catalogue::rows())
    if (row.differentiable) CHECK_MESSAGE(checked.contains(row.name), row.name);
}

TEST_CASE("tangents are the transpose of gradients") {
  for_each_moving(kFloat64, false, [&](const Moving& moving) {
    INFO(moving.label());
    const Jvp forward = jvp(moving, moving.inputs, moving.tangents);
    Generator generator(7);
    std::vector<Tensor> upstream;
    for (const Tensor& output : forward.outputs)
      upstream.push_back(output.is_floating_point() ? randn(output.sizes(), kFloat64, &generator)
                                                    : Tensor());
    const Vjp backward = vjp(moving, moving.inputs, upstream);
    double size = 0;
    const double a = inner(upstream, forward.tangents, size);
    const double b = inner(backward.gradients, moving.tangents, size);
    // What cancels in a gradient leaves its rounding.
    const double rounding = 1e-16 * magnitude(upstream) * magnitude(moving.tangents);
    CHECK_MESSAGE(std::abs(a - b) <= 1e-13 * size + rounding, a << " and " << b);
  });
}

TEST_CASE("tangents of float32 are those of float64, in their own precision") {
  for_each_moving(kFloat32, false, [&](const Moving& single) {
    INFO(single.label());
    const auto widened = [](const std::vector<Tensor>& x) {
      std::vector<Tensor> wide;
      for (const Tensor& t : x) wide.push_back(t.to(kFloat64));
      return wide;
    };
    Moving twice = single;
    std::vector<Tensor> all;
    for (const auto& [name, x] : single.call.tensors())
      all.push_back(x.is_floating_point() ? x.to(kFloat64) : x);
    twice.call = single.call.with(all);
    const Jvp a = jvp(single, single.inputs, single.tangents);
    const Jvp b = jvp(twice, widened(single.inputs), widened(single.tangents));
    for (std::size_t i = 0; i < a.tangents.size(); ++i) {
      if (!a.tangents[i].defined()) continue;
      CHECK(a.tangents[i].dtype() == kFloat32);
      const auto xs = a.tangents[i].to_vector<double>(), ys = b.tangents[i].to_vector<double>();
      for (std::size_t e = 0; e < xs.size(); ++e)
        CHECK_MESSAGE(std::abs(xs[e] - ys[e]) <= 2e-5 * (1 + std::abs(ys[e])),
                      "element " << e << ": " << xs[e] << " and " << ys[e]);
    }
  });
}
