#pragma once

#include <retrace/data/tasks/latent_classes.h>

namespace retrace::data {

struct TripletsOptions {
  double margin = 1;    ///< α
  bool squared = true;  ///< of squared distances, else of plain ones
  LatentClassesOptions classes = {};
};

/// Triplets to learn from.
struct TripletViews {
  Tensor anchor, positive, negative;  ///< float32 [rows, features]
  Tensor collision;  ///< bool [rows]: the negative is of the anchor's class, by chance
};

/// Anchors, positives and negatives of hidden classes: a task for the triplet loss
/// max(0, d(anchor, positive) - d(anchor, negative) + α) whose best possible value is known.
///
/// Anchor and positive share a class. The negative's class is drawn anew, without looking, and so
/// is the same one with probability 1/C; positive and negative can then not be told apart, and the
/// mean loss is at least α. Else it can be 0 for unit embeddings as long as α is at most the
/// largest distance that all classes can keep, D = 2C/(C-1) squared, or its root; beyond it is α -
/// D.
class Triplets {
 public:
  /// ValueError for a margin that is not above 0, or as LatentClasses.
  explicit Triplets(const TripletsOptions& options = {});

  const TripletsOptions& options() const { return options_; }
  const LatentClasses& classes() const { return classes_; }

  TripletViews sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// D, in units of the margin.
  double largest_distance() const;
  /// Mean over triplets with these collisions, bool [rows].
  double oracle_loss(const Tensor& collision) const;
  /// Over all triplets: α/C + (1 - 1/C) max(0, α - D); 0.1 by default.
  double population_floor() const;

 private:
  double loss(double collisions) const;  // of this share

  TripletsOptions options_;
  LatentClasses classes_;
};

}  // namespace retrace::data
