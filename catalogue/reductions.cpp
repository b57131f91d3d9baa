#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/scan.h>
#include <retrace/catalogue/samples.h>
#include <retrace/catalogue/scenes.h>

namespace retrace::catalogue {
namespace {

Results call_sum(const Call& c) {
  return call_reduction(
      c, [](const Tensor& x) { return sum(x); },
      [](const Tensor& x, std::int64_t dim, bool keep) { return sum(x, dim, keep); },
      [](const Tensor& x, const Shape& dims, bool keep) { return sum(x, dims, keep); });
}

Results call_mean(const Call& c) {
  return call_reduction(
      c, [](const Tensor& x) { return mean(x); },
      [](const Tensor& x, std::int64_t dim, bool keep) { return mean(x, dim, keep); },
      [](const Tensor& x, const Shape& dims, bool keep) { return mean(x, dims, keep); });
}

Results call_prod(const Call& c) {
  return c.has("dim") ? prod(c["x"], c.integer("dim"), c.flag("keepdim", false)) : prod(c["x"]);
}

Results call_logsumexp(const Call& c) {
  const bool keep = c.flag("keepdim", false);
  return c.is_list("dim") ? logsumexp(c["x"], c.list("dim"), keep)
                          : logsumexp(c["x"], c.integer("dim"), keep);
}

Results call_var(const Call& c) {
  const bool unbiased = c.flag("unbiased", true);
  return call_reduction(
      c, [=](const Tensor& x) { return var(x, unbiased); },
      [=](const Tensor& x, std::int64_t dim, bool keep) { return var(x, dim, unbiased, keep); },
      [=](const Tensor& x, const Shape& dims, bool keep) { return var(x, dims, unbiased, keep); });
}

Results call_std(const Call& c) {
  const bool unbiased = c.flag("unbiased", true);
  return call_reduction(
      c, [=](const Tensor& x) { return std(x, unbiased); },
      [=](const Tensor& x, std::int64_t dim, bool keep) { return std(x, dim, unbiased, keep); },
      [=](const Tensor& x, const Shape& dims, bool keep) { return std(x, dims, unbiased, keep); });
}

Results call_norm(const Call& c) {
  const double p = c.number("p", 2);
  return call_reduction(
      c, [=](const Tensor& x) { return norm(x, p); },
      [=](const Tensor& x, std::int64_t dim, bool keep) { return norm(x, p, dim, keep); },
      [=](const Tensor& x, const Shape& dims, bool keep) { return norm(x, p, dims, keep); });
}

std::vector<Sample> with(std::vector<Sample> samples, const std::string& name, Argument value) {
  for (Sample& sample : samples) sample.arguments.emplace_back(name, value);
  return samples;
}

// Two elements or more: the variance of one is NaN.
std::vector<Sample> of_variance() {
  const std::vector<Sample> samples = {shaped({3, 4}), shaped({2, 3, 4}, {{"dim", 1}}),
                                       shaped({3, 2}, {{"dim", -1}, {"keepdim", true}}),
                                       shaped({2, 3, 4}, {{"dim", list({0, 2})}}),
                                       shaped({0, 3}, {{"dim", 1}})};
  return both(samples, with(samples, "unbiased", false));
}

std::vector<Sample> along_a_dim(const Domain& domain = {}) {
  return {shaped({3, 4}, {{"dim", -1}}, domain), shaped({2, 3, 4}, {{"dim", 1}}, domain),
          shaped({3, 2}, {{"dim", 0}}, domain),  shaped({1}, {{"dim", 0}}, domain),
          shaped({}, {{"dim", 0}}, domain),      shaped({2, 0}, {{"dim", 1}}, domain)};
}

Sample recurrence(const Shape& sizes, std::int64_t dim) {
  return {{{"a", sizes}, {"b", sizes}}, {{"dim", dim}}};
}

}  // namespace

void add_reductions(std::vector<Row>& rows) {
  const Domain no_kink = away_from({0});
  rows.insert(
      rows.end(),
      {
          {.name = "sum",
           .family = "reduction",
           .question = "How much is it all together?",
           .run = call_sum,
           .samples = both(of_reduction(), {shaped({2, 0, 3}, {{"dim", 1}}), shaped({0})})},
          {.name = "mean",
           .family = "reduction",
           .question = "How much is it on average?",
           .run = call_mean,
           .samples = of_reduction()},
          {.name = "prod",
           .family = "reduction",
           .question = "How much is it multiplied together?",
           .run = call_prod,
           .samples = both(of_reduction({}, false), {shaped({2, 0}, {{"dim", 1}})})},
          {.name = "logsumexp",
           .family = "reduction",
           .question = "What is the logarithm of a sum of numbers given by their logarithms?",
           .run = call_logsumexp,
           .samples = {shaped({3, 4}, {{"dim", 1}}), shaped({2, 3, 4}, {{"dim", list({0, 2})}}),
                       shaped({3, 4}, {{"dim", 0}, {"keepdim", true}}),
                       shaped({5}, {{"dim", 0}}, between(-900, 900)), shaped({}, {{"dim", 0}}),
                       shaped({0, 3}, {{"dim", 1}})},
           .card = {.topic = 10,
                    .about = "A smooth maximum, and what a softmax divides by: the logarithm of "
                             "the sum of exponentials, without ever overflowing.",
                    .range = "(max, max + ln n]",
                    .slope = "The softmax: between 0 and 1, and their sum is 1.",
                    .call = "logsumexp(x, 0)",
                    .scene = along_first_logit({{"y"}})}},
          {.name = "var",
           .family = "moment",
           .question = "How far from their mean are the numbers, squared, on average?",
           .run = call_var,
           .samples = of_variance()},
          {.name = "std",
           .family = "moment",
           .question = "How far from their mean are the numbers, typically?",
           .run = call_std,
           .samples = of_variance()},
          {.name = "norm",
           .family = "moment",
           .question = "How long is the vector?",
           .run = call_norm,
           .samples = both(with(of_reduction(no_kink), "p", 2.0),
                           both(with(of_reduction(no_kink), "p", 3.0),
                                {shaped({3, 4}, {{"p", 1}}, no_kink),
                                 shaped({3, 4}, {{"p", 0.5}, {"dim", 1}}, no_kink),
                                 shaped({4}, {{"p", "inf"}}, between(0.2, 3)),
                                 shaped({3, 2}, {{"p", "-inf"}, {"dim", 0}}, between(0.2, 3))})),
           .smooth = all_differ},
          {.name = "normalize",
           .family = "moment",
           .question = "In which direction does the vector point?",
           .run = [](const Call& c) -> Results {
             return normalize(c["x"], c.number("p", 2), c.integer("dim", 1),
                              c.number("eps", 1e-12));
           },
           .samples = {shaped({3, 4}), shaped({2, 3, 4}, {{"dim", -1}}),
                       shaped({3, 4}, {{"p", 3.0}, {"dim", 0}}, no_kink),
                       shaped({3, 2}, {{"eps", 10.0}}), shaped({0, 3})}},
          {.name = "any",
           .family = "truth",
           .question = "Does it hold anywhere?",
           .run = [](const Call& c) -> Results {
             return c.has("dim") ? any(c["x"], c.integer("dim"), c.flag("keepdim", false))
                                 : any(c["x"]);
           },
           .samples = of_reduction(truths(), false),
           .differentiable = false},
          {.name = "all",
           .family = "truth",
           .question = "Does it hold everywhere?",
           .run = [](const Call& c) -> Results {
             return c.has("dim") ? all(c["x"], c.integer("dim"), c.flag("keepdim", false))
                                 : all(c["x"]);
           },
           .samples = of_reduction(truths(), false),
           .differentiable = false},
          {.name = "count_nonzero",
           .family = "truth",
           .question = "In how many places does it hold?",
           .run = [](const Call& c) -> Results {
             return c.has("dim") ? count_nonzero(c["x"], c.integer("dim")) : count_nonzero(c["x"]);
           },
           .samples = {shaped({3, 4}, {}, truths()), shaped({2, 3}, {{"dim", 1}}, truths())},
           .differentiable = false},
          {.name = "cumsum",
           .family = "scan",
           .question = "How much is it up to each place?",
           .run = [](const Call& c) -> Results { return cumsum(c["x"], c.integer("dim")); },
           .samples = along_a_dim()},
          {.name = "cumprod",
           .family = "scan",
           .question = "How much is it multiplied up to each place?",
           .run = [](const Call& c) -> Results { return cumprod(c["x"], c.integer("dim")); },
           .samples = along_a_dim()},
          {.name = "cumprod_exclusive",
           .family = "scan",
           .question = "How much is it multiplied before each place?",
           .run = [](const Call& c) -> Results {
             return cumprod_exclusive(c["x"], c.integer("dim"));
           },
           .samples = {shaped({3, 4}, {{"dim", -1}}), shaped({2, 3, 4}, {{"dim", 1}}),
                       shaped({3, 2}, {{"dim", 0}}), shaped({2, 0}, {{"dim", 1}})}},
          {.name = "linear_recurrence",
           .family = "scan",
           .question = "What is kept of what came before, plus what is new?",
           .run = [](const Call& c) -> Results {
             return linear_recurrence(c["a"], c["b"], c.integer("dim"));
           },
           .samples = {recurrence({3, 4}, -1), recurrence({3, 4}, 0), recurrence({2, 3, 2}, 1),
                       recurrence({1}, 0), recurrence({2, 0}, 1)}},
      });
}

}  // namespace retrace::catalogue
