#include <retrace/autograd/autograd.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace {

using namespace retrace;
using doctest::Approx;

}  // namespace

TEST_CASE("cdist agrees with the norm of all differences, for few dims and many") {
  for (const std::int64_t width : {0, 1, 3, 16, 33, 2500}) {
    for (const DType dtype : {kFloat32, kFloat64}) {
      CAPTURE(width);
      Tensor a = random({7, width}, dtype).requires_grad_();
      Tensor b = random({5, width}, dtype).requires_grad_();
      Tensor a2 = a.detach().clone().requires_grad_(), b2 = b.detach().clone().requires_grad_();
      const Tensor y = cdist(a, b), g = random({7, 5}, dtype);
      const Tensor same = norm(a2.unsqueeze(1) - b2.unsqueeze(0), 2, -1);
      const double tolerance = dtype == kFloat32 ? 1e-5 : 1e-12;
      CHECK(allclose(y, same, tolerance, tolerance));
      y.backward(g);
      same.backward(g);
      CHECK(allclose(a.grad(), a2.grad(), tolerance, tolerance));
      CHECK(allclose(b.grad(), b2.grad(), tolerance, tolerance));
    }
  }
}

TEST_CASE("close points far from the origin keep their distance, equal ones have none") {
  Tensor a = tensor({{4096.0, 4096.0}, {4096.0, 4096.5}}, kFloat32).requires_grad_();
  const Tensor y = cdist(a, a);
  CHECK(y.to_vector<double>() == std::vector<double>{0, 0.5, 0.5, 0});
  y.backward(ones({2, 2}));
  CHECK(a.grad().to_vector<double>() == std::vector<double>{0, -2, 0, 2});
}

TEST_CASE("distances of float64 whose squares leave its range") {
  for (const double scale : {0x1p-1000, 0x1p-600, 0x1p600, 0x1p1000}) {
    CAPTURE(scale);
    const Tensor a = (tensor({{3.0, 4.0}}, kFloat64) * scale).requires_grad_();
    const Tensor y = cdist(a, zeros({1, 2}, kFloat64));
    CHECK(y.item<double>() == 5 * scale);
    y.backward();
    CHECK(allclose(a.grad(), tensor({{0.6, 0.8}}, kFloat64), 1e-15, 0));
    CHECK(euclidean_distance(a.detach(), a.detach() * 2).item<double>() == 5 * scale);
  }
}

TEST_CASE("named distances of known points") {
  const Tensor a = tensor({{0.0, 0.0}, {1.0, 0.0}}, kFloat64);
  const Tensor b = tensor({{3.0, 4.0}, {0.0, 2.0}}, kFloat64);
  CHECK(euclidean_distance(a, b)[0].item<double>() == 5);
  CHECK(squared_euclidean_distance(a, b)[0].item<double>() == 25);
  CHECK(manhattan_distance(a, b)[0].item<double>() == 7);
  CHECK(cosine_distance(a, b).to_vector<double>() == std::vector<double>{1, 1});
  CHECK(pairwise_distance(a, b, 1, 0)[0].item<double>() == 7);
  CHECK(pairwise_distance(b, b, 1, 0).equal(zeros({2}, kFloat64)));
  // eps is added to each difference: of equal points sqrt(2) · eps is left.
  CHECK(pairwise_distance(a, a)[0].item<double>() == Approx(std::sqrt(2.0) * 1e-6));
  CHECK_THROWS_WITH_AS(pairwise_distance(a, b, 0), "pairwise_distance: p is 0; it must be positive",
                       ValueError);
  CHECK_THROWS_WITH_AS(euclidean_distance(a, zeros({2, 3}, kFloat64)),
                       "euclidean_distance: the vectors are [2, 2] and [2, 3]; they lie along the "
                       "last dim, which must be of one size",
                       ShapeError);
  CHECK_THROWS_WITH_AS(cdist(a, zeros({2}, kFloat64)),
                       "cdist: the points are [2, 2] and [2]; they must be [N, D] and [M, D]",
                       ShapeError);
}

TEST_CASE("normalize is one node, along the last dim and along others") {
  for (const std::int64_t dim : {0, 1}) {
    Tensor x = tensor({{3.0, 4.0}, {0.0, 0.0}}, kFloat64);
    if (dim == 0) x = x.t().contiguous();
    x.requires_grad_();
    const Tensor y = normalize(x, 2, dim);
    CHECK(y.get().producer->name() == "normalize");
    y.backward(ones({2, 2}, kFloat64));
    const Tensor rows = dim == 0 ? y.t() : y, gradient = dim == 0 ? x.grad().t() : x.grad();
    CHECK(rows[0][0].item<double>() == Approx(0.6));
    CHECK(rows[0][1].item<double>() == Approx(0.8));
    CHECK(rows[1].to_vector<double>() == std::vector<double>{0, 0});
    // (g - y · Σ g y) / 5, and g / eps where there is no direction.
    CHECK(gradient[0][0].item<double>() == Approx((1 - 0.6 * 1.4) / 5));
    CHECK(gradient[0][1].item<double>() == Approx((1 - 0.8 * 1.4) / 5));
    CHECK(gradient[1][0].item<double>() == Approx(1e12));
  }
}
