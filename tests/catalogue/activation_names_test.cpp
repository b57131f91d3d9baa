// Activations by name, as programs ask for them; and what holds for each of them.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include <fmt/ranges.h>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>

using namespace retrace;

TEST_CASE("an activation is found by its name, with its defaults") {
  const Tensor x = tensor({-2.0, -0.5, 0.0, 0.5, 2.0});
  CHECK(nn::activation("gelu")(x).equal(gelu(x)));
  CHECK(nn::activation("selu")(x).equal(selu(x)));
  CHECK(nn::activation("leaky_relu")(x).equal(leaky_relu(x)));
  for (const std::string& name : nn::activation_names())
    CHECK(nn::activation(name)(x).sizes() == x.sizes());
  for (const char* other : {"prelu", "swish_learnable", "softmax", "glu", "exp", ""})
    CHECK_THROWS_AS(nn::activation(other), ValueError);
}

TEST_CASE("every activation of one tensor has its name") {
  std::vector<std::string> names;
  for (const catalogue::Row& row : catalogue::rows())
    if (row.family == "activation" && row.samples[0].inputs.size() == 1) names.push_back(row.name);
  CHECK_MESSAGE(nn::activation_names() == names,
                "the catalogue has " << fmt::format("{}", fmt::join(names, ", "))
                                     << "; nn/by_name.cpp "
                                     << fmt::format("{}", fmt::join(nn::activation_names(), ", "))
                                     << "; give each a line there, in the same order");
}

TEST_CASE("every activation and its gradient are finite at ±1e4") {
  for (const std::string& name : nn::activation_names())
    for (const DType dtype : {kFloat64, kFloat32}) {
      CAPTURE(name);
      const Tensor x = tensor({1e4, -1e4}, dtype).requires_grad_();
      const Tensor y = nn::activation(name)(x);
      y.backward(ones({2}, dtype));
      for (const Tensor& t : {y, x.grad()})
        for (const double v : t.to_vector<double>()) CHECK(std::isfinite(v));
    }
}
