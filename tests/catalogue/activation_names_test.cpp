// Activations by name, as programs ask for them; and what holds for each of them.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>

using namespace retrace;

namespace {

// The list that the refusal of an unknown name gives.
std::vector<std::string> known_names() {
  std::vector<std::string> names;
  try {
    catalogue::activation("no such thing");
  } catch (const ValueError& error) {
    std::string text = error.what();
    text = text.substr(text.find("give one of ") + 12);
    for (std::size_t comma; (comma = text.find(", ")) != std::string::npos;) {
      names.push_back(text.substr(0, comma));
      text = text.substr(comma + 2);
    }
    names.push_back(text);
  }
  return names;
}

}  // namespace

TEST_CASE("an activation is found by its name, with its defaults") {
  const Tensor x = tensor({-2.0, -0.5, 0.0, 0.5, 2.0});
  CHECK(catalogue::activation("gelu")(x).equal(gelu(x)));
  CHECK(catalogue::activation("selu")(x).equal(selu(x)));
  CHECK(catalogue::activation("leaky_relu")(x).equal(leaky_relu(x)));
  const std::vector<std::string> names = known_names();
  CHECK(names.size() >= 22);
  for (const std::string& name : names) CHECK(catalogue::activation(name)(x).sizes() == x.sizes());
  for (const char* other : {"prelu", "swish_learnable", "softmax", "glu", "exp", ""})
    CHECK_THROWS_AS(catalogue::activation(other), ValueError);
}

TEST_CASE("every activation and its gradient are finite at ±1e4") {
  for (const std::string& name : known_names())
    for (const DType dtype : {kFloat64, kFloat32}) {
      CAPTURE(name);
      const Tensor x = tensor({1e4, -1e4}, dtype).requires_grad_();
      const Tensor y = catalogue::activation(name)(x);
      y.backward(ones({2}, dtype));
      for (const Tensor& t : {y, x.grad()})
        for (const double v : t.to_vector<double>()) CHECK(std::isfinite(v));
    }
}
