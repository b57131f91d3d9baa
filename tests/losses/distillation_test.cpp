#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using namespace retrace;
using doctest::Approx;
using losses::distillation_loss;
using losses::generalized_jsd;

constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

bool all_zero(const Tensor& x) { return count_nonzero(x).item<std::int64_t>() == 0; }

// KL of two lists of logits, by the definition.
double naive_kl(const std::vector<double>& p, const std::vector<double>& q) {
  double sp = 0, sq = 0, kl = 0;
  for (const double v : p) sp += std::exp(v);
  for (const double v : q) sq += std::exp(v);
  for (std::size_t k = 0; k < p.size(); ++k)
    kl += std::exp(p[k]) / sp * ((p[k] - std::log(sp)) - (q[k] - std::log(sq)));
  return kl;
}

}  // namespace

TEST_CASE("§29 a student like its teacher has no soft loss; T² · KL of a known pair") {
  const Tensor student = tensor({{1.0, 2.0, 3.0}}, kFloat64);
  const Tensor teacher = tensor({{3.0, 1.0, 0.0}}, kFloat64), label = tensor({0});
  CHECK(distillation_loss(student, student, label, {.alpha = 1}).item<double>() == 0.0);
  CHECK(distillation_loss(student.to(kFloat32), student.to(kFloat32), label, {.alpha = 1})
            .item<double>() == 0.0);
  CHECK(distillation_loss(student, teacher, label, {.temperature = 2, .alpha = 1}).item<double>() ==
        Approx(2.073816).epsilon(1e-6));
  // α = 0 is the cross-entropy of the labels at T = 1.
  CHECK(distillation_loss(student, teacher, label, {.temperature = 5, .alpha = 0}).item<double>() ==
        Approx(losses::cross_entropy(student, label).item<double>()));
}

TEST_CASE("§29 at high temperature the gradient is the difference of centred logits over K") {
  Tensor student = tensor({{1.0, 2.0, 3.0}}, kFloat64).requires_grad_();
  const Tensor teacher = tensor({{3.0, 1.0, 0.0}}, kFloat64);
  distillation_loss(student, teacher, tensor({0}), {.temperature = 1e4, .alpha = 1}).backward();
  const std::vector<double> d = values(student.grad());
  CHECK(d[0] == Approx(-0.8889).epsilon(1e-3));
  CHECK(d[1] == Approx(0.1111).epsilon(1e-3));
  CHECK(d[2] == Approx(0.7778).epsilon(1e-3));
}

TEST_CASE("distillation_loss reaches its limit for T → ∞ without loss of digits, in float32 too") {
  struct Known {
    double temperature, value, first, second;
  };
  for (const Known& known : {Known{1e2, 0.075448654, -0.05058022351, 0.1511998795},
                             {1e4, 0.07500456174, -0.05000587428, 0.1500121237},
                             {1e8, 0.07500000046, -0.05000000059, 0.1500000012},
                             {1e20, 0.075, -0.05, 0.15}}) {
    CAPTURE(known.temperature);
    for (const DType dtype : {kFloat32, kFloat64}) {
      const double digits = dtype == kFloat32 ? 5e-7 : 1e-9;
      Tensor student = tensor({{0.5, 2.5, 2.75, -1.5, 0.0}}, dtype).requires_grad_();
      const Tensor teacher = tensor({{1.0, 2.0, 3.0, -1.0, 0.5}}, dtype);
      const Tensor loss = distillation_loss(student, teacher, tensor({0}),
                                            {.temperature = known.temperature, .alpha = 1});
      loss.backward();
      CHECK(loss.item<double>() == Approx(known.value).scale(0).epsilon(digits));
      CHECK(student.grad()[0][0].item<double>() == Approx(known.first).scale(0).epsilon(digits));
      CHECK(student.grad()[0][1].item<double>() == Approx(known.second).scale(0).epsilon(digits));
    }
  }
  // The other limit.
  Tensor student = tensor({{1.0, 3.0}}, kFloat32).requires_grad_();
  const Tensor loss = distillation_loss(student, tensor({{2.0, 1.0}}, kFloat32), tensor({0}),
                                        {.temperature = 1e-40, .alpha = 1});
  loss.backward();
  CHECK(loss.item<double>() == Approx(0).epsilon(1e-20));
  CHECK(all_zero(retrace::round(student.grad())));
}

TEST_CASE("distillation_loss: parts, rows that do not count, a teacher that is a constant") {
  Tensor student = random({2, 3, 5}).requires_grad_(), teacher = random({2, 3, 5}).requires_grad_();
  const Tensor labels = tensor({{0, -100, 4}, {-100, 2, -100}});
  const Tensor loss = distillation_loss(student, teacher, labels, {.temperature = 3, .alpha = 0.3});
  double soft = 0;
  for (const auto& [r, t] : {std::pair{0, 0}, {0, 2}, {1, 1}})
    soft += naive_kl(values(teacher[r][t] / 3), values(student[r][t] / 3));
  const double hard = losses::masked_lm_loss(student, labels).item<double>();
  CHECK(loss.item<double>() == Approx(0.3 * 9 * soft / 3 + 0.7 * hard));
  CHECK(loss.get().producer->name() == "distillation_loss");
  loss.backward();
  CHECK(!teacher.grad().defined());
  CHECK(count_nonzero(student.grad()).item<std::int64_t>() == 3 * 5);
  CHECK(all_zero(student.grad()[0][1]));

  // Numbers in rows that do not count may be anything.
  Tensor strange = student.detach().clone();
  strange[0][1].fill_(std::nan(""));
  CHECK(distillation_loss(strange, teacher, labels, {.temperature = 3, .alpha = 0.3})
            .item<double>() == Approx(loss.item<double>()));
}

TEST_CASE("distillation of nothing is 0, with zero gradient") {
  for (const Shape& rows : {Shape{3}, Shape{0}}) {
    Shape sizes = rows;
    sizes.push_back(4);
    Tensor student = random(sizes).requires_grad_();
    const Tensor teacher = random(sizes), none = full(rows, -100, kInt64);
    for (const Tensor& loss :
         {distillation_loss(student, teacher, none), generalized_jsd(student, teacher, none),
          generalized_jsd(student, teacher, none, {.beta = 0}),
          generalized_jsd(student, teacher, none, {.beta = 1})}) {
      CHECK(loss.item<double>() == 0.0);
      student.zero_grad();
      loss.backward();
      CHECK(all_zero(student.grad()));
    }
  }
}

TEST_CASE("generalized_jsd is KL one way at β = 0, the other at β = 1, and between them bounded") {
  Tensor student = random({3, 6}).requires_grad_();
  const Tensor teacher = random({3, 6}), labels = tensor({1, 0, 5});
  double forward = 0, reverse = 0;
  for (std::int64_t r = 0; r < 3; ++r) {
    forward += naive_kl(values(teacher[r]), values(student[r])) / 3;
    reverse += naive_kl(values(student[r]), values(teacher[r])) / 3;
  }
  const auto jsd = [&](double beta) {
    return generalized_jsd(student, teacher, labels, {.beta = beta}).item<double>();
  };
  CHECK(jsd(0) == Approx(forward));
  CHECK(jsd(1) == Approx(reverse));
  // Near its ends the mixture is like β · KL; the halves are the Jensen-Shannon divergence.
  CHECK(jsd(1e-6) / 1e-6 == Approx(forward).epsilon(1e-4));
  CHECK(jsd(1 - 1e-6) / 1e-6 == Approx(reverse).epsilon(1e-4));
  CHECK(jsd(0.5) == Approx(losses::js_divergence(student, teacher).item<double>()));
  CHECK(jsd(0.5) < std::log(2.0));
  CHECK(generalized_jsd(student, student.detach(), labels, {.beta = 0.3}).item<double>() ==
        Approx(0.0));
  CHECK(generalized_jsd(student, teacher, labels, {.reduction = Reduction::sum}).item<double>() ==
        Approx(3 * jsd(0.5)));
}

TEST_CASE(
    "generalized_jsd of nearly equal rows, and with β near 0 or 1, to the digits of float32") {
  struct Known {
    double beta, value, first, last;
  };
  const auto check = [](const Tensor& from, const Tensor& teacher, const Known& known) {
    CAPTURE(known.beta);
    Tensor student = from.clone().requires_grad_();
    const Tensor loss = generalized_jsd(student, teacher, tensor({0}), {.beta = known.beta});
    loss.backward();
    CHECK(loss.item<double>() == Approx(known.value).scale(0).epsilon(1e-6));
    CHECK(student.grad()[0][0].item<double>() == Approx(known.first).scale(0).epsilon(1e-6));
    CHECK(student.grad()[0][2].item<double>() == Approx(known.last).scale(0).epsilon(1e-6));
  };
  const Tensor near = tensor({{0x1p-10, 0.0, -0x1p-11}}, kFloat32), equal = zeros({1, 3});
  check(near, equal, {0, 1.854510363e-7, 2.713159027e-4, -2.170050384e-4});
  check(near, equal, {1e-6, 1.854508509e-13, 2.713156314e-10, -2.170048214e-10});
  check(near, equal, {0.5, 4.636455238e-8, 6.783503708e-5, -5.425014828e-5});
  check(near, equal, {1, 1.854653914e-7, 2.713644191e-4, -2.169961679e-4});
  const Tensor a = tensor({{0.0, 1.0, 2.0}}, kFloat32), b = tensor({{2.0, 1.0, 0.0}}, kFloat32);
  check(a, b, {1e-6, 1.150418679e-6, -5.752081577e-7, 5.752086683e-7});
  check(a, b, {0.999999, 1.150418679e-6, -2.836337337e-7, 5.651734276e-7});
}

TEST_CASE("derivatives of divergences from a teacher, first and second, of close rows and others") {
  for (const double distance : {1.0, 1e-2}) {
    const Tensor teacher = random({2, 4}), labels = tensor({1, 3});
    const std::vector<Tensor> student = {(teacher + random({2, 4}) * distance).requires_grad_()};
    for (const double beta : {0.0, 0.3, 1.0}) {
      const auto f = [&](const std::vector<Tensor>& in) {
        return generalized_jsd(in[0], teacher, labels, {.beta = beta, .temperature = 1.5});
      };
      CHECK(gradcheck(f, student));
      CHECK(gradgradcheck(f, student));
    }
  }
}

TEST_CASE("divergences from a teacher stay finite at ±1e4 and where a class is impossible") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const double beta : {0.0, 0.1, 0.5, 1.0}) {
      CAPTURE(beta);
      Tensor student = tensor({{1e4, -1e4, 0.0}, {0.0, 1.0, 2.0}}, dtype).requires_grad_();
      const Tensor teacher = tensor({{-1e4, 1e4, 0.0}, {2.0, 1.0, 0.0}}, dtype);
      const Tensor loss = generalized_jsd(student, teacher, tensor({0, 1}), {.beta = beta});
      CHECK(std::isfinite(loss.item<double>()));
      loss.backward();
      CHECK(all(isfinite(student.grad())).item<bool>());
    }
    // Both rule the first class out.
    Tensor student = tensor({{-kInf, 1.0, 2.0}}, dtype).requires_grad_();
    const Tensor teacher = tensor({{-kInf, 2.0, 1.0}}, dtype);
    for (const double beta : {0.0, 0.5, 1.0}) {
      CAPTURE(beta);
      const Tensor loss = generalized_jsd(student, teacher, tensor({1}), {.beta = beta});
      student.zero_grad();
      loss.backward();
      CHECK(std::isfinite(loss.item<double>()));
      CHECK(all(isfinite(student.grad())).item<bool>());
      CHECK(student.grad()[0][0].item<double>() == 0.0);
    }
    Tensor logits = tensor({{1e4, -1e4}}, dtype).requires_grad_();
    distillation_loss(logits, tensor({{-1e4, 1e4}}, dtype), tensor({1})).backward();
    CHECK(all(isfinite(logits.grad())).item<bool>());
  }
}

TEST_CASE("distillation_loss and generalized_jsd refuse what they cannot compare") {
  const Tensor a = zeros({2, 3}), labels = tensor({0, 1});
  CHECK_THROWS_WITH_AS(distillation_loss(a, zeros({2, 4}), labels),
                       "distillation_loss: student is [2, 3], teacher [2, 4]; they must be equal, "
                       "nothing is broadcast",
                       ShapeError);
  CHECK_THROWS_WITH_AS(distillation_loss(a, a, labels, {.temperature = 0}),
                       "distillation_loss: temperature is 0; it must be positive", ValueError);
  CHECK_THROWS_WITH_AS(distillation_loss(a, a, labels, {.alpha = 1.5}),
                       "distillation_loss: alpha is 1.5; it must be in [0, 1]", ValueError);
  CHECK_THROWS_WITH_AS(distillation_loss(a, a, tensor({0, 3})),
                       "distillation_loss: labels [2] hold 3 at [1], outside the vocabulary [0, 3) "
                       "of the logits [2, 3]; check the tokenizer or the last layer's size",
                       IndexError);
  CHECK_THROWS_WITH_AS(generalized_jsd(a, a, labels, {.beta = -0.1}),
                       "generalized_jsd: beta is -0.1; it must be in [0, 1]", ValueError);
  CHECK_THROWS_WITH_AS(generalized_jsd(a, a, labels, {.reduction = Reduction::none}),
                       "generalized_jsd: the rows are always joined; use reduction 'mean' or 'sum'",
                       ValueError);
  CHECK_THROWS_WITH_AS(generalized_jsd(a, a, zeros({3}, kInt64)),
                       "generalized_jsd: labels are [3] for logits [2, 3]; they must be [2], one "
                       "for each position",
                       ShapeError);
}
