// First and second derivatives of joining, rearranging, sorting and indexing against differences.
#include <doctest/doctest.h>

#include <functional>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::indexing;
using namespace retrace::testing;

namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

/// f is made nonlinear, so that second derivatives are not all 0.
void check(const Function& f, const std::vector<Tensor>& inputs) {
  const auto squared = [&](const std::vector<Tensor>& in) {
    const Tensor y = f(in);
    return y * y;
  };
  CHECK(gradcheck(squared, inputs));
  CHECK(gradgradcheck(squared, inputs));
}

Tensor strided() {
  return leaf({1.3, -0.4, 0.7, 2.1, -1.1, 0.5, -0.9, 1.7, 0.3, -2.2, 1.1, -0.6}, {4, 3})
      .slice(0, 0, 4, 2)
      .t();  // [3, 2]
}
Tensor other() { return leaf({0.2, -1.4, 2.7, 1.1, -0.1, 1.5}, {3, 2}); }

}  // namespace

TEST_CASE("gradients of joining and repeating") {
  check([](const auto& in) { return cat({in[0], in[1], in[0]}, 1); }, {strided(), other()});
  check([](const auto& in) { return stack({in[0], in[1]}, 1); }, {strided(), other()});
  check([](const auto& in) { return repeat(in[0], {2, 1, 3}); }, {strided()});
  check([](const auto& in) { return tile(in[0], {2}); }, {strided()});
  check([](const auto& in) { return repeat_interleave(in[0], 2, 0); }, {strided()});
  check([](const auto& in) { return repeat_interleave(in[0], tensor({2, 0, 1}), 0); }, {strided()});
  check(
      [](const auto& in) {
        return meshgrid({in[0].select(1, 0), in[1].select(0, 0)})[0];
      },
      {strided(), other()});
}

TEST_CASE("gradients of rearranging") {
  check([](const auto& in) { return flip(in[0], {0, 1}); }, {strided()});
  check([](const auto& in) { return roll(in[0], {1, -1}, {0, 1}); }, {strided()});
  check([](const auto& in) { return pad(in[0], {1, -1, 0, 2}, 3); }, {strided()});
  check([](const auto& in) { return tril(in[0], -1); }, {strided()});
  check([](const auto& in) { return triu(in[0]); }, {strided()});
  check([](const auto& in) { return in[0].sort(0, true).values; }, {strided()});
  check([](const auto& in) { return in[0].topk(2, 0).values; }, {strided()});
}

TEST_CASE("gradients of indexing") {
  const Tensor list = tensor({2, 0, 2}), places = tensor({{1, 0}, {1, 2}, {1, 0}});
  const Tensor mask = tensor({{true, false}, {true, true}, {false, false}});
  check([=](const auto& in) { return index_select(in[0], 0, list); }, {strided()});
  check([=](const auto& in) { return gather(in[0], 0, places); }, {strided()});
  check([=](const auto& in) { return take_along_dim(in[0], places.narrow(1, 0, 1), 0); },
        {strided()});
  check([=](const auto& in) { return scatter_add(in[0], 0, places, in[1]); }, {strided(), other()});
  check([=](const auto& in) { return scatter(in[0], 0, places, in[1]); }, {strided(), other()});
  check([=](const auto& in) { return index_add(in[0], 0, list, in[1], 3); }, {strided(), other()});
  check([=](const auto& in) { return masked_select(in[0], mask); }, {strided()});
  check([=](const auto& in) { return embedding(in[0], places); }, {strided()});
  // The gradient leaves the padding out although the value does not: only its own derivative
  // agrees.
  CHECK(gradgradcheck(
      [=](const std::vector<Tensor>& in) { return embedding(in[0], places, 0).square(); },
      {strided()}));
  check([=](const auto& in) { return in[0].index({list, tensor({1})}); }, {strided()});
  check([=](const auto& in) { return in[0].index({Slice(), None, tensor({1, 1})}); }, {strided()});
  check([=](const auto& in) { return in[0].index({mask}); }, {strided()});
  check([=](const auto& in) { return index_put(in[0], {mask}, in[1].select(1, 0)); },
        {strided(), other()});
  check(
      [=](const auto& in) {
        return index_put(in[0], {tensor({0, 2})}, in[1].select(0, 0));
      },
      {strided(), other()});
}
