#pragma once

// Losses of distances: vectors that belong together are to lie close, others far apart. Losses of
// similarities stand in losses/contrastive.h.
//
// Vectors are rows [N, D] (or one [D]) of one floating dtype; labels are int64 [N], and rows belong
// together when their labels are equal. A margin m is in units of the distance. Where points
// coincide the distance has gradient 0, so all gradients are finite. Kinks have slope 0.
//
// Errors: ShapeError when shapes differ (nothing is broadcast), DTypeError; ValueError for a
// negative margin.

#include <retrace/autograd/ops/distance.h>
#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace retrace::losses {

struct TripletMarginLossOptions {
  double margin = 1.0;
  double p = 2.0;     ///< of the norm, positive
  double eps = 1e-6;  ///< added to each difference
  bool swap = false;  ///< take D(p, n) for D(a, n) where it is smaller
  Reduction reduction = Reduction::mean;
};

/// max(0, m + D(a, p) - D(a, n)), D = pairwise_distance: an anchor a is to be closer to its
/// positive p than to its negative n by m. [N] with Reduction::none. Gradient, with u the gradient
/// of D by its first point and c = g / n where the loss is not 0: da = c (u(a, p) - u(a, n)), dp =
/// -c u(a, p), dn = c u(a, n). Source: Schroff, Kalenichenko, Philbin 2015, arXiv:1503.03832,
/// equation 3; swap Balntas et al. 2016, BMVC, section 3.
Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                           const TripletMarginLossOptions& options = {});

/// A distance of the vectors of two tensors, [N, D] to [N]: any callable, of which it keeps a copy.
class DistanceFunction {
 public:
  template <class F>
  requires(!std::is_same_v<F, DistanceFunction> &&
           std::is_invocable_r_v<Tensor, const F&, const Tensor&, const Tensor&>)
      DistanceFunction(F f)
      : callable_(std::make_shared<Of<F>>(std::move(f))) {}
  Tensor operator()(const Tensor& a, const Tensor& b) const { return callable_->call(a, b); }

 private:
  struct Callable {
    virtual ~Callable() = default;
    virtual Tensor call(const Tensor& a, const Tensor& b) const = 0;
  };
  template <class F>
  struct Of final : Callable {
    explicit Of(F f) : function(std::move(f)) {}
    Tensor call(const Tensor& a, const Tensor& b) const override { return function(a, b); }
    F function;
  };
  std::shared_ptr<const Callable> callable_;
};

struct TripletMarginWithDistanceLossOptions {
  DistanceFunction distance_function = euclidean_distance;
  double margin = 1.0;
  bool swap = false;
  Reduction reduction = Reduction::mean;
};

/// triplet_margin_loss of any distance: those of autograd/ops/distance.h or one's own, which may
/// have parameters. Several nodes: those of the distance, and this loss of the distances.
/// Gradient: dD(a, p) = g / n, dD(a, n) = -g / n where the loss is not 0.
/// Source: Schroff et al. 2015, arXiv:1503.03832; as PyTorch's function of this name.
Tensor triplet_margin_with_distance_loss(const Tensor& anchor, const Tensor& positive,
                                         const Tensor& negative,
                                         const TripletMarginWithDistanceLossOptions& options = {});

/// Which triplets (a, p, n) of a batch are taken, by their Euclidean distances.
enum class TripletMining : std::uint8_t {
  batch_hard,  ///< the farthest p and the nearest n of each a that has both; the first of equals
  all_valid,   ///< every p of the label of a, other than a, with every n of another label
  violating,   ///< those with D(a, n) - D(a, p) <= m
  semihard,    ///< those with 0 < D(a, n) - D(a, p) <= m
  hard,        ///< those with D(a, n) <= D(a, p)
};
/// Of a name as above. ValueError, with the names that there are, for any other.
TripletMining triplet_mining_from_string(std::string_view text);

struct TripletMiningOptions {
  TripletMining kind = TripletMining::batch_hard;
  double margin = 0.2;
};

/// Rows of the triplets, int64 [T, 3] in ascending order; [0, 3] when there is none.
/// Source: Hermans, Beyer, Leibe 2017, arXiv:1703.07737, equation 5, for batch_hard.
Tensor mine_triplets(const Tensor& embeddings, const Tensor& labels,
                     const TripletMiningOptions& options = {});

struct TripletMinedLossOptions {
  TripletMining kind = TripletMining::batch_hard;
  double margin = 0.2;  ///< of the mining and of the loss
  bool soft = false;    ///< log(1 + exp(D(a, p) - D(a, n))) for max(0, m + D(a, p) - D(a, n))
};

/// Mean of the triplet loss over the triplets that mine_triplets finds; 0 with zero gradient when
/// there is none. Gradient: that of triplet_margin_loss; soft: its c times σ(D(a, p) - D(a, n)).
/// Source: Hermans, Beyer, Leibe 2017, arXiv:1703.07737, sections 2 and 3.2.
Tensor triplet_mined_loss(const Tensor& embeddings, const Tensor& labels,
                          const TripletMinedLossOptions& options = {});

struct TripletSemihardLossOptions {
  double margin = 1.0;
  bool squared = false;  ///< of squared distances
};

/// Mean of max(0, m + D(a, p) - D(a, n)) over every pair (a, p) of one label, each with the nearest
/// n that is farther than p, or else the farthest; 0 without such a pair. Gradient: that of
/// triplet_margin_loss.
/// Source: Schroff et al. 2015, arXiv:1503.03832, section 3.2, as TensorFlow Addons chooses n.
Tensor triplet_semihard_loss(const Tensor& embeddings, const Tensor& labels,
                             const TripletSemihardLossOptions& options = {});

struct ContrastiveLossOptions {
  double margin = 1.0;
  std::int64_t similar_label =
      1;  ///< 1, or 0 as in the paper: the label of pairs that belong together
  Reduction reduction = Reduction::mean;
};

/// ½ D² for pairs (x1, x2) that belong together, ½ max(0, m - D)² for others, D = ‖x1 - x2‖. label
/// [N] holds 0 and 1, of any dtype.
/// Gradient, with d = x1 - x2: dx1 = g d / n, and -g max(0, m - D) d / (D n); 0 at D = 0; dx2 =
/// -dx1. Errors: ValueError for a label other than 0 and 1. Source: Hadsell, Chopra, LeCun 2006,
/// Dimensionality reduction by learning an invariant mapping, equation 4.
Tensor contrastive_loss(const Tensor& x1, const Tensor& x2, const Tensor& label,
                        const ContrastiveLossOptions& options = {});

}  // namespace retrace::losses
