// First and second derivatives of reductions and scans against differences.
#include <doctest/doctest.h>

#include <functional>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

using Function = std::function<Tensor(const Tensor&)>;

/// Numbers at least 0.3 away from 0, with magnitudes 0.05 from each other; a strided view.
Tensor spread_out() {
  const Numbers values = {1.3, -0.45, 0.7,   2.1,   -1.15, 0.5, -0.95, 1.7,
                          0.3, -2.25, 1.1,   -0.65, -1.55, 0.9, 2.5,   -1.95,
                          1.5, 0.4,   -0.35, -1.35, -0.75, 1.9, 2.3,   -2.65};
  return leaf(values, {4, 3, 2}).transpose(0, 2).slice(2, 0, 4, 2);  // [2, 3, 2]
}

void check(const Function& f) {
  const auto of_list = [&](const std::vector<Tensor>& inputs) { return f(inputs[0]); };
  CHECK(gradcheck(of_list, {spread_out()}));
  CHECK(gradgradcheck(of_list, {spread_out()}));
}

}  // namespace

TEST_CASE("gradients of reductions") {
  check([](const Tensor& x) { return x.mean({0, 2}); });
  check([](const Tensor& x) { return x.prod(); });
  check([](const Tensor& x) { return x.prod(1, true); });
  check([](const Tensor& x) { return logsumexp(x, {0, 1}); });
  check([](const Tensor& x) { return amax(x, {0, 2}); });
  check([](const Tensor& x) { return x.min(); });
  check([](const Tensor& x) { return x.max(1).values; });
  check([](const Tensor& x) { return x.min(-1, true).values; });
}

TEST_CASE("gradients of variances and norms") {
  check([](const Tensor& x) { return var(x, {0, 1}); });
  check([](const Tensor& x) { return x.var(1, false, true); });
  check([](const Tensor& x) { return x.std(); });
  check([](const Tensor& x) { return x.std(2); });
  for (const double p : {0.5, 1.0, 1.5, 2.0, 3.0, -1.0, kInf, -kInf}) {
    CAPTURE(p);
    check([p](const Tensor& x) { return norm(x, p, {0, 2}); });
    check([p](const Tensor& x) { return x.norm(p); });
  }
  check([](const Tensor& x) { return normalize(x); });
}

TEST_CASE("gradients of scans") {
  for (const int dim : {0, 1, 2}) {
    check([dim](const Tensor& x) { return cumsum(x, dim); });
    check([dim](const Tensor& x) { return cumprod(x, dim); });
    check([dim](const Tensor& x) { return cumprod_exclusive(x, dim); });
    check([dim](const Tensor& x) { return linear_recurrence(x, x * 2 + 1, dim); });
  }
}

TEST_CASE("products of zeros have the right second derivatives") {
  for (const Numbers& values :
       {Numbers{0, 2, 3}, Numbers{0, 2, 0}, Numbers{0, 0, 0}, Numbers{1, 0, 3}}) {
    const Tensor x = leaf(values);
    const auto prod_of = [](const std::vector<Tensor>& in) { return in[0].prod(); };
    const auto cumprod_of = [](const std::vector<Tensor>& in) { return cumprod(in[0], 0); };
    CHECK(gradcheck(prod_of, {x}));
    CHECK(gradgradcheck(prod_of, {x}));
    CHECK(gradcheck(cumprod_of, {x}));
    CHECK(gradgradcheck(cumprod_of, {x}));
  }
}
