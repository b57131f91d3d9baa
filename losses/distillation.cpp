#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/distillation.h>
#include <retrace/losses/divergence.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/mixture.h>
#include <retrace/losses/token_targets.h>

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

/// P · (log P - log M), 0 where P is 0.
template <class T>
T excess(T log_p, T log_m) {
  const T p = math::exp(log_p);
  return math::select(p == T(0), T(0), p * (log_p - log_m));
}

/// What one class adds to the divergence for 0 < β < 1, of log-probabilities.
struct MixtureTerm : GeneralizedJsd {
  static constexpr std::size_t constants = 1;
  double beta;

  template <class T>
  T y(T log_q, T log_p) const {
    return T(beta) * excess_over_mixture(log_p, log_q, T(1 - beta)) +
           T(1 - beta) * excess_over_mixture(log_q, log_p, T(beta));
  }
  template <class T>
  T dy_da(T log_q, T log_p) const {
    return T(1 - beta) * excess_over_mixture(log_q, log_p, T(beta));
  }
};

/// That for β = 1: KL(Q || P).
struct ReverseTerm : GeneralizedJsd {
  static constexpr std::size_t constants = 1;

  template <class T>
  T y(T log_q, T log_p) const {
    return excess(log_q, log_p);
  }
  template <class T>
  T dy_da(T log_q, T log_p) const {
    return excess(log_q, log_p) + math::exp(log_q);
  }
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
        temperature_(temperature) {
    const NoGradGuard no_grad;
    if (targets.kept != count_) {
      chosen_ = nonzero(ne(classes_, kNoTarget)).flatten();
      classes_ = classes_.index_select(0, chosen_);
    }
    log_teacher_ = log_probabilities(of(teacher.detach()));
  }

  Tensor of(const Tensor& logits) const {
    const Tensor rows = logits.reshape({count_, logits.size(-1)});
    return chosen_.defined() ? rows.index_select(0, chosen_) : rows;
  }
  Tensor log_probabilities(const Tensor& rows) const {
    return log_softmax(temperature_ == 1.0 ? rows : rows / temperature_, -1);
  }
  const Tensor& log_teacher() const { return log_teacher_; }
  const Tensor& classes() const { return classes_; }

 private:
  Tensor classes_, chosen_, log_teacher_;
  std::int64_t count_;
  double temperature_;
};

Tensor forward_kl(const Tensor& log_student, const Tensor& log_teacher) {
  return kl_div(log_student, log_teacher, {.reduction = Reduction::sum, .log_target = true});
}

}  // namespace

Tensor distillation_loss(const Tensor& student, const Tensor& teacher, const Tensor& labels,
                         const DistillationOptions& options) {
  const double temperature = options.temperature, alpha = options.alpha;
  require_share(Distillation::op, "alpha", alpha);
  const Targets targets =
      check(Distillation::op, student, teacher, labels, temperature, options.ignore_index);
  const double each = 1.0 / targets.divisor();
  const Rows rows(targets, teacher, temperature);
  return composite<Distillation>(
      [=](const Tensor& z) {
        const Tensor kept = rows.of(z);
        // A part without weight is left out: it may be infinite.
        Tensor loss = zeros({}, z.dtype());
        if (alpha > 0)
          loss = loss + forward_kl(rows.log_probabilities(kept), rows.log_teacher()) *
                            (alpha * temperature * temperature * each);
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
        const Tensor log_q = rows.log_probabilities(rows.of(z)), log_p = rows.log_teacher();
        const auto sum_of = [&](const auto& term) {
          return reduced(term, Reduction::sum, log_q, log_p) * each;
        };
        if (beta == 0) return forward_kl(log_q, log_p) * each;
        if (beta == 1) return sum_of(ReverseTerm{});
        return sum_of(MixtureTerm{{}, beta});
      },
      student);
}

}  // namespace retrace::losses
