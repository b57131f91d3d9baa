#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/divergence.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/relative_entropy.h>

#include <limits>

namespace retrace::losses {
namespace {

template <bool kLogTarget>
struct KlDiv {
  static constexpr std::string_view op = "kl_div",
                                    formula =
                                        "y = P · (log P - x), 0 where P = 0, P the target, reduced",
                                    gradient = "dx = -g · P / n";
  static constexpr std::size_t constants = 1;

  template <class T>
  T y(T x, T t) const {
    if constexpr (kLogTarget) {
      const T p = math::exp(t);
      return math::select(p == T(0), T(0), p * (t - x));
    } else {
      return math::select(t == T(0), T(0), t * (math::log(t) - x));
    }
  }
  template <class T>
  T dy_da(T, T t) const {
    return kLogTarget ? -math::exp(t) : -t;
  }
};

struct JsTexts {
  static constexpr std::string_view
      op = "js_divergence",
      formula = "y = ½ Σ P · (log P - log M) + ½ Σ Q · (log Q - log M), M = ½ (P + Q), reduced",
      gradient = "d log P = ½ g · P · (log P - log M) / n, and the same with Q";
};

/// What one class adds to the divergence, of log-probabilities.
struct JsTerm : JsTexts {
  static constexpr std::string_view inputs[] = {"p", "q"};

  template <class T>
  [[gnu::always_inline]] T y(T log_p, T log_q) const {
    const T p = math::exp(log_p), q = math::exp(log_q), m = T(0.5) * (p + q);
    return T(0.5) * (OverMixture<T>(p, m, log_q - log_p, T(0.5)).entropy(p, m) +
                     OverMixture<T>(q, m, log_p - log_q, T(0.5)).entropy(q, m));
  }
  template <class T>
  [[gnu::always_inline]] T dy_da(T log_p, T log_q) const {
    const T p = math::exp(log_p), m = T(0.5) * (p + math::exp(log_q));
    return T(0.5) * OverMixture<T>(p, m, log_q - log_p, T(0.5)).excess(p);
  }
  template <class T>
  [[gnu::always_inline]] T dy_db(T log_p, T log_q) const {
    return dy_da(log_q, log_p);
  }
};

struct CosineEmbedding {
  static constexpr std::string_view
      op = "cosine_embedding_loss",
      formula = "y = 1 - cos where t = 1, max(0, cos - m) where t = -1, reduced",
      gradient = "da = g · ∂y/∂cos · (b / (|a| |b|) - cos · a / |a|²) / n, and the same for b";
  static constexpr std::size_t constants = 1;
  double margin;

  template <class T>
  T y(T cosine, T t) const {
    return math::select(t > T(0), T(1) - cosine, math::max(cosine - T(margin), T(0)));
  }
  template <class T>
  T dy_da(T cosine, T t) const {
    const T apart = math::select(cosine > T(margin), T(1), T(0));
    return math::select(t > T(0), T(-1), apart);
  }
};

/// Vectors and their squared lengths plus 1e-12. Where those are large, all divided by a power of
/// 2, which changes no cosine and no digit, so that products of squares cannot overflow.
struct Scaled {
  Tensor x, square;
  explicit Scaled(const Tensor& vectors) : x(vectors), square(x.square().sum(-1) + 1e-12) {
    constexpr double kLargest = std::numeric_limits<double>::infinity();
    if (all(lt(square.detach(), 1e12)).item<bool>()) return;
    const Tensor size = without_recording(
        [&] { return pow(2, floor(log2(norm(vectors, kLargest, -1, true).clamp(1)))); });
    x = vectors / size;
    square = x.square().sum(-1) + (1e-12 / size / size).squeeze(-1);
  }
};

}  // namespace

Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options) {
  require_alike<KlDiv<false>>(input, target);
  Reducing reducing = Reducing::over(options.reduction, input.numel());
  if (options.reduction == Reduction::batchmean) {
    require<ShapeError>(input.dim() > 0,
                        "kl_div: reduction 'batchmean' divides by the size of dim 0, the input is "
                        "{}; use 'sum'",
                        input.sizes());
    reducing = Reducing::over(Reduction::mean, input.size(0));
  }
  if (options.log_target) return reduced(KlDiv<true>(), reducing, input, target);
  return reduced(KlDiv<false>(), reducing, input, target);
}

Tensor js_divergence(const Tensor& p, const Tensor& q, const JsDivergenceOptions& options) {
  require_alike<JsTerm>(p, q);
  refuse_batchmean(JsTerm::op, options.reduction);
  if (!p.is_floating_point()) refuse_dtype(JsTerm::op, p.dtype(), "float32 or float64");
  require<ShapeError>(p.dim() > 0 && p.size(-1) > 0,
                      "js_divergence: the inputs are {}; their last dim must be that of the "
                      "distributions",
                      p.sizes());
  const Reducing rows = Reducing::over(options.reduction, p.numel() / p.size(-1));
  return composite<JsTexts>(
      [rows, from_logits = options.from_logits](const Tensor& a, const Tensor& b) {
        const Tensor log_p = from_logits ? log_softmax(a, -1) : a;
        const Tensor log_q = from_logits ? log_softmax(b, -1) : b;
        const Tensor terms = reduced(JsTerm(), rows, log_p, log_q);
        return rows.how == Reduction::none ? terms.sum(-1) : terms;
      },
      p, q);
}

Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             const CosineEmbeddingLossOptions& options) {
  constexpr std::string_view op = CosineEmbedding::op;
  require_defined(op, {&input1, &input2, &target});
  require_same_dtype(op, input1, input2);
  require_same_dtype(op, input1, target);
  refuse_batchmean(op, options.reduction);
  require<ShapeError>(input1.dim() > 0 && input1.sizes() == input2.sizes(),
                      "{}: inputs are {} and {}; they must be [..., D] of one shape, nothing is "
                      "broadcast",
                      op, input1.sizes(), input2.sizes());
  Shape rows = input1.sizes();
  rows.erase(rows.size() - 1);
  require<ShapeError>(target.sizes() == rows,
                      "{}: targets are {} for inputs {}; they must be {}, one for each pair", op,
                      target.sizes(), input1.sizes(), rows);
  require_option(op, "margin", options.margin, options.margin >= -1 && options.margin <= 1,
                 "in [-1, 1]");
  require_signs(op, target);
  return composite<CosineEmbedding>(
      [rule = CosineEmbedding{options.margin}, how = options.reduction, target = target.detach()](
          const Tensor& a, const Tensor& b) {
        const Scaled u(a), v(b);
        return reduced(rule, how, (u.x * v.x).sum(-1) * rsqrt(u.square * v.square), target);
      },
      input1, input2);
}

}  // namespace retrace::losses
