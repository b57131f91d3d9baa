#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/distillation.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/relative_entropy.h>
#include <retrace/losses/token_targets.h>
#include <retrace/tensor/kernels/softmax.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace retrace::losses {
namespace {

struct Distillation {
  static constexpr std::string_view
      op = "distillation_loss",
      formula = "y = mean of α T² · KL(softmax(t / T) || softmax(z / T)) - (1 - α) · log p(label)",
      gradient = "dz = g · (α T · (p(z / T) - p(t / T)) + (1 - α) · (p - [k = label])) / n";
};

struct GeneralizedJsd {
  static constexpr std::string_view
      op = "generalized_jsd",
      formula = "y = Σ β P · (log P - log M) + (1 - β) Q · (log Q - log M), M = β P + (1 - β) Q",
      gradient = "d log Q = g · (1 - β) · Q · (log Q - log M) / n";
};

// A divergence is a rule of P, Q and d = log Q - log P of one class: its term of the sum, and the
// slope of that by log Q.

/// KL(P || Q)
struct ForwardTerm {
  template <class T>
  [[gnu::always_inline]] T term(T p, T q, T d) const {
    return relative_entropy(p, q, d);
  }
  template <class T>
  [[gnu::always_inline]] T slope(T p, T q, T d) const {
    return math::select(d < T(2), p * math::expm1(d), q - p);
  }
};

/// KL(Q || P)
struct ReverseTerm {
  template <class T>
  [[gnu::always_inline]] T term(T p, T q, T d) const {
    return relative_entropy(q, p, -d);
  }
  template <class T>
  [[gnu::always_inline]] T slope(T, T q, T d) const {
    return math::select(q == T(0), T(0), q * d);
  }
};

/// β KL(P || M) + (1 - β) KL(Q || M), M = β P + (1 - β) Q, 0 < β < 1
struct MixtureTerm {
  double beta;

  template <class T>
  [[gnu::always_inline]] T term(T p, T q, T d) const {
    const T m = mixture(p, q);
    return T(beta) * OverMixture<T>(p, m, d, T(1 - beta)).entropy(p, m) +
           T(1 - beta) * OverMixture<T>(q, m, -d, T(beta)).entropy(q, m);
  }
  template <class T>
  [[gnu::always_inline]] T slope(T p, T q, T d) const {
    return T(1 - beta) * OverMixture<T>(q, mixture(p, q), -d, T(beta)).excess(q);
  }

 private:
  template <class T>
  [[gnu::always_inline]] T mixture(T p, T q) const {
    return T(beta) * p + T(1 - beta) * q;
  }
};

/// The same of log Q and log P, for losses/elementwise.h.
template <class Texts, class Rule>
struct OfLogarithms : Texts {
  static constexpr std::size_t constants = 1;
  Rule rule;

  template <class T>
  T y(T log_q, T log_p) const {
    return rule.term(math::exp(log_p), math::exp(log_q), log_q - log_p);
  }
  template <class T>
  T dy_da(T log_q, T log_p) const {
    return rule.slope(math::exp(log_p), math::exp(log_q), log_q - log_p);
  }
};

/// d = log Q - log P of a row, Q and P being the softmax of z / T and t / T, from z, t, log Q and
/// log P. Where all of (z - t) / T are nearly equal, the logarithms agree in most of their digits:
/// then it is that less the one number that makes Q add up to 1.
template <class T>
void log_ratio_row(std::int64_t n, const T* z, const T* t, T temperature, const T* log_q,
                   const T* log_p, T* d, T* scratch) {
  const T first = n == 0 ? T(0) : z[0] - t[0];
  kernels::dense_row([=](T a, T b) { return (a - b - first) / temperature; }, n, d, z, t);
  if (!std::all_of(d, d + n, [](T v) { return math::abs(v) < T(0.5); }))
    return kernels::dense_row([](T q, T p) { return q - p; }, n, d, log_q, log_p);
  kernels::dense_row([](T v, T p) { return math::exp(p) * math::expm1(v); }, n, scratch, d, log_p);
  const double excess = kernels::reduce_run(kernels::RowSum<T>(), scratch, n);
  kernels::dense_row([shift = static_cast<T>(std::log1p(excess))](T v) { return v - shift; }, n, d,
                     d);
}

/// The terms of a row, which take the place of d, and their slopes. A function of its own, as
/// kernels::dense_row.
template <class Rule, class T>
[[gnu::noinline]] void term_row(Rule rule, std::int64_t n, const T* p, const T* q, T* d,
                                T* slopes) {
#pragma omp simd
  for (std::int64_t k = 0; k < n; ++k) {
    const T ratio = d[k];
    d[k] = rule.term(p[k], q[k], ratio);
    slopes[k] = rule.slope(p[k], q[k], ratio);
  }
}

/// Σ over the rows [n, V] of z and t of the divergence of P = softmax(t / T) and Q = softmax(z /
/// T). Its slopes by z / T go to `slopes`, if that is defined.
template <class Rule>
double divergence_of_rows(const Rule& rule, const Tensor& z, const Tensor& t, double temperature,
                          const Tensor& slopes) {
  const std::int64_t rows = z.size(0), n = z.size(1);
  std::vector<double> sums(static_cast<std::size_t>(rows));
  visit_float(z.dtype(), GeneralizedJsd::op, [&]<class T>() {
    parallel_for(rows, kernels::grain_of(n), [&](std::int64_t begin, std::int64_t end) {
      std::vector<T> of_p(static_cast<std::size_t>(n)), of_q(of_p), of_d(of_p), spare(of_p);
      T *const p = of_p.data(), *const q = of_q.data(), *const d = of_d.data();
      const T tau = static_cast<T>(temperature);
      const auto log_probabilities = [tau, n](const T* logits, T* log_p) {
        kernels::dense_row([tau](T v) { return v / tau; }, n, log_p, logits);
        kernels::log_softmax_row(log_p, n, log_p);
      };
      for (std::int64_t row = begin; row < end; ++row) {
        const T *from_z = elements<const T>(z) + row * n, *from_t = elements<const T>(t) + row * n;
        T* out = slopes.defined() ? elements<T>(slopes) + row * n : spare.data();
        log_probabilities(from_z, q);
        log_probabilities(from_t, p);
        log_ratio_row(n, from_z, from_t, tau, q, p, d, out);
        for (T* const x : {q, p}) kernels::dense_row([](T v) { return math::exp(v); }, n, x, x);
        term_row(rule, n, p, q, d, out);
        sums[static_cast<std::size_t>(row)] = kernels::reduce_run(kernels::RowSum<T>(), d, n);
        const T total = static_cast<T>(kernels::reduce_run(kernels::RowSum<T>(), out, n));
        kernels::dense_row([total](T s, T b) { return math::mul_add(-b, total, s); }, n, out, out,
                           q);
      }
    });
  });
  double sum = 0;
  for (const double of_row : sums) sum += of_row;
  return sum;
}

/// That sum, times a weight.
template <class Texts, class Rule>
struct DivergenceNode final : NodeOf<DivergenceNode<Texts, Rule>> {
  static constexpr std::string_view op = Texts::op, formula = Texts::formula,
                                    gradient = Texts::gradient;
  DivergenceNode(const Rule& r, double of_logits, double of_sum)
      : rule{{}, r}, temperature(of_logits), weight(of_sum) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    if (!GradMode::is_enabled()) {
      const double factor = g.item<double>() * weight / temperature;
      return gradients.give(0, scale(this->saved_extra(1), factor));
    }
    const Tensor z = bounded_input(*this, 0);
    recorded_backward(std::array{z}, {g}, gradients, [&] {
      const Tensor log_p = log_softmax(this->saved_extra(0) / temperature, -1);
      return reduced(rule, Reduction::sum, log_softmax(z / temperature, -1), log_p) * weight;
    });
  }

  OfLogarithms<Texts, Rule> rule;
  double temperature, weight;
};

// Checks, all but those of the options that one loss alone has.
Targets check(std::string_view op, const Tensor& student, const Tensor& teacher,
              const Tensor& labels, double temperature, std::int64_t ignore_index) {
  require_defined(op, {&student, &teacher, &labels});
  require_same_dtype(op, student, teacher);
  require<ShapeError>(student.sizes() == teacher.sizes(),
                      "{}: student is {}, teacher {}; they must be equal, nothing is broadcast", op,
                      student.sizes(), teacher.sizes());
  require_option(op, "temperature", temperature, temperature > 0, "positive");
  return targets_of({op, "labels", 0, ignore_index}, student, labels);
}

/// The rows [n, V] that count, of both models at a temperature.
class Rows {
 public:
  Rows(const Targets& targets, const Tensor& teacher, double temperature)
      : classes_(targets.classes.flatten()),
        count_(targets.classes.numel()),
        // Beyond these the limits are reached, and float32 has no room for squares.
        temperature_(std::clamp(temperature, 0x1p-100, 0x1p50)) {
    const NoGradGuard no_grad;
    if (targets.kept != count_) {
      chosen_ = nonzero(ne(classes_, kNoTarget)).flatten();
      classes_ = classes_.index_select(0, chosen_);
    }
    teacher_ = as_contiguous(of(teacher.detach()));
  }

  Tensor of(const Tensor& logits) const {
    const Tensor rows = logits.reshape({count_, logits.size(-1)});
    return chosen_.defined() ? rows.index_select(0, chosen_) : rows;
  }
  /// Of rows of the student, times a weight.
  template <class Texts, class Rule>
  Tensor divergence(const Rule& rule, const Tensor& rows, double weight) const {
    using Node = DivergenceNode<Texts, Rule>;
    const Tensor* const inputs[] = {&rows};
    const Tensor slopes = wants_recording(inputs) ? empty(rows.sizes(), rows.dtype()) : Tensor();
    const double sum =
        divergence_of_rows(rule, as_contiguous(rows), teacher_, temperature_, slopes);
    return record<Node>(
        full_unchecked({}, sum * weight, rows.dtype()), {&rows},
        [&](Node& node) {
          node.save_input(0, rows);
          node.save_extra(teacher_);
          node.save_extra(slopes);
        },
        rule, temperature_, weight);
  }
  double temperature() const { return temperature_; }
  const Tensor& classes() const { return classes_; }

 private:
  Tensor classes_, chosen_, teacher_;
  std::int64_t count_;
  double temperature_;
};

}  // namespace

Tensor distillation_loss(const Tensor& student, const Tensor& teacher, const Tensor& labels,
                         const DistillationOptions& options) {
  const double alpha = options.alpha;
  require_share(Distillation::op, "alpha", alpha);
  const Targets targets =
      check(Distillation::op, student, teacher, labels, options.temperature, options.ignore_index);
  const double each = 1.0 / targets.divisor();
  const Rows rows(targets, teacher, options.temperature);
  return composite<Distillation>(
      [=](const Tensor& z) {
        const Tensor kept = rows.of(z);
        // A part without weight is left out: it may be infinite.
        Tensor loss = zeros({}, z.dtype());
        if (alpha > 0) {
          const double t = rows.temperature();
          loss = loss + rows.divergence<Distillation>(ForwardTerm(), kept, alpha * t * t * each);
        }
        if (alpha < 1)
          loss = loss + cross_entropy(kept, rows.classes(), {.reduction = Reduction::sum}) *
                            ((1 - alpha) * each);
        return loss;
      },
      student);
}

Tensor generalized_jsd(const Tensor& student, const Tensor& teacher, const Tensor& labels,
                       const GeneralizedJsdOptions& options) {
  constexpr std::string_view op = GeneralizedJsd::op;
  const double beta = options.beta;
  require_share(op, "beta", beta);
  require<ValueError>(options.reduction == Reduction::mean || options.reduction == Reduction::sum,
                      "generalized_jsd: the rows are always joined; use reduction 'mean' or 'sum'");
  const Targets targets =
      check(op, student, teacher, labels, options.temperature, options.ignore_index);
  const Rows rows(targets, teacher, options.temperature);
  const double each = options.reduction == Reduction::mean ? 1.0 / targets.divisor() : 1.0;
  return composite<GeneralizedJsd>(
      [=](const Tensor& z) {
        const auto sum_of = [&](const auto& term) {
          return rows.divergence<GeneralizedJsd>(term, rows.of(z), each);
        };
        if (beta == 0) return sum_of(ForwardTerm());
        if (beta == 1) return sum_of(ReverseTerm());
        return sum_of(MixtureTerm{beta});
      },
      student);
}

}  // namespace retrace::losses
