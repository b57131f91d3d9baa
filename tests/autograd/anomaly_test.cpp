// Anomaly mode: the first NaN is blamed on the op that made it, by name, module and line.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tensor/scope.h>
#include <retrace/tests/messages.h>

#include <cmath>
#include <limits>
#include <string>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

struct Named final : Place {
  explicit Named(std::string p) : name(std::move(p)) {}
  std::string path() const override { return name; }
  std::string name;
};

struct Bad final : NodeOf<Bad> {
  static constexpr std::string_view op = "bad", formula = "y = x", gradient = "dx = 0 / 0";
  void backward(const Tensor& g, Gradients& grads) override {
    grads.give(0, g * std::numeric_limits<double>::quiet_NaN());
  }
};

int line_of_bad = 0;
Tensor bad(const Tensor& x) {
  line_of_bad = __LINE__ + 1;
  return record<Bad>(x.detach().clone(), {&x}, [](Bad&) {});
}

}  // namespace

TEST_CASE("a NaN made by a forward op names the op, the element, its inputs and the line") {
  const AnomalyMode anomaly;
  const Tensor x = leaf({{1.0, 2.0}, {kInfinity, 4.0}});
  int line = 0;
  const std::string message = message_of([&] {
    line = __LINE__ + 1;
    x - x;
  });
  CHECK(message.starts_with("sub: "));
  CHECK(says(message, "[2, 2]"));
  CHECK(says(message, "element 2"));
  CHECK(says(message, "from 1 to inf"));
#ifdef RETRACE_HAVE_LIBDW
  CHECK(says(message, "anomaly_test.cpp:" + std::to_string(line)));
#endif
}

TEST_CASE("a NaN that was there before is told from one that was made") {
  const AnomalyMode anomaly;
  const Tensor data = doubles({1.0, std::nan(""), 3.0});
  CHECK(says(message_of([&] { data * 2.0; }), "1 NaN"));
}

TEST_CASE("unrecorded ops are watched as well, whole numbers are not") {
  const AnomalyMode anomaly;
  const NoGradGuard no_grad;
  const Tensor zero = doubles({0.0});
  const std::string message = message_of([&] { zero / zero; });
  CHECK(message.starts_with("div: "));
  CHECK(says(message, "[1] from 0 to 0, float64 [1] from 0 to 0"));
  CHECK((tensor({1, 2}) + tensor({3, 4})).equal(tensor({4, 6})));
  CHECK(std::isinf((doubles({1.0}) / zero).item<double>()));  // infinity is no NaN
}

TEST_CASE("inside a module the message begins with its path") {
  const AnomalyMode anomaly;
  const Named block("block0.norm");
  const PlaceScope scope(block);
  const Tensor zero = leaf({0.0});
  CHECK(message_of([&] { zero / zero; }).starts_with("block0.norm: div: "));
}

TEST_CASE("a NaN made going back names the forward op, its module and line, and its rule") {
  const Tensor x = leaf({0.0, 4.0});
  const AnomalyMode anomaly;
  Tensor y;
  {
    const Named block("encoder.fc1");
    const PlaceScope scope(block);
    y = bad(x);  // its caller is the line in bad that records
  }
  const int line = line_of_bad;
  const std::string message = message_of([&] { (y * 2.0).sum().backward(); });
  CHECK(message.starts_with("encoder.fc1: backward of bad: "));
  CHECK(says(message, "gradient of input 0 [2]"));
  CHECK(says(message, "element 0"));
  CHECK(says(message, "dx = 0 / 0"));
#ifdef RETRACE_HAVE_LIBDW
  CHECK(says(message, "anomaly_test.cpp:" + std::to_string(line)));
#endif
  CHECK(!x.grad().defined());
}

TEST_CASE("the rule's own ops are not blamed for it") {
  // sqrt(0) · 0: the derivative of sqrt is infinite, times 0.
  const Tensor x = leaf({0.0, 4.0});
  const AnomalyMode anomaly;
  const Tensor loss = (sqrt(x) * 0.0).sum();
  CHECK(message_of([&] { loss.backward(); }).starts_with("backward of sqrt: "));
  // The same when backward is recorded.
  const Tensor again = (sqrt(x) * 0.0).sum();
  CHECK(message_of([&] { grad({again}, {x}, {}, false, true); }).starts_with("backward of sqrt: "));
}

TEST_CASE("infinities that meet and cancel are found at the sum") {
  const Tensor x = leaf({1.0});
  const AnomalyMode anomaly;
  const Tensor y = x * 1.0;
  const Tensor loss = (y * doubles({kInfinity})).sum() * 1.0 + (y * doubles({-1.0})).sum();
  Tensor seen;
  CHECK_NOTHROW(grad({loss}, {x}, {}, true));  // inf - 1
  const Tensor u = y + y * 0.0;
  u.detach();
  const Tensor both = (y * doubles({1e308})).sum() * 10.0;
  const Tensor other = (y * doubles({-1e308})).sum() * 10.0;
  CHECK_NOTHROW(both.backward({}, true));
  x.get().grad = nullptr;
  const std::string message = message_of([&] {
    Backprop({both, other}, {doubles(10.0), doubles(10.0)}, nullptr, true, false).run();
  });
  CHECK(says(message, "summed with those of its other uses"));
}

TEST_CASE("without the mode nothing is checked, and it ends with its scope") {
  const Tensor zero = leaf({0.0});
  {
    const AnomalyMode anomaly;
    CHECK(AnomalyMode::is_enabled());
    const AnomalyMode off(false);
    CHECK(!AnomalyMode::is_enabled());
    CHECK_NOTHROW(zero / zero);
  }
  CHECK(!AnomalyMode::is_enabled());
  CHECK(std::isnan((zero / zero).item<double>()));
  bad(zero).sum().backward();
  CHECK(std::isnan(zero.grad().item<double>()));
}

TEST_CASE("results are the same bits with the mode on") {
  const auto gradient = [](bool watched) {
    const AnomalyMode anomaly(watched);
    const Tensor x = leaf({{0.3, -0.7}, {1.1, 2.3}});
    const Tensor y = x * x + x * 3.0;
    (y * y - x).sum().backward();
    return x.grad();
  };
  CHECK(gradient(true).equal(gradient(false)));
}
