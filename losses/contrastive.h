#pragma once

// Contrastive losses: among the candidates for each row find the one that belongs to it, by
// cosine similarities over a temperature τ. Values are in nats.
//
// Shapes: [N, D] of one floating dtype; row i of one tensor belongs to row i of the other. Rows are
// divided by max(their length, 1e-12) unless said otherwise. Results are 0-d, means over the rows.
// With candidates that are all equally similar the loss is the logarithm of their number.
//
// With p the softmax of the logits z over the candidates of a row, each gradient is
// dz(k) = g · (p(k) - [k is the right one]) / N, which goes on through the product, τ and the
// division by the length: dx = (dy - (dy · y) y) / ‖x‖.
//
// Errors: ShapeError, DTypeError; ValueError for a τ that is not positive.

#include <retrace/tensor/tensor.h>

#include <cstdint>
#include <string_view>

namespace retrace::losses {

enum class NegativesMode : std::uint8_t {
  shared,  ///< [M, D], candidates of every query
  own,     ///< [N, M, D], M candidates for each query
};
/// "shared" or "own". ValueError for any other text.
NegativesMode negatives_mode_from_string(std::string_view text);

struct InfoNceOptions {
  Tensor negatives = {};  ///< wrong candidates; not given: the keys of the other rows
  double temperature = 0.1;
  bool normalize = true;  ///< divide rows by their length, so that the similarity is the cosine
  NegativesMode negatives_mode = NegativesMode::shared;
  bool symmetric = false;  ///< the mean with the loss of finding the query of each key
};

/// Cross-entropy of finding each query's key, logits query · candidate / τ. For one row, or no
/// negatives, 0.
/// Gradient: dz = g · (p - [right]) / N; symmetric: half of that and half of the columns'.
/// Errors: ValueError for `symmetric` with negatives.
/// Source: van den Oord, Li, Vinyals 2018, arXiv:1807.03748, equation 4.
Tensor info_nce(const Tensor& query, const Tensor& keys, const InfoNceOptions& options = {});

struct NtXentOptions {
  double temperature = 0.5;
};

/// SimCLR's loss of two views z1, z2 of each sample: cross-entropy of finding, for each of the 2 N
/// views, the other one of its sample among all but itself.
/// Gradient: dz = g · (p - [right]) / 2 N.
/// Source: Chen, Kornblith, Norouzi, Hinton 2020, arXiv:2002.05709, equation 1.
Tensor nt_xent(const Tensor& z1, const Tensor& z2, const NtXentOptions& options = {});

struct SupConOptions {
  double temperature = 0.07;
  double base_temperature = 0.0;  ///< if positive, the loss times τ / base_temperature
};

/// Supervised contrastive loss: for each anchor, the mean over its positives P, the other rows of
/// its label, of -log p(positive), p being the softmax of its similarities to all other rows. The
/// mean over the anchors that have one; 0 with zero gradient when none has. labels int64 [N]. With
/// one positive each it is nt_xent.
/// Gradient: dz(k) = g · (p(k) - [k in P] / |P|) / anchors.
/// Source: Khosla et al. 2020, arXiv:2004.11362, equation 2.
Tensor sup_con(const Tensor& embeddings, const Tensor& labels, const SupConOptions& options = {});

/// CLIP's loss: info_nce, symmetric, at the temperature exp(-log_scale), which is learned: 0-d, it
/// starts at log(1 / 0.07) and is kept at most log 100 in training.
/// Gradient: dz = g · (p of the row + p of the column - 2 [right]) / 2 N, dlog_scale = Σ dz · z.
/// Source: Radford et al. 2021, arXiv:2103.00020, figure 3.
Tensor clip_loss(const Tensor& image, const Tensor& text, const Tensor& log_scale);

/// Each pair on its own: -(1 / N) Σ log σ(± z), z = exp(log_scale) · cos + bias, + for rows that
/// belong together, - for the N² - N others. log_scale and bias, 0-d, are learned; they start at
/// log 10 and -10.
/// Gradient: dz = g · (σ(z) - [right]) / N, dlog_scale = Σ dz · (z - bias), dbias = Σ dz.
/// Source: Zhai, Mustafa, Kolesnikov, Beyer 2023, arXiv:2303.15343, equation 1.
Tensor siglip_loss(const Tensor& image, const Tensor& text, const Tensor& log_scale,
                   const Tensor& bias);

}  // namespace retrace::losses
