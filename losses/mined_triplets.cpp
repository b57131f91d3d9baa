// Triplets that are found in a batch.
#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/metric_learning.h>
#include <retrace/losses/named.h>
#include <retrace/losses/triplet_hinge.h>

#include <array>
#include <vector>

namespace retrace::losses {
namespace {

struct Triplet {
  std::int64_t anchor, positive, negative;
};
using Triplets = std::vector<Triplet>;

/// The distances of a batch and which of its rows belong together.
class Batch {
 public:
  Batch(const Tensor& distances, const Tensor& labels)
      : distances_(distances.detach().to_vector<double>()),
        labels_(labels.to_vector<std::int64_t>()) {}

  double distance(std::int64_t a, std::int64_t b) const {
    return distances_[at(a) * labels_.size() + at(b)];
  }
  /// f(a) for each row.
  template <class F>
  void for_anchors(F f) const {
    for (std::int64_t a = 0; a < size(); ++a) f(a);
  }
  /// f(p) for each other row of the label of a.
  template <class F>
  void for_positives(std::int64_t a, F f) const {
    for (std::int64_t p = 0; p < size(); ++p)
      if (p != a && labels_[at(p)] == labels_[at(a)]) f(p);
  }
  /// f(n) for each row of another label.
  template <class F>
  void for_negatives(std::int64_t a, F f) const {
    for (std::int64_t n = 0; n < size(); ++n)
      if (labels_[at(n)] != labels_[at(a)]) f(n);
  }

 private:
  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }

  std::vector<double> distances_;
  std::vector<std::int64_t> labels_;
};

/// The row with the largest value so far, the first of equals; -1 before any.
class Best {
 public:
  void offer(std::int64_t row, double value) {
    if (row_ >= 0 && !(value > value_)) return;
    row_ = row;
    value_ = value;
  }
  std::int64_t row() const { return row_; }
  bool found() const { return row_ >= 0; }

 private:
  std::int64_t row_ = -1;
  double value_ = 0;
};

Triplets batch_hard(const Batch& batch) {
  Triplets found;
  batch.for_anchors([&](std::int64_t a) {
    Best farthest, nearest;
    batch.for_positives(a, [&](std::int64_t p) { farthest.offer(p, batch.distance(a, p)); });
    batch.for_negatives(a, [&](std::int64_t n) { nearest.offer(n, -batch.distance(a, n)); });
    if (farthest.found() && nearest.found()) found.push_back({a, farthest.row(), nearest.row()});
  });
  return found;
}

/// Those whose D(a, n) - D(a, p) is wanted. One that is NaN always is: the loss is to show it.
template <class Wanted>
Triplets triplets_where(const Batch& batch, Wanted wanted) {
  Triplets found;
  batch.for_anchors([&](std::int64_t a) {
    batch.for_positives(a, [&](std::int64_t p) {
      batch.for_negatives(a, [&](std::int64_t n) {
        if (wanted(batch.distance(a, n) - batch.distance(a, p))) found.push_back({a, p, n});
      });
    });
  });
  return found;
}

Triplets mined(const Batch& batch, const TripletMiningOptions& options) {
  const double margin = options.margin;
  switch (options.kind) {
    case TripletMining::batch_hard:
      return batch_hard(batch);
    case TripletMining::all_valid:
      return triplets_where(batch, [](double) { return true; });
    case TripletMining::violating:
      return triplets_where(batch, [=](double gap) { return !(gap > margin); });
    case TripletMining::semihard:
      return triplets_where(batch, [=](double gap) { return !(gap <= 0 || gap > margin); });
    case TripletMining::hard:
      return triplets_where(batch, [](double gap) { return !(gap > 0); });
  }
  return {};
}

/// Each pair of one label with its nearest farther negative, or else the farthest one.
Triplets semihard_of_pairs(const Batch& batch) {
  Triplets found;
  batch.for_anchors([&](std::int64_t a) {
    batch.for_positives(a, [&](std::int64_t p) {
      Best farther, farthest;
      batch.for_negatives(a, [&](std::int64_t n) {
        const double d = batch.distance(a, n);
        if (d > batch.distance(a, p)) farther.offer(n, -d);
        farthest.offer(n, d);
      });
      const Best& chosen = farther.found() ? farther : farthest;
      if (chosen.found()) found.push_back({a, p, chosen.row()});
    });
  });
  return found;
}

void check(std::string_view op, const Tensor& embeddings, const Tensor& labels, double margin) {
  require_defined(op, {&embeddings, &labels});
  if (!embeddings.is_floating_point()) refuse_dtype(op, embeddings.dtype(), "float32 or float64");
  require<DTypeError>(labels.dtype() == kInt64,
                      "{}: labels are {} {}; they must be int64: convert them with .to(kInt64)", op,
                      labels.dtype(), labels.sizes());
  require<ShapeError>(embeddings.dim() == 2 && labels.sizes() == Shape{embeddings.size(0)},
                      "{}: embeddings are {}, labels {}; they must be [N, D] and [N], one label "
                      "for each row",
                      op, embeddings.sizes(), labels.sizes());
  require_at_least_zero(op, "margin", margin);
}

struct MinedTexts {
  static constexpr std::string_view
      op = "triplet_mined_loss",
      formula = "y = mean of max(0, m + D(a, p) - D(a, n)) over the mined triplets",
      gradient = "dD(a, p) = g / T where the term is not 0, dD(a, n) = -dD(a, p), then as cdist";
};

struct SemihardTexts : MinedTexts {
  static constexpr std::string_view
      op = "triplet_semihard_loss",
      formula = "y = mean of max(0, m + D(a, p) - D(a, n)) over all pairs (a, p), n semihard";
};

struct SoftMinedHinge {
  static constexpr std::string_view
      op = "triplet_mined_loss",
      formula = "y = mean of log(1 + exp(D(a, p) - D(a, n))) over the mined triplets",
      gradient = "dD(a, p) = g · σ(D(a, p) - D(a, n)) / T, dD(a, n) = -dD(a, p), then as cdist";

  template <class T>
  T y(T ap, T an) const {
    const T x = ap - an;
    return math::max(x, T(0)) + math::log1p_exp(-math::abs(x));
  }
  template <class T>
  T dy_da(T ap, T an) const {
    return math::sigmoid(ap - an);
  }
  template <class T>
  T dy_db(T ap, T an) const {
    return -math::sigmoid(ap - an);
  }
};

/// The rule's mean over the triplets that `choose` finds among the distances of the embeddings.
template <class Rule, class Choose>
Tensor mean_over_triplets(const Rule& rule, const Tensor& embeddings, const Tensor& labels,
                          bool squared, const Choose& choose) {
  return composite<Rule>(
      [=](const Tensor& e) {
        const Tensor distances = cdist(e, e);
        const Triplets triplets = choose(Batch(distances, labels));
        const auto count = static_cast<std::int64_t>(triplets.size());
        const Tensor to_positive = empty({count}, kInt64), to_negative = empty({count}, kInt64);
        for (std::int64_t i = 0; i < count; ++i) {
          const auto [a, p, n] = triplets[static_cast<std::size_t>(i)];
          elements<std::int64_t>(to_positive)[i] = a * e.size(0) + p;
          elements<std::int64_t>(to_negative)[i] = a * e.size(0) + n;
        }
        const Tensor all = (squared ? distances.square() : distances).flatten();
        const auto mean = Reducing::over(Reduction::mean, std::max<std::int64_t>(count, 1));
        return reduced(rule, mean, all.index_select(0, to_positive),
                       all.index_select(0, to_negative));
      },
      embeddings);
}

struct NamedMining {
  TripletMining value;
  std::string_view name;
};
constexpr NamedMining kMining[] = {{TripletMining::batch_hard, "batch_hard"},
                                   {TripletMining::all_valid, "all_valid"},
                                   {TripletMining::violating, "violating"},
                                   {TripletMining::semihard, "semihard"},
                                   {TripletMining::hard, "hard"}};

}  // namespace

TripletMining triplet_mining_from_string(std::string_view text) {
  return value_named("mine_triplets", "kind", kMining, text);
}

Tensor mine_triplets(const Tensor& embeddings, const Tensor& labels,
                     const TripletMiningOptions& options) {
  check("mine_triplets", embeddings, labels, options.margin);
  const NoGradGuard no_grad;
  const Triplets triplets = mined(Batch(cdist(embeddings, embeddings), labels), options);
  const Tensor rows = empty({static_cast<std::int64_t>(triplets.size()), 3}, kInt64);
  auto* out = elements<std::int64_t>(rows);
  for (const auto& [a, p, n] : triplets) {
    for (const std::int64_t row : {a, p, n}) *out++ = row;
  }
  return rows;
}

Tensor triplet_mined_loss(const Tensor& embeddings, const Tensor& labels,
                          const TripletMinedLossOptions& options) {
  check(MinedTexts::op, embeddings, labels, options.margin);
  const auto choose = [mining = TripletMiningOptions{options.kind, options.margin}](
                          const Batch& batch) { return mined(batch, mining); };
  if (options.soft)
    return mean_over_triplets(SoftMinedHinge(), embeddings, labels, /*squared=*/false, choose);
  return mean_over_triplets(TripletHinge<MinedTexts>{{}, options.margin}, embeddings, labels,
                            /*squared=*/false, choose);
}

Tensor triplet_semihard_loss(const Tensor& embeddings, const Tensor& labels,
                             const TripletSemihardLossOptions& options) {
  check(SemihardTexts::op, embeddings, labels, options.margin);
  return mean_over_triplets(TripletHinge<SemihardTexts>{{}, options.margin}, embeddings, labels,
                            options.squared, semihard_of_pairs);
}

}  // namespace retrace::losses
