// Every differentiable row of the catalogue against differences of itself, over many layouts.
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

// A way to lay the numbers of a tensor in memory: base(values) is a fresh dense tensor, and
// view(base) has the values' shape (and, but for `repeated`, their numbers).
struct Layout {
  const char* name;
  bool (*applies)(const Tensor& values);
  Tensor (*base)(const Tensor& values);
  Tensor (*view)(const Tensor& base);
};

const Layout kLayouts[] = {
    {"contiguous", [](const Tensor&) { return true; }, [](const Tensor& x) { return x.clone(); },
     [](const Tensor& base) { return base; }},
    {"transposed", [](const Tensor& x) { return x.dim() >= 2; },
     [](const Tensor& x) { return x.transpose(0, -1).clone(); },
     [](const Tensor& base) { return base.transpose(0, -1); }},
    {"stepped", [](const Tensor& x) { return x.dim() >= 1; },
     [](const Tensor& x) {
       Shape sizes = x.sizes();
       sizes[x.dim() - 1] *= 2;
       Tensor base = zeros(sizes, x.dtype());
       base.slice(-1, 0, {}, 2).copy_(x);
       return base;
     },
     [](const Tensor& base) { return base.slice(-1, 0, {}, 2); }},
    {"expanded", [](const Tensor& x) { return x.dim() >= 1 && x.size(0) > 0; },
     [](const Tensor& x) { return x.narrow(0, 0, 1).clone(); }, nullptr},
};

struct Laid {
  std::vector<Tensor> bases;
  std::vector<Shape> shapes;
  const Layout* layout;

  std::vector<Tensor> views(const std::vector<Tensor>& of) const {
    std::vector<Tensor> result;
    for (std::size_t i = 0; i < of.size(); ++i) {
      if (of[i].sizes() == shapes[i] && !layout->applies(of[i])) {
        result.push_back(of[i]);
      } else if (layout->view == nullptr) {
        result.push_back(of[i].expand(shapes[i]));
      } else {
        result.push_back(layout->view(of[i]));
      }
    }
    return result;
  }
};

bool wants_gradient(const Sample& sample, std::size_t i) {
  return sample.inputs[i].wants_gradient && is_floating(sample.inputs[i].domain.dtype);
}

Laid lay(const Call& call, const Sample& sample, const Layout& layout) {
  Laid laid;
  laid.layout = &layout;
  for (std::size_t i = 0; i < call.tensors().size(); ++i) {
    const Tensor& values = call.tensors()[i].second;
    laid.shapes.push_back(values.sizes());
    // Indices stay as they are where values would be repeated: they say what the op does.
    const bool laid_out =
        layout.applies(values) && (layout.view != nullptr || values.is_floating_point());
    laid.bases.push_back(laid_out ? layout.base(values) : values.clone());
    if (wants_gradient(sample, i)) laid.bases.back().requires_grad_();
  }
  return laid;
}

// Some calls of a row are about things without a gradient (say, of an int64 tensor).
bool any_gradient(const Sample& sample) {
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    if (wants_gradient(sample, i)) return true;
  }
  return false;
}

template <class F>
void for_each_sample(F f) {
  for (const Row& row : catalogue::rows()) {
    std::uint64_t seed = 1;
    for (const Sample& sample : row.samples) f(row, sample, seed++);
  }
}

std::string label(const Row& row, const Call& call, const char* what) {
  return row.name + call.str() + ", " + what;
}

// The results of a call but for those that the row declares detached, which must be.
std::vector<Tensor> attached_results(const Row& row, const Call& call) {
  const catalogue::Results results = row.run(call);
  std::vector<Tensor> attached;
  for (const auto& [name, result] : results.named()) {
    if (std::find(row.detached.begin(), row.detached.end(), name) == row.detached.end()) {
      attached.push_back(result);
    } else if (result.requires_grad()) {
      throw ValueError(row.name + ": " + name + " is to be detached");
    }
  }
  return attached;
}

std::string failure_of(const Row& row, const Call& call, const Laid& laid,
                       bool (*check)(TensorFunction, const std::vector<Tensor>&,
                                     const GradcheckOptions&)) {
  try {
    const auto f = [&](const std::vector<Tensor>& bases) {
      return attached_results(row, call.with(laid.views(bases)));
    };
    return check(f, laid.bases, {}) ? std::string() : "returned false";
  } catch (const std::exception& e) {
    return e.what();
  }
}

// The inputs of a call, each times 1 + ε (Σ of the means of those before it - what it is now): the
// same numbers, but each depends on those before it.
std::vector<Tensor> entangled(const Sample& sample, const std::vector<Tensor>& leaves) {
  Tensor sum = zeros({}, kFloat64);
  std::vector<Tensor> all = leaves;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (!wants_gradient(sample, i)) continue;
    all[i] = leaves[i] * (1.0 + 0.01 * (sum - sum.detach()));
    if (all[i].numel() > 0) sum = sum + all[i].mean();
  }
  return all;
}

}  // namespace

TEST_CASE("every differentiable row has samples, a family and a question") {
  for (const Row& row : catalogue::rows()) {
    INFO(row.name);
    CHECK(!row.family.empty());
    CHECK(row.question.ends_with("?"));
    CHECK((row.run != nullptr));
    CHECK(row.samples.size() >= (row.differentiable ? 2u : 1u));
    CHECK(catalogue::find(row.name) == &row);  // no name twice
  }
  CHECK(catalogue::find("no such op") == nullptr);
}

TEST_CASE("gradients agree with differences in every layout") {
  int checks = 0;
  for_each_sample([&](const Row& row, const Sample& sample, std::uint64_t seed) {
    if (!row.differentiable || !any_gradient(sample)) return;
    const Call call = catalogue::make_call(row, sample, seed);
    for (const Layout& layout : kLayouts) {
      if (layout.view == nullptr && !row.allows_repeats) continue;
      const std::string failure = failure_of(row, call, lay(call, sample, layout), gradcheck);
      CHECK_MESSAGE(failure.empty(), label(row, call, layout.name) << ": " << failure);
      ++checks;
    }
  });
  CHECK(checks > 0);
}

TEST_CASE("the same tensor as both arguments gets both gradients") {
  for_each_sample([&](const Row& row, const Sample& sample, std::uint64_t seed) {
    if (!row.differentiable || !row.allows_same || sample.inputs.size() < 2) return;
    if (sample.inputs[0].sizes != sample.inputs[1].sizes) return;
    if (!wants_gradient(sample, 0) || !wants_gradient(sample, 1)) return;
    const Call call = catalogue::make_call(row, sample, seed);
    // The second domain: where they differ, it is the narrower one (a divisor).
    const Tensor x = call.tensors()[1].second.clone().requires_grad_();
    const auto f = [&](const std::vector<Tensor>& in) {
      std::vector<Tensor> tensors = {in[0], in[0]};
      for (std::size_t i = 2; i < call.tensors().size(); ++i)
        tensors.push_back(call.tensors()[i].second);
      return attached_results(row, call.with(tensors));
    };
    std::string failure;
    try {
      gradcheck(f, {x});
    } catch (const std::exception& e) {
      failure = e.what();
    }
    CHECK_MESSAGE(failure.empty(), label(row, call, "x and x") << ": " << failure);
  });
}

TEST_CASE("second derivatives agree with differences") {
  std::set<std::string> checked;
  for_each_sample([&](const Row& row, const Sample& sample, std::uint64_t seed) {
    if (!row.differentiable || !any_gradient(sample)) return;
    const Call call = catalogue::make_call(row, sample, seed);
    const Laid laid = lay(call, sample, kLayouts[0]);
    if (call.tensors()[0].second.numel() == 0) return;
    const std::string failure = failure_of(row, call, laid, gradgradcheck);
    CHECK_MESSAGE(failure.empty(), label(row, call, "twice") << ": " << failure);
    checked.insert(row.name);
  });
  MESSAGE(checked.size() << " rows have second derivatives");
  for (const Row& row : catalogue::rows())
    if (row.differentiable) CHECK_MESSAGE(checked.contains(row.name), row.name);
}

TEST_CASE(
    "a recorded backward gives what a plain one gives, also for inputs that depend on each other") {
  std::size_t compared = 0;
  for_each_sample([&](const Row& row, const Sample& sample, std::uint64_t seed) {
    if (!row.differentiable || !any_gradient(sample)) return;
    const Call call = catalogue::make_call(row, sample, seed);
    for (const bool depend : {false, true}) {
      for (const Layout& layout : {kLayouts[0], kLayouts[1]}) {
        const Laid laid = lay(call, sample, layout);
        std::vector<Tensor> wanted;
        for (std::size_t i = 0; i < laid.bases.size(); ++i)
          if (wants_gradient(sample, i)) wanted.push_back(laid.bases[i]);
        if (depend && (wanted[0].dtype() != kFloat64 || wanted[0].numel() == 0)) continue;
        const auto gradients = [&](bool create_graph) {
          const std::vector<Tensor> views = laid.views(laid.bases);
          const auto inputs = depend ? entangled(sample, views) : views;
          std::vector<Tensor> outputs, upstream;
          Generator generator(9);  // random numbers of the op are the same each time
          manual_seed(seed);
          for (const Tensor& y : attached_results(row, call.with(inputs))) {
            if (!y.requires_grad()) continue;
            outputs.push_back(y);
            upstream.push_back(randn(y.sizes(), y.dtype(), &generator));
          }
          if (outputs.empty()) return std::vector<Tensor>(wanted.size());
          return grad(outputs, wanted, upstream, false, create_graph, /*allow_unused=*/true);
        };
        const std::vector<Tensor> plain = gradients(false), recorded = gradients(true);
        for (std::size_t i = 0; i < plain.size(); ++i) {
          INFO(label(row, call, layout.name) << ", input " << i << (depend ? ", entangled" : ""));
          CHECK(plain[i].defined() == recorded[i].defined());
          if (!plain[i].defined() || !recorded[i].defined()) continue;
          const auto a = plain[i].to_vector<double>(), b = recorded[i].to_vector<double>();
          double largest = 1;
          for (const double v : a) largest = std::max(largest, std::abs(v));
          for (std::size_t e = 0; e < a.size(); ++e) {
            const bool close = std::abs(a[e] - b[e]) <= 1e-11 * largest || a[e] == b[e] ||
                               (std::isnan(a[e]) && std::isnan(b[e]));
            CHECK_MESSAGE(close, "element " << e << ": " << a[e] << " and " << b[e]);
            ++compared;
          }
        }
      }
    }
  });
  CHECK(compared > 10000);
}

TEST_CASE("float32 gives what float64 gives, in its own precision") {
  for_each_sample([&](const Row& row, const Sample& sample, std::uint64_t seed) {
    const Call single = catalogue::make_call(row, sample, seed, kFloat32);
    std::vector<Tensor> doubles;
    for (const auto& [name, x] : single.tensors())
      doubles.push_back(x.is_floating_point() ? x.to(kFloat64) : x);
    const auto a = row.run(single), b = row.run(single.with(doubles));
    REQUIRE(a.named().size() == b.named().size());
    for (std::size_t i = 0; i < a.named().size(); ++i) {
      const Tensor &x = a.named()[i].second, &y = b.named()[i].second;
      INFO(label(row, single, a.named()[i].first.c_str()));
      REQUIRE(x.sizes() == y.sizes());
      CHECK(x.dtype() == (y.is_floating_point() ? kFloat32 : y.dtype()));
      const auto xs = x.to_vector<double>(), ys = y.to_vector<double>();
      for (std::size_t e = 0; e < xs.size(); ++e) {
        const bool close = std::abs(xs[e] - ys[e]) <= 2e-5 * (1 + std::abs(ys[e])) ||
                           xs[e] == ys[e] || (std::isnan(xs[e]) && std::isnan(ys[e]));
        CHECK_MESSAGE(close, "element " << e << ": " << xs[e] << " and " << ys[e]);
      }
    }
  });
}

TEST_CASE("values do not depend on the layout of the inputs") {
  for_each_sample([&](const Row& row, const Sample& sample, std::uint64_t seed) {
    const Call call = catalogue::make_call(row, sample, seed);
    const auto plain = row.run(call).tensors();
    for (const Layout& layout : kLayouts) {
      if (layout.view == nullptr) continue;  // other numbers
      const Laid laid = lay(call, sample, layout);
      const auto got = row.run(call.with(laid.views(laid.bases))).tensors();
      REQUIRE(got.size() == plain.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        INFO(label(row, call, layout.name));
        REQUIRE(got[i].sizes() == plain[i].sizes());
        const auto xs = got[i].to_vector<double>(), ys = plain[i].to_vector<double>();
        for (std::size_t e = 0; e < xs.size(); ++e) {
          const bool close = std::abs(xs[e] - ys[e]) <= 1e-12 * (1 + std::abs(ys[e])) ||
                             xs[e] == ys[e] || (std::isnan(xs[e]) && std::isnan(ys[e]));
          CHECK_MESSAGE(close, "element " << e << ": " << xs[e] << " and " << ys[e]);
        }
      }
    }
  });
}
