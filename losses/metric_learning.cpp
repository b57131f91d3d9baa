#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/metric_learning.h>
#include <retrace/losses/triplet_hinge.h>

namespace retrace::losses {
namespace {

// Triplets that are given -------------------------------------------------------------------------

struct TripletMarginTexts {
  static constexpr std::string_view
      op = "triplet_margin_loss",
      formula = "y = max(0, m + D(a, p) - D(a, n)), D = ‖x - y + eps‖_p, reduced",
      gradient = "da = g · (u(a, p) - u(a, n)) / n where y > 0, u the gradient of D";
};
struct TripletDistanceTexts {
  static constexpr std::string_view op = "triplet_margin_with_distance_loss",
                                    formula = "y = max(0, m + D(a, p) - D(a, n)), reduced",
                                    gradient = "dD(a, p) = g / n where y > 0, dD(a, n) = -dD(a, p)";
};

/// The same with the smaller of D(a, n) and D(p, n); equal ones share.
template <class Texts>
struct SwappedTripletHinge : Texts {
  static constexpr std::string_view inputs[] = {"D(anchor, positive)", "D(anchor, negative)",
                                                "D(positive, negative)"};
  double margin;

  template <class T>
  T y(T ap, T an, T pn) const {
    return math::max(T(margin) + ap - math::min(an, pn), T(0));
  }
  template <class T>
  T dy_da(T ap, T an, T pn) const {
    return math::select(T(margin) + ap - math::min(an, pn) > T(0), T(1), T(0));
  }
  template <class T>
  T dy_db(T ap, T an, T pn) const {
    return -dy_da(ap, an, pn) * (T(0.5) + T(0.5) * math::sign(pn - an));
  }
  template <class T>
  T dy_dc(T ap, T an, T pn) const {
    return -dy_da(ap, an, pn) * (T(0.5) + T(0.5) * math::sign(an - pn));
  }
};

template <class Texts, class Distance>
Tensor triplet_loss(const Distance& distance, double margin, bool swap, Reduction how,
                    const Tensor& a, const Tensor& p, const Tensor& n) {
  const Tensor ap = distance(a, p), an = distance(a, n);
  if (!swap) return reduced(TripletHinge<Texts>{{}, margin}, how, ap, an);
  return reduced(SwappedTripletHinge<Texts>{{}, margin}, how, ap, an, distance(p, n));
}

/// Rows whose names are told in messages.
template <class Texts>
struct Triplet : Texts {
  static constexpr std::string_view inputs[] = {"anchor", "positive", "negative"};
};

template <class Texts>
void check_triplets(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                    double margin, Reduction how) {
  require_alike<Triplet<Texts>>(anchor, positive, negative);
  if (!anchor.is_floating_point()) refuse_dtype(Texts::op, anchor.dtype(), "float32 or float64");
  require<ShapeError>(anchor.dim() > 0,
                      "{}: anchor, positive and negative are {}; they must be [N, D] or [D]",
                      Texts::op, anchor.sizes());
  require_at_least_zero(Texts::op, "margin", margin);
  refuse_batchmean(Texts::op, how);
}

}  // namespace

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLossOptions& options) {
  using Texts = TripletMarginTexts;
  check_triplets<Texts>(anchor, positive, negative, options.margin, options.reduction);
  require_option(Texts::op, "p", options.p, options.p > 0, "positive");
  require_finite(Texts::op, "eps", options.eps);
  return composite<Texts>(
      [options](const Tensor& a, const Tensor& p, const Tensor& n) {
        const auto distance = [&](const Tensor& x, const Tensor& y) {
          return norm(x - y + options.eps, options.p, -1);
        };
        return triplet_loss<Texts>(distance, options.margin, options.swap, options.reduction, a, p,
                                   n);
      },
      anchor, positive, negative);
}

Tensor triplet_margin_with_distance_loss(const Tensor& anchor, const Tensor& positive,
                                         const Tensor& negative,
                                         const TripletMarginWithDistanceLossOptions& options) {
  check_triplets<TripletDistanceTexts>(anchor, positive, negative, options.margin,
                                       options.reduction);
  return triplet_loss<TripletDistanceTexts>(options.distance_function, options.margin, options.swap,
                                            options.reduction, anchor, positive, negative);
}

// Pairs -------------------------------------------------------------------------------------------

namespace {

struct Contrastive {
  static constexpr std::string_view
      op = "contrastive_loss",
      formula = "y = ½ D² of pairs that belong together, ½ max(0, m - D)² of others, reduced",
      gradient = "dx1 = g · (x1 - x2) / n, or -g · max(0, m - D) · (x1 - x2) / (D n), dx2 = -dx1";
  static constexpr std::string_view inputs[] = {"x1", "x2"};
};

struct ContrastiveTerm : Contrastive {
  static constexpr std::size_t constants = 1;
  double margin;

  template <class T>
  T y(T d, T similar) const {
    const T gap = math::max(T(margin) - d, T(0));
    return T(0.5) * math::select(similar != T(0), d * d, gap * gap);
  }
  template <class T>
  T dy_da(T d, T similar) const {
    return math::select(similar != T(0), d, -math::max(T(margin) - d, T(0)));
  }
};

}  // namespace

Tensor contrastive_loss(const Tensor& x1, const Tensor& x2, const Tensor& label,
                        const ContrastiveLossOptions& options) {
  constexpr std::string_view op = Contrastive::op;
  require_alike<Contrastive>(x1, x2);
  require_defined(op, {&label});
  if (!x1.is_floating_point()) refuse_dtype(op, x1.dtype(), "float32 or float64");
  require<DTypeError>(!label.is_floating_point() || label.dtype() == x1.dtype(),
                      "{}: label is {} {}, x1 {} {}; convert it with .to({})", op, label.dtype(),
                      label.sizes(), x1.dtype(), x1.sizes(), x1.dtype());
  Shape rows = x1.sizes();
  if (!rows.empty()) rows.erase(rows.size() - 1);
  require<ShapeError>(x1.dim() > 0 && label.sizes() == rows,
                      "{}: x1 is {}, label {}; they must be [N, D] and [N], one label for each "
                      "pair",
                      op, x1.sizes(), label.sizes());
  require_at_least_zero(op, "margin", options.margin);
  refuse_batchmean(op, options.reduction);
  const std::int64_t similar_label = options.similar_label;
  require<ValueError>(similar_label == 0 || similar_label == 1,
                      "{}: similar_label is {}; it must be 0 or 1", op, similar_label);
  const Tensor labels = label.detach().to(x1.dtype());
  require_each(
      op, "label", labels, [](auto y) { return y == 0 || y == 1; }, "0 or 1");
  const Tensor similar = eq(labels, similar_label).to(x1.dtype());
  return composite<Contrastive>(
      [similar, options](const Tensor& a, const Tensor& b) {
        return reduced(ContrastiveTerm{{}, options.margin}, options.reduction, norm(a - b, 2, -1),
                       similar);
      },
      x1, x2);
}

}  // namespace retrace::losses
