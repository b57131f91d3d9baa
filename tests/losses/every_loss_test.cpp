// What holds for every loss of this list: finite at any size, reductions that agree, nothing of
// nothing, one way to refuse.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::message_of;

// Targets that the numbers of x miss by far.
Tensor wrong_signs(const Tensor& x) {
  return where(x.detach() > 0, full_like(x, -1), ones_like(x));
}
Tensor wrong_labels(const Tensor& x) { return (wrong_signs(x) + 1) * 0.5; }
Tensor classes(const Tensor& x) { return zeros({x.size(0)}, kInt64); }

struct Loss {
  const char* name;
  Tensor (*call)(const Tensor& x, Reduction);  // x is [N, 3]
  bool by_row = false;                         // one value for each row, else for each element
};

const Loss kLosses[] = {
    {"mse_loss", [](const Tensor& x, Reduction r) { return mse_loss(x, zeros_like(x), {r}); }},
    {"l1_loss", [](const Tensor& x, Reduction r) { return l1_loss(x, zeros_like(x), {r}); }},
    {"huber_loss",
     [](const Tensor& x, Reduction r) { return huber_loss(x, zeros_like(x), {.reduction = r}); }},
    {"smooth_l1_loss",
     [](const Tensor& x, Reduction r) {
       return smooth_l1_loss(x, zeros_like(x), {.reduction = r, .beta = 0});
     }},
    {"log_cosh_loss",
     [](const Tensor& x, Reduction r) { return log_cosh_loss(x, zeros_like(x), {r}); }},
    {"poisson_nll_loss",
     [](const Tensor& x, Reduction r) {
       return poisson_nll_loss(x.abs(), ones_like(x) * 3,
                               {.log_input = false, .full = true, .reduction = r});
     }},
    {"gaussian_nll_loss",
     [](const Tensor& x, Reduction r) {
       return gaussian_nll_loss(x, zeros_like(x), x.detach().abs() * 0, {.reduction = r});
     }},
    {"quantile_loss",
     [](const Tensor& x, Reduction r) { return quantile_loss(x, zeros_like(x), 0.9, {r}); }},
    {"quantile_loss",
     [](const Tensor& x, Reduction r) {
       return quantile_loss(x, zeros({x.size(0)}, x.dtype()), {0.1, 0.5, 0.9}, {r});
     }},
    {"bce_loss",
     [](const Tensor& x, Reduction r) {
       return bce_loss(x.sigmoid(), wrong_labels(x), {.reduction = r});
     }},
    {"bce_with_logits",
     [](const Tensor& x, Reduction r) {
       return bce_with_logits(x, wrong_labels(x), {.reduction = r});
     }},
    {"focal_loss_binary",
     [](const Tensor& x, Reduction r) {
       return focal_loss_binary(x, wrong_labels(x), {.gamma = 0.5, .reduction = r});
     }},
    {"hinge_loss",
     [](const Tensor& x, Reduction r) {
       return hinge_loss(x, wrong_signs(x), {.squared = true, .reduction = r});
     }},
    {"soft_margin_loss",
     [](const Tensor& x, Reduction r) { return soft_margin_loss(x, wrong_signs(x), {r}); }},
    {"hinge_embedding_loss",
     [](const Tensor& x, Reduction r) {
       return hinge_embedding_loss(x, wrong_signs(x), {.reduction = r});
     }},
    {"multilabel_soft_margin_loss",
     [](const Tensor& x, Reduction r) {
       return multilabel_soft_margin_loss(x, wrong_labels(x), {.reduction = r});
     },
     true},
    {"margin_ranking_loss",
     [](const Tensor& x, Reduction r) {
       return margin_ranking_loss(x, -x, wrong_signs(x), {.reduction = r});
     }},
    {"cross_entropy",
     [](const Tensor& x, Reduction r) { return cross_entropy(x, classes(x), {.reduction = r}); },
     true},
    {"nll_loss",
     [](const Tensor& x, Reduction r) {
       return nll_loss(log_softmax(x, 1), classes(x), {.reduction = r});
     },
     true},
    {"label_smoothing_ce",
     [](const Tensor& x, Reduction r) {
       return label_smoothing_ce(x, classes(x), {.scheme = Smoothing::others, .reduction = r});
     },
     true},
    {"focal_loss_multiclass",
     [](const Tensor& x, Reduction r) {
       return focal_loss_multiclass(x, classes(x), {.gamma = 0.5, .reduction = r});
     },
     true},
    {"multiclass_hinge_cs",
     [](const Tensor& x, Reduction r) {
       return multiclass_hinge_cs(x, classes(x), {.squared = true, .reduction = r});
     },
     true},
    {"multi_margin_loss",
     [](const Tensor& x, Reduction r) {
       return multi_margin_loss(x, classes(x), {.p = 2, .reduction = r});
     },
     true},
    {"kl_div",
     [](const Tensor& x, Reduction r) {
       return kl_div(log_softmax(x, 1), log_softmax(-x.detach(), 1),
                     {.reduction = r, .log_target = true});
     }},
    {"js_divergence",
     [](const Tensor& x, Reduction r) { return js_divergence(x, -x, {.reduction = r}); }, true},
    {"cosine_embedding_loss",
     [](const Tensor& x, Reduction r) {
       return cosine_embedding_loss(x, -flip(x, {1}), full({x.size(0)}, -1, x.dtype()),
                                    {.reduction = r});
     },
     true},
};

bool all_finite(const Tensor& x) { return isfinite(x).all().item<bool>(); }

}  // namespace

TEST_CASE("every loss is finite, and so is its gradient, at 1e4, -1e4 and 0") {
  for (const Loss& loss : kLosses) {
    for (const DType dtype : {kFloat32, kFloat64}) {
      for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
        CAPTURE(loss.name);
        const Tensor x = tensor({{1e4, -1e4, 0.0},
                                 {-1e4, 1e4, 1e4},
                                 {0.0, 0.0, 0.0},
                                 {-1e4, -1e4, -1e4},
                                 {1e4, 0.0, -1e4}},
                                dtype)
                             .requires_grad_();
        const Tensor y = loss.call(x, reduction);
        CHECK(all_finite(y));
        CHECK(y.dtype() == dtype);
        y.backward(ones_like(y));
        CHECK(all_finite(x.grad()));
      }
    }
  }
}

TEST_CASE("mean and sum are those of the values") {
  manual_seed(3);
  const Tensor x = randn({5, 3}, kFloat64);
  for (const Loss& loss : kLosses) {
    CAPTURE(loss.name);
    const Tensor each = loss.call(x, Reduction::none);
    CHECK(each.sizes() == (loss.by_row ? Shape{5} : Shape{5, 3}));
    const double sum = each.sum().item<double>(), n = static_cast<double>(each.numel());
    CHECK(sum != 0.0);
    CHECK(loss.call(x, Reduction::sum).item<double>() == doctest::Approx(sum).epsilon(1e-14));
    CHECK(loss.call(x, Reduction::mean).item<double>() == doctest::Approx(sum / n).epsilon(1e-14));
    CHECK(loss.call(x, Reduction::mean).dim() == 0);
  }
}

TEST_CASE("of an empty batch: no values, sum 0, mean NaN, and a gradient without elements") {
  for (const Loss& loss : kLosses) {
    CAPTURE(loss.name);
    const Tensor x = zeros({0, 3}, kFloat64).requires_grad_();
    const Tensor each = loss.call(x, Reduction::none);
    CHECK(each.sizes() == (loss.by_row ? Shape{0} : Shape{0, 3}));
    const Tensor sum = loss.call(x, Reduction::sum), mean = loss.call(x, Reduction::mean);
    CHECK(sum.item<double>() == 0.0);
    CHECK(std::isnan(mean.item<double>()));
    for (const Tensor& y : {each, sum, mean}) {
      y.backward(ones_like(y));
      CHECK(x.grad().sizes() == Shape{0, 3});
    }
  }
}

TEST_CASE("batchmean is kl_div's alone") {
  const Tensor x = zeros({2, 3}).requires_grad_();
  for (const Loss& loss : kLosses) {
    CAPTURE(loss.name);
    const std::string name = loss.name;
    const std::string message = message_of<ValueError>([&] { loss.call(x, Reduction::batchmean); });
    if (name == "kl_div") {
      CHECK(message.empty());
    } else {
      CHECK(message == name + ": reduction 'batchmean' is for kl_div; use 'none', 'mean' or 'sum'");
    }
  }
}

TEST_CASE("the same bits with one thread and two") {
  const int before = num_threads();
  manual_seed(5);
  const Tensor x0 = randn({50000, 3});
  for (const Loss& loss : kLosses) {
    CAPTURE(loss.name);
    Tensor results[2][2];
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      const Tensor x = x0.clone().requires_grad_();
      const Tensor y = loss.call(x, Reduction::mean);
      y.backward();
      results[threads - 1][0] = y.detach();
      results[threads - 1][1] = x.grad();
    }
    CHECK(results[0][0].equal(results[1][0]));
    CHECK(results[0][1].equal(results[1][1]));
  }
  set_num_threads(before);
}

TEST_CASE("§39 the table of losses: each is there and answers a question of its own") {
  std::vector<std::string> questions;
  for (const Loss& loss : kLosses) {
    const catalogue::Row* row = catalogue::find(loss.name);
    REQUIRE_MESSAGE(row != nullptr, loss.name);
    if (questions.empty() || questions.back() != row->question) questions.push_back(row->question);
  }
  std::sort(questions.begin(), questions.end());
  const auto twice = std::adjacent_find(questions.begin(), questions.end());
  CHECK_MESSAGE(twice == questions.end(), "asked twice: " << *twice);
}
