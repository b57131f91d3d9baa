// Views that are refused, and what second derivatives say of themselves.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

#include <string>

using namespace retrace;
using testing::message_of;

TEST_CASE("a diagonal has two dims") {
  const Tensor x = arange(6).view({2, 3});
  CHECK(x.diagonal(1).equal(tensor({1, 5})));
  const std::string same = "diagonal: dims 0 and 0 of shape [2, 3] are the same; name two";
  CHECK(message_of<IndexError>([&] { x.diagonal(0, 0, 0); }) == same);
  CHECK(
      message_of<IndexError>([&] { x.diagonal(0, 1, -1); }).starts_with("diagonal: dims 1 and -1"));
  CHECK_THROWS_AS(tensor({1, 2}).diagonal(), IndexError);
}

TEST_CASE("a partial derivative says by what it is differentiated") {
  const Tensor x = tensor({0.5, 2.0}).requires_grad_(), y = tensor({1.0, 3.0}).requires_grad_();
  const auto text_of = [](const Tensor& gradient) {
    return std::string(gradient.get().producer->gradient_text());
  };
  CHECK(text_of(grad({tanh(x).sum()}, {x}, {}, false, true)[0]) ==
        "the derivative of dx by g and by x");
  CHECK(text_of(grad({pow(x, y).sum()}, {x}, {}, false, true)[0]) ==
        "the derivative of that by g and by each input");
}
