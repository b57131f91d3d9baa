#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

Tensor random_matrix(const Shape& sizes, std::uint64_t seed = 0, DType dtype = kFloat64) {
  Generator generator(seed);
  return randn(sizes, dtype, &generator);
}

double largest(const Tensor& x) { return x.abs().max().item<double>(); }

// The definition, op by op.
Tensor by_definition(Tensor x, const optim::NewtonSchulzOptions& o) {
  const bool tall = x.size(0) > x.size(1);
  if (tall) x = x.t();
  const double norm = x.square().sum().sqrt().item<double>();
  x = x / (o.eps_mode == optim::EpsMode::add ? norm + o.eps : std::max(norm, o.eps));
  for (std::int64_t step = 0; step < o.steps; ++step) {
    const Tensor a = x.matmul(x.t());
    const Tensor b = a * o.coefficients[1] + a.matmul(a) * o.coefficients[2];
    x = x * o.coefficients[0] + b.matmul(x);
  }
  return tall ? x.t() : x;
}

}  // namespace

TEST_CASE("newton_schulz is what its definition says, wide, tall, square, thin and strided") {
  for (const Shape& sizes : {Shape{3, 3}, {2, 7}, {7, 2}, {1, 5}, {5, 1}, {1, 1}, {40, 33}}) {
    CAPTURE(sizes.str());
    for (const optim::NewtonSchulzOptions& o : {optim::NewtonSchulzOptions{},
                                                {.steps = 1},
                                                {.eps = 0.5, .eps_mode = optim::EpsMode::add},
                                                {.coefficients = {1.5, -0.5, 0}, .steps = 12}}) {
      const Tensor x = random_matrix(sizes);
      CHECK(largest(optim::newton_schulz(x, o) - by_definition(x, o)) < 1e-12);
      CHECK(optim::newton_schulz(x.t().contiguous().t(), o).equal(optim::newton_schulz(x, o)));
      CHECK(largest(optim::newton_schulz(x.to(kFloat32), o).to(kFloat64) - by_definition(x, o)) <
            1e-4);
    }
  }
}

TEST_CASE("newton_schulz makes rows orthogonal") {
  // With these coefficients the iteration converges: to the orthogonal factor itself.
  const Tensor q = optim::newton_schulz(random_matrix({4, 9}),
                                        {.coefficients = {1.875, -1.25, 0.375}, .steps = 40});
  CHECK(largest(q.matmul(q.t()) - eye(4, kFloat64)) < 1e-12);
  // With Muon's own it does not, but comes near in five steps.
  const Tensor near = optim::newton_schulz(random_matrix({4, 9}));
  const Tensor lengths = near.square().sum(1).sqrt();
  CHECK(lengths.min().item<double>() > 0.6);
  CHECK(lengths.max().item<double>() < 1.3);
}

TEST_CASE("newton_schulz of the largest and smallest matrices") {
  const auto off = [](double value, DType dtype, double eps = 1e-7) {
    const Tensor all = optim::newton_schulz(full({2, 2}, value, dtype), {.eps = eps});
    return largest(all.to(kFloat64) - optim::newton_schulz(ones({2, 2}, kFloat64)));
  };
  CHECK(optim::newton_schulz(ones({2, 2})).abs().min().item<double>() > 0.3);
  CHECK(off(3e38, kFloat32) < 1e-5);
  CHECK(off(1e200, kFloat64) < 1e-12);
  CHECK(off(1e-40, kFloat32, 1e-44) < 1e-4);
  CHECK(off(1e-200, kFloat64, 1e-300) < 1e-12);
  // Below eps it is divided by that.
  CHECK(largest(optim::newton_schulz(full({2, 2}, 1e-310, kFloat64))) < 1e-299);
}

TEST_CASE("newton_schulz of zeros, of nothing, and what it refuses") {
  CHECK(optim::newton_schulz(zeros({3, 2})).equal(zeros({3, 2})));
  CHECK(optim::newton_schulz(zeros({0, 2})).sizes() == Shape{0, 2});
  CHECK(says(message_of<ShapeError>([] {
               optim::newton_schulz(zeros({2, 3, 4}));
             }),
             "newton_schulz: the matrix is float32 [2, 3, 4]"));
  CHECK(!message_of<DTypeError>([] { optim::newton_schulz(zeros({2, 3}, kInt64)); }).empty());
  CHECK(!message_of<ValueError>([] { optim::newton_schulz(Tensor()); }).empty());
  CHECK(says(message_of<ValueError>([] {
               optim::newton_schulz(zeros({2, 3}), {.steps = 0});
             }),
             "newton_schulz: steps is 0"));
  CHECK(says(message_of<ValueError>([] {
               optim::newton_schulz(zeros({2, 3}), {.eps = 0});
             }),
             "newton_schulz: eps is 0"));
  CHECK(says(message_of<ValueError>([] {
               optim::newton_schulz(zeros({2, 3}), {.eps = 1e-46});
             }),
             "newton_schulz: eps is 1e-46, which is 0 as float32"));
  CHECK(
      optim::newton_schulz(zeros({2, 3}, kFloat64), {.eps = 1e-46}).equal(zeros({2, 3}, kFloat64)));
}

TEST_CASE("Muon's step is newton_schulz of the momentum") {
  for (const Shape& sizes : {Shape{6, 2}, {2, 6}}) {
    const Tensor start = random_matrix(sizes, 1), g1 = random_matrix(sizes, 2),
                 g2 = random_matrix(sizes, 3);
    const double scale =
        std::sqrt(std::max(1.0, static_cast<double>(sizes[0]) / static_cast<double>(sizes[1])));
    for (const bool nesterov : {false, true}) {
      Tensor p = start.clone().requires_grad_();
      optim::Muon muon({p},
                       {.lr = 0.5, .weight_decay = 0.1, .momentum = 0.75, .nesterov = nesterov});
      Tensor expected = start, m = zeros_like(start);
      for (const Tensor& g : {g1, g2}) {
        p.set_grad(g);
        muon.step();
        m = m * 0.75 + g * 0.25;
        const Tensor u = nesterov ? m * 0.75 + g * 0.25 : m;
        expected = expected * 0.95 - optim::newton_schulz(u) * (0.5 * scale);
      }
      CHECK(largest(p - expected) < 1e-12);
    }
  }
}

TEST_CASE("Muon takes matrices of several sizes and dtypes that do not lie row-major") {
  Tensor a = random_matrix({5, 3}), b = random_matrix({3, 5}, 1).t(),
         c = random_matrix({20, 30}, 2, kFloat32), d = zeros({0, 4}), e = random_matrix({2, 3}, 3);
  std::vector<Tensor> together = {a, b, c, d, e}, alone;
  for (const Tensor& p : together) alone.push_back(p.clone());
  for (std::vector<Tensor>* all : {&together, &alone})
    for (Tensor& p : *all) {
      p.requires_grad_();
      p.set_grad(ones_like(p));
    }
  optim::Muon(together).step();
  for (std::size_t i = 0; i < together.size(); ++i) {
    optim::Muon({alone[i]}).step();
    CHECK(together[i].equal(alone[i]));
  }
  CHECK(!a.equal(random_matrix({5, 3})));
}

TEST_CASE("Muon refuses what is not a matrix, and says who takes it") {
  const Tensor matrix = zeros({2, 2});
  for (const Shape& sizes : {Shape{}, {3}, {2, 3, 4}}) {
    const std::string message = message_of<ShapeError>([&] {
      optim::Muon({matrix, zeros(sizes)});
    });
    CHECK(says(message, "Muon: parameter 1 has shape " + sizes.str()));
    CHECK(says(message, "AdamW"));
  }
}

TEST_CASE("Muon has the same bits with one and two threads") {
  const int threads = num_threads();
  std::vector<Tensor> results;
  for (const int n : {1, 2}) {
    set_num_threads(n);
    Tensor p = random_matrix({300, 200}, 4, kFloat32).requires_grad_();
    optim::Muon muon({p}, {.lr = 0.1});
    for (std::uint64_t step = 0; step < 2; ++step) {
      p.set_grad(random_matrix({300, 200}, 5 + step, kFloat32));
      muon.step();
    }
    results.push_back(p.detach().clone());
  }
  set_num_threads(threads);
  CHECK(results[0].equal(results[1]));
}

TEST_CASE("a NaN in a gradient reaches the whole matrix") {
  Tensor p = ones({2, 3}).requires_grad_();
  optim::Muon muon({p});
  p.set_grad(tensor({{1.0, 2.0, 3.0}, {1.0, std::nan(""), 0.0}}));
  muon.step();
  CHECK(isnan(p).all().item<bool>());
}
