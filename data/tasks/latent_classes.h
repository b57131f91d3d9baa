#pragma once

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct LatentClassesOptions {
  std::int64_t classes = 10;
  std::int64_t features = 16;
  double noise = 0.3;      ///< of a view, in each feature; the centres' own spread is 1
  std::uint64_t seed = 0;  ///< of the centres
};

/// Two views of each sample, and its class.
struct Views {
  Tensor first, second;  ///< float32 [rows, features]
  Tensor labels;         ///< int64 [rows]
};

/// Which comparisons a contrastive loss of unit vectors makes.
struct ContrastOptions {
  /// What their dot products are divided by; at 0, the limit, other classes cost nothing.
  double temperature = 0;
  /// Of each other sample: 1, the partner's side alone (InfoNCE), or 2, both (NT-Xent, SupCon).
  std::int64_t views = 1;
};

/// Noisy views of hidden classes: a task for embeddings whose best possible contrastive loss is
/// known.
///
/// Each class has a centre N(0, I); a view is its class's centre plus noise · N(0, I). The two
/// views of a sample are the positive pair, those of the other N - 1 samples of a batch the
/// negatives; but M of these, Binomial(N-1, 1/C), are of the same class by chance and cannot be
/// told from the positive. With v competing views of each sample the loss is at least ln(1 + v M).
///
/// Unit vectors at temperature T lose
///     ln[(1 + v M) + v (N-1-M) e^-(1 + 1/(C-1))/T]
/// with the classes at the corners of a regular simplex, as far apart as C directions can be; this
/// takes C - 1 dims or more.
class LatentClasses {
 public:
  /// ValueError for fewer than two classes, no features, a noise that is not above 0.
  explicit LatentClasses(const LatentClassesOptions& options = {});

  const LatentClassesOptions& options() const { return options_; }
  const Tensor& centres() const { return centres_; }  ///< float32 [classes, features]

  /// Fresh views of samples of classes drawn alike.
  Views sample(std::int64_t rows, Generator& generator = default_generator()) const;
  /// The same as a dataset: inputs [rows, 2, features], the two views; targets the labels.
  TensorDataset pairs(std::int64_t rows, Generator& generator = default_generator()) const;
  /// One view of each class in `labels`, int64 [rows]; IndexError for another class.
  Tensor view(const Tensor& labels, Generator& generator = default_generator()) const;

  /// Mean over the samples of a batch with these labels, int64 [batch], in nats.
  double oracle_loss(const Tensor& labels, const ContrastOptions& options = {}) const;
  /// The mean of oracle_loss over all batches of this size: 1.316887 for 32 and ten classes.
  double population_floor(std::int64_t batch, const ContrastOptions& options = {}) const;
  /// How often the nearest view can be the sample's own, E[1 / (1 + v M)]: 0.301770 for 32.
  double retrieval_ceiling(std::int64_t batch, std::int64_t views = 1) const;

 private:
  LatentClassesOptions options_;
  Tensor centres_;
};

}  // namespace retrace::data
