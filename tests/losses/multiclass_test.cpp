// Losses of rows of scores other than cross_entropy, which has classification_test.cpp.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::gradient_of;
using testing::holds;
using testing::kInf;
using testing::kNan;
using testing::leaf;
using testing::message_of;
using testing::Numbers;

double largest(const Tensor& x) { return x.detach().abs().max().item<double>(); }
Tensor doubles(const Numbers& values) { return from_vector(values); }

}  // namespace

TEST_CASE("§18 uniform logits cost log K; the gradient sums to 0 over the classes") {
  CHECK(cross_entropy(zeros({1, 10}, kFloat64), tensor({3})).item<double>() ==
        doctest::Approx(2.302585).epsilon(1e-6));
  const Tensor z = leaf({2, 0.5, -1}, {1, 3});
  const Tensor loss = cross_entropy(z, tensor({0}));
  CHECK(loss.item<double>() == doctest::Approx(0.241311).epsilon(1e-6));
  loss.backward();
  CHECK(std::abs(z.grad().sum().item<double>()) < 1e-16);
  CHECK(z.grad()[0][0].item<double>() < 0);
}

TEST_CASE(
    "§22 smoothed targets: (0.9, 0.05, 0.05) for the others, (0.9333, 0.0333, 0.0333) for all") {
  const Tensor t = tensor({0});
  const auto loss = [&](const Tensor& z, Smoothing scheme) {
    return label_smoothing_ce(z, t, {.epsilon = 0.1, .scheme = scheme});
  };
  const Tensor z = leaf({2, 0.5, -1}, {1, 3});
  CHECK(loss(z, Smoothing::others).item<double>() == doctest::Approx(0.466311).epsilon(1e-6));
  CHECK(loss(z, Smoothing::uniform).item<double>() == doctest::Approx(0.391311).epsilon(1e-6));
  CHECK(loss(z, Smoothing::uniform).equal(cross_entropy(z, t, {.label_smoothing = 0.1})));
  // With equal logits the gradient is 1/3 - q.
  const Tensor equal = leaf({0, 0, 0}, {1, 3});
  const double third = 1 / 3.0;
  CHECK(holds(gradient_of(loss(equal, Smoothing::others), equal, {1}), {1, 3},
              {third - 0.9, third - 0.05, third - 0.05}, 1e-15));
  CHECK(holds(gradient_of(loss(equal, Smoothing::uniform), equal, {1}), {1, 3},
              {third - 0.9 - 0.1 / 3, third - 0.1 / 3, third - 0.1 / 3}, 1e-15));
}

TEST_CASE("§22 the least loss is the entropy of the smoothed target, at a finite gap of logits") {
  const double epsilon = 0.1, k = 10;
  const double share = epsilon / k;
  const double gaps[] = {std::log((1 - epsilon) * (k - 1) / epsilon),
                         std::log((1 - epsilon + share) / share)};
  const double least[] = {0.544805, 0.500288};
  for (const Smoothing scheme : {Smoothing::others, Smoothing::uniform}) {
    const int i = scheme == Smoothing::uniform;
    Tensor z = zeros({1, 10}, kFloat64);
    z.data_ptr<double>()[4] = gaps[i];
    z.requires_grad_();
    const Tensor loss = label_smoothing_ce(z, tensor({4}), {.epsilon = epsilon, .scheme = scheme});
    CHECK(loss.item<double>() == doctest::Approx(least[i]).epsilon(1e-6));
    loss.backward();
    CHECK(largest(z.grad()) < 1e-15);
    for (const double further : {-1.0, 1.0}) {
      Tensor other = zeros({1, 10}, kFloat64);
      other.data_ptr<double>()[4] = gaps[i] + further;
      CHECK(label_smoothing_ce(other, tensor({4}), {.epsilon = epsilon, .scheme = scheme})
                .item<double>() > least[i] + 1e-3);
    }
  }
}

TEST_CASE("uniform smoothing with ε is smoothing of the others with ε (K - 1) / K") {
  manual_seed(1);
  const Tensor z = randn({6, 4}, kFloat64), t = tensor({0, 1, 2, 3, -100, 1});
  for (const double epsilon : {0.0, 0.1, 0.5, 1.0}) {
    const Tensor uniform =
        label_smoothing_ce(z, t, {.epsilon = epsilon, .reduction = Reduction::none});
    const Tensor others = label_smoothing_ce(
        z, t,
        {.epsilon = epsilon * 3 / 4, .scheme = Smoothing::others, .reduction = Reduction::none});
    CHECK(largest(uniform - others) < 1e-14);
    CHECK(uniform[4].item<double>() == 0.0);
  }
  // ε = 1 for the others: the target's own logit should be low.
  const Tensor x = z.clone().requires_grad_();
  label_smoothing_ce(x, t, {.epsilon = 1, .scheme = Smoothing::others}).backward();
  CHECK(x.grad()[0][0].item<double>() > 0);
  CHECK(x.grad()[4].equal(zeros({4}, kFloat64)));
  CHECK(Backprop(label_smoothing_ce(x, t)).tape()[0]->name() == "label_smoothing_ce");
}

TEST_CASE(
    "§19 focal: p_t = 0.9 with γ = 2 costs 0.00105361, with α = 0.25 0.000263401; γ = 0 is "
    "cross-entropy") {
  const Tensor z = from_vector<double>({std::log(18.0), 0, 0}, Shape{1, 3}), t = tensor({0});
  CHECK(focal_loss_multiclass(z, t).item<double>() ==
        doctest::Approx(0.00105361).epsilon(1e-5).scale(0));
  CHECK(focal_loss_multiclass(z, t, {.alpha = doubles({0.25, 1, 1})}).item<double>() ==
        doctest::Approx(0.000263401).epsilon(1e-5).scale(0));
  manual_seed(2);
  const Tensor x = randn({7, 5}, kFloat64), classes = tensor({0, 1, 2, 3, 4, -100, 1});
  for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    const Tensor a = x.clone().requires_grad_(), b = x.clone().requires_grad_();
    const Tensor focal = focal_loss_multiclass(a, classes, {.gamma = 0, .reduction = r});
    const Tensor plain = cross_entropy(b, classes, {.reduction = r});
    CHECK(largest(focal - plain) < 1e-14);
    focal.backward(ones_like(focal));
    plain.backward(ones_like(plain));
    CHECK(largest(a.grad() - b.grad()) < 1e-15);
  }
  // A mean divides by the rows that are kept, not by their α.
  const Tensor alpha = doubles({5, 4, 3, 2, 1});
  const Tensor each =
      focal_loss_multiclass(x, classes, {.alpha = alpha, .reduction = Reduction::none});
  CHECK(focal_loss_multiclass(x, classes, {.alpha = alpha}).item<double>() ==
        doctest::Approx(each.sum().item<double>() / 6).epsilon(1e-14));
}

TEST_CASE("focal: nothing is left of what is certain, and a hopeless row keeps its gradient") {
  for (const double gamma : {0.0, 0.3, 1.0, 2.0}) {
    CAPTURE(gamma);
    for (const DType dtype : {kFloat32, kFloat64}) {
      const Tensor z = tensor({{1e4, -1e4, 0.0}, {1e4, -1e4, 0.0}}, dtype).requires_grad_();
      const Tensor y =
          focal_loss_multiclass(z, tensor({0, 1}), {.gamma = gamma, .reduction = Reduction::none});
      CHECK(y.equal(tensor({0.0, 2e4}, dtype)));
      y.backward(ones_like(y));
      CHECK(z.grad().equal(tensor({{0.0, 0.0, 0.0}, {1.0, -1.0, 0.0}}, dtype)));
    }
    // A class that a mask took out has no share in it.
    const Tensor masked = leaf({1, -kInf, 0}, {1, 3});
    focal_loss_multiclass(masked, tensor({0}), {.gamma = gamma}).backward();
    CHECK(masked.grad()[0][1].item<double>() == 0.0);
    CHECK(isfinite(masked.grad()).all().item<bool>());
  }
}

TEST_CASE("a row that is almost sure has all digits of its loss and of its slopes") {
  struct Sure {
    double gap, loss, slope;  // log(1 + exp(-gap)), 1 / (1 + exp(gap))
  };
  constexpr Sure kSure[] = {{10, 4.5398899216864647e-5, 4.5397868702434395e-5},
                            {15, 3.0590227371372049e-7, 3.0590222692562472e-7},
                            {20, 2.0611536203143808e-9, 2.0611536181902037e-9},
                            {40, 4.2483542552915889e-18, 4.2483542552915889e-18}};
  for (const DType dtype : {kFloat32, kFloat64}) {
    const double tolerance = dtype == kFloat32 ? 6e-7 : 2e-15;
    const auto right = [&](const Tensor& x, double expected) {
      return std::abs(x.item<double>() / expected - 1) <= tolerance;
    };
    for (const Sure& sure : kSure) {
      CAPTURE(sure.gap);
      Tensor z = tensor({{sure.gap, 0.0}}, dtype).requires_grad_();
      const Tensor t = tensor({0}), hard = tensor({{1.0, 0.0}}, dtype);
      CHECK(right(nll_loss(log_softmax(z, 1), t), sure.loss));
      for (const Tensor& loss : {cross_entropy(z, t), cross_entropy(z, hard),
                                 focal_loss_multiclass(z, t, {.gamma = 0})}) {
        CHECK(right(loss, sure.loss));
        const Tensor slopes = gradient_of(loss, z, {1});
        CHECK(right(slopes[0][0], -sure.slope));
        CHECK(right(slopes[0][1], sure.slope));
      }
      const double rest = 2999 * std::exp(-sure.gap);
      for (const std::int64_t place : {0, 1000, 1023, 1024, 2999}) {
        CAPTURE(place);
        Tensor row = zeros({1, 3000}, dtype);
        row[0][place].fill_(sure.gap);
        row.requires_grad_();
        const Tensor one_hot = (row.detach() > 1.0).to(dtype);
        for (const Tensor& loss :
             {cross_entropy(row, tensor({place})), cross_entropy(row, one_hot)}) {
          CHECK(right(loss, std::log1p(rest)));
          CHECK(right(gradient_of(loss, row, {1})[0][place], -rest / (1 + rest)));
        }
      }
    }
  }
}

TEST_CASE("§20 the right class against the best wrong one") {
  const Tensor s = leaf({3, 1, -5, 1, 0.5, -2, -1, 2, 1.5}, {3, 3}), t = tensor({0, 0, 0});
  const Tensor y = multiclass_hinge_cs(s, t, {.reduction = Reduction::none});
  CHECK(holds(y, {0, 0.5, 4}));
  CHECK(holds(gradient_of(y, s, {1, 1, 2}), {3, 3}, {0, 0, 0, -1, 1, 0, -2, 2, 0}));
  const Tensor squared = multiclass_hinge_cs(s, t, {.squared = true, .reduction = Reduction::none});
  CHECK(holds(squared, {0, 0.25, 16}));
  CHECK(holds(gradient_of(squared, s, {1, 1, 1}), {3, 3}, {0, 0, 0, -1, 1, 0, -8, 8, 0}));
  // On the edge there is no slope; of equal wrong scores the first is the winner.
  const Tensor edge = leaf({1, 0, -1, 0, 2, 2}, {2, 3});
  multiclass_hinge_cs(edge, tensor({0, 0}), {.reduction = Reduction::sum}).backward();
  CHECK(holds(edge.grad(), {2, 3}, {0, 0, 0, -1, 1, 0}));
  // Negative wrong scores count as well, unlike in Keras' categorical_hinge.
  CHECK(multiclass_hinge_cs(doubles({-1, -3}), tensor(0)).item<double>() == 0.0);
  CHECK(multiclass_hinge_cs(doubles({-1, -1.5}), tensor(0)).item<double>() == 0.5);
}

TEST_CASE("multi_margin: every wrong class, by the number of classes; of two, half of the other") {
  const Tensor s = leaf({1, 0.5, 3, -2}, {1, 4}), t = tensor({0});
  CHECK(multi_margin_loss(s, t).item<double>() == (0.5 + 3) / 4);
  CHECK(holds(gradient_of(multi_margin_loss(s, t), s, {1}), {1, 4}, {-0.5, 0.25, 0.25, 0}));
  const MultiMarginLossOptions squared = {.p = 2, .weight = doubles({2, 1, 1, 1})};
  CHECK(multi_margin_loss(s, t, squared).item<double>() == 2 * (0.25 + 9) / 4);
  CHECK(holds(gradient_of(multi_margin_loss(s, t, squared), s, {1}), {1, 4}, {-3.5, 0.5, 3, 0}));
  // A score on the margin has no slope.
  const Tensor edge = leaf({1, 0, 0.5}, {1, 3});
  multi_margin_loss(edge, t).backward();
  CHECK(holds(edge.grad(), {1, 3}, {-1 / 3.0, 0, 1 / 3.0}, 1e-15));
  manual_seed(4);
  const Tensor two = randn({8, 2}, kFloat64), classes = tensor({0, 1, 0, 1, 1, 1, 0, 0});
  for (const bool square : {false, true}) {
    const Tensor a =
        multiclass_hinge_cs(two, classes, {.squared = square, .reduction = Reduction::none});
    const Tensor b =
        multi_margin_loss(two, classes, {.p = square ? 2 : 1, .reduction = Reduction::none});
    CHECK(largest(a - b * 2) < 1e-15);
  }
}

TEST_CASE("ignored rows count for nothing whatever they hold; when all are, the mean is NaN") {
  const Tensor x = leaf({kNan, kInf, -kInf, 0, 1, 2}, {2, 3}), t = tensor({-1, 2});
  const auto losses_of = [&](const Tensor& in, const Tensor& to, Reduction r) {
    return std::vector<Tensor>{nll_loss(in, to, {.ignore_index = -1, .reduction = r}),
                               focal_loss_multiclass(in, to, {.ignore_index = -1, .reduction = r}),
                               label_smoothing_ce(in, to, {.ignore_index = -1, .reduction = r})};
  };
  for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    for (const Tensor& y : losses_of(x, t, r)) {
      CHECK(isfinite(y).all().item<bool>());
      if (r == Reduction::none) CHECK(y[0].item<double>() == 0.0);
      x.zero_grad();
      y.backward(ones_like(y));
      CHECK(x.grad()[0].equal(zeros({3}, kFloat64)));
      CHECK(isfinite(x.grad()).all().item<bool>());
      CHECK(largest(x.grad()) > 0);
    }
  }
  const Tensor all = tensor({-1, -1}), some = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  for (const Tensor& y : losses_of(some, all, Reduction::mean)) {
    CHECK(std::isnan(y.item<double>()));
    some.zero_grad();
    y.backward();
    CHECK(some.grad().equal(zeros({2, 3}, kFloat64)));
  }
  for (const Tensor& y : losses_of(some, all, Reduction::sum)) CHECK(y.item<double>() == 0.0);
  for (const Tensor& y : losses_of(some, all, Reduction::none))
    CHECK(y.equal(zeros({2}, kFloat64)));
}

TEST_CASE("NaN scores are seen, not hidden") {
  for (const Numbers& row : {Numbers{0, kNan, 1}, Numbers{kNan, 0, 1}, Numbers{0, 1, kNan}}) {
    const Tensor s = from_vector(row, Shape{1, 3}), t = tensor({0});
    CHECK(std::isnan(multiclass_hinge_cs(s, t).item<double>()));
    CHECK(std::isnan(multi_margin_loss(s, t).item<double>()));
    CHECK(std::isnan(focal_loss_multiclass(s, t).item<double>()));
    CHECK(std::isnan(label_smoothing_ce(s, t).item<double>()));
  }
}

TEST_CASE("places behind the classes, and one sample alone, are rows like others") {
  manual_seed(5);
  const Tensor rows = randn({6, 3}, kFloat64), targets = tensor({0, 1, 2, 2, 1, 0});
  const Tensor places = rows.view({2, 3, 3}).transpose(1, 2);
  const auto each = [](const Tensor& x, const Tensor& t) {
    return std::vector<Tensor>{nll_loss(x, t, {.reduction = Reduction::none}),
                               focal_loss_multiclass(x, t, {.reduction = Reduction::none}),
                               multiclass_hinge_cs(x, t, {.reduction = Reduction::none}),
                               multi_margin_loss(x, t, {.reduction = Reduction::none}),
                               label_smoothing_ce(x, t, {.reduction = Reduction::none})};
  };
  const auto flat = each(rows, targets), deep = each(places, targets.view({2, 3})),
             alone = each(rows[4], targets[4]);
  for (std::size_t i = 0; i < flat.size(); ++i) {
    CHECK(deep[i].sizes() == Shape{2, 3});
    CHECK(deep[i].reshape({6}).equal(flat[i]));
    CHECK(alone[i].equal(flat[i][4]));
  }
}

TEST_CASE("what losses over classes refuse") {
  const Tensor z = zeros({2, 3}), t = tensor({0, 1}), far = tensor({0, 5});
  CHECK_THROWS_WITH_AS(
      focal_loss_multiclass(z, far),
      "focal_loss_multiclass: target 5 (element 1 of [2]) is outside [0, 3) for an "
      "input [2, 3], and not ignore_index -100; check the labels or the last "
      "layer's size",
      IndexError);
  CHECK_THROWS_WITH_AS(multi_margin_loss(z, far),
                       "multi_margin_loss: target 5 (element 1 of [2]) is outside [0, 3) for an "
                       "input [2, 3]; check the labels or the last layer's size",
                       IndexError);
  CHECK_THROWS_AS(multiclass_hinge_cs(z, far), IndexError);
  CHECK_THROWS_AS(multiclass_hinge_cs(z, tensor({0, -100})), IndexError);  // nothing is ignored
  CHECK_THROWS_AS(label_smoothing_ce(z, far), IndexError);
  CHECK_THROWS_AS(focal_loss_multiclass(z, tensor({0, 1, 2})), ShapeError);
  CHECK_THROWS_AS(multi_margin_loss(z, zeros({2})), DTypeError);
  CHECK_THROWS_AS(label_smoothing_ce(z, z), DTypeError);
  CHECK_THROWS_WITH_AS(focal_loss_multiclass(z, t, {.alpha = ones({4})}),
                       "focal_loss_multiclass: alpha is [4] for an input [2, 3] of 3 classes; give "
                       "one for each class",
                       ShapeError);
  CHECK_THROWS_AS(focal_loss_multiclass(z, t, {.alpha = ones({3}, kFloat64)}), DTypeError);
  CHECK_THROWS_WITH_AS(focal_loss_multiclass(z, t, {.gamma = -1}),
                       "focal_loss_multiclass: gamma is -1; it must be at least 0", ValueError);
  CHECK_THROWS_WITH_AS(multi_margin_loss(z, t, {.p = 3}),
                       "multi_margin_loss: p is 3; it must be 1 or 2", ValueError);
  CHECK_THROWS_WITH_AS(label_smoothing_ce(z, t, {.epsilon = -0.1}),
                       "label_smoothing_ce: epsilon is -0.1; it must be in [0, 1]", ValueError);
  CHECK_THROWS_WITH_AS(
      label_smoothing_ce(zeros({2, 1}), tensor({0, 0}), {.scheme = Smoothing::others}),
      "label_smoothing_ce: logits are [2, 1]; the scheme `others` needs two classes or more",
      ShapeError);
  CHECK_THROWS_WITH_AS(multiclass_hinge_cs(zeros({2, 1}), tensor({0, 0})),
                       "multiclass_hinge_cs: the input is [2, 1]; it needs two classes or more",
                       ShapeError);
  CHECK_THROWS_WITH_AS(smoothing_from_string("some"),
                       "label_smoothing_ce: scheme 'some' is not known; use one of 'uniform', "
                       "'others'",
                       ValueError);
  for (const double margin : {kNan, kInf, -kInf}) {
    CHECK(message_of<ValueError>([&] {
            multiclass_hinge_cs(z, t, {.margin = margin});
          }).starts_with("multiclass_hinge_cs: margin is "));
    CHECK(message_of<ValueError>([&] {
            multi_margin_loss(z, t, {.margin = margin});
          }).starts_with("multi_margin_loss: margin is "));
  }
}
