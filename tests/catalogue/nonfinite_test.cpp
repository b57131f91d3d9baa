// NaN put into every op of the catalogue, and into the gradient of its result: what becomes NaN is
// refused while AnomalyMode watches, by the op's name.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>

#include <limits>
#include <set>

using namespace retrace;
using catalogue::Call;
using catalogue::Row;

namespace {

bool has_nan(const Tensor& x) {
  return x.defined() && x.is_floating_point() && isnan(x).any().item<bool>();
}

// x with NaN in one place of it, or in all.
Tensor spoiled(const Tensor& x, bool all) {
  Tensor result = x.detach().clone();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  if (all) return result.fill_(kNaN);
  result.reshape({-1})[result.numel() / 2] = kNaN;
  return result;
}

std::vector<Tensor> results_of(const Row& row, const Call& call) {
  manual_seed(3);  // of those that draw
  std::vector<Tensor> all;
  const catalogue::Results results = row.run(call);
  for (const auto& [name, result] : results.named()) all.push_back(result);
  return all;
}

struct Count {
  std::set<std::string> reported;  // rows
  std::int64_t found = 0, all = 0;

  // What made a NaN without checks has to be refused with them.
  template <class F>
  void expect(const Row& row, const std::string& label, std::string_view words, F&& f) {
    const std::string message = testing::message_of<AutogradError>([&] {
      const AnomalyMode checks;
      f();
    });
    const bool good =
        testing::says(message, words) && testing::says(message, " is NaN at element ");
    CHECK_MESSAGE(good, label << ": " << message);
    found += good;
    ++all;
    if (good) reported.insert(row.name);
  }
};

template <class F>
void for_each_call(F&& f) {
  for (const Row& row : catalogue::rows()) {
    std::uint64_t seed = 1;
    for (const catalogue::Sample& sample : row.samples)
      f(row, sample, catalogue::make_call(row, sample, seed++, kFloat32));
  }
}

}  // namespace

TEST_CASE("a NaN in any op's input or gradient that becomes one of its results is reported") {
  Count forward, backward;
  std::set<std::string> floating, differentiable;
  for_each_call([&](const Row& row, const catalogue::Sample& sample, const Call& call) {
    std::vector<Tensor> inputs;
    for (const auto& [name, x] : call.tensors()) inputs.push_back(x);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_floating_point() || inputs[i].numel() == 0) continue;
      for (const bool all : {false, true}) {
        std::vector<Tensor> given = inputs;
        given[i] = spoiled(inputs[i], all);
        const Call with = call.with(given);
        bool becomes = false;
        try {
          // What gives its input back computes nothing.
          for (const Tensor& result : results_of(row, with))
            becomes |= &result.get() != &given[i].get() && has_nan(result);
        } catch (const Error&) {  // it takes none
          continue;
        }
        if (!becomes) continue;
        floating.insert(row.name);
        forward.expect(row, row.name + with.str(), "the result ",
                       [&] { static_cast<void>(results_of(row, with)); });
      }
    }
    if (!row.differentiable) return;
    std::vector<Tensor> leaves = inputs;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].is_floating_point() || !sample.inputs[i].wants_gradient) continue;
      leaves[i] = inputs[i].detach().clone().requires_grad_();
    }
    const std::size_t count = results_of(row, call).size();
    for (std::size_t r = 0; r < count; ++r) {
      const Tensor first = results_of(row, call)[r];
      if (!first.is_floating_point() || first.numel() == 0) continue;
      const Tensor gradient = spoiled(ones_like(first), false);
      // Each pass over a graph of its own.
      const auto go_back = [&] {
        for (Tensor& leaf : leaves)
          if (leaf.requires_grad()) leaf.zero_grad();
        const Tensor result = results_of(row, call.with(leaves))[r];
        if (result.requires_grad() && !result.is_leaf()) result.backward(gradient);
      };
      go_back();
      bool becomes = false;
      for (const Tensor& leaf : leaves) becomes |= leaf.requires_grad() && has_nan(leaf.grad());
      if (!becomes) continue;
      differentiable.insert(row.name);
      backward.expect(row, "backward of " + row.name + call.str(), "the gradient of input ",
                      go_back);
    }
  });
  CHECK(forward.reported == floating);
  CHECK(backward.reported == differentiable);
  CHECK(floating.size() > 200);
  CHECK(differentiable.size() > 200);
  testing::figure("R60",
                  "NaN in the input of each op of the catalogue, and in the gradient of its result",
                  fmt::format("{} results of {} ops reported, {} gradients of {} ops",
                              testing::of(forward.found, forward.all), floating.size(),
                              testing::of(backward.found, backward.all), differentiable.size()),
                  forward.found == forward.all && backward.found == backward.all);
}
