#pragma once

// The losses that learn from preferences, by name, so that programs and tables can take any.

#include <string>
#include <vector>

#include <retrace/tensor/tensor.h>
#include <retrace/train/table.h>

namespace retrace::train {

/// What there is to know of pairs of responses to one prompt, the first preferred: [N] each but kl.
struct PairLogps {
  Tensor chosen, rejected;                                ///< Σ log p of their tokens
  Tensor reference_chosen = {}, reference_rejected = {};  ///< the same of the reference
  Tensor chosen_lengths = {}, rejected_lengths = {};      ///< tokens, int64
  Tensor kl = {};                                         ///< for kto: see losses::kto_kl; 0-d
};

struct PreferenceOptions {
  std::string loss = "sigmoid";  ///< one of PreferenceObjective::names()
  double beta = 0.1;
  double label_smoothing = 0;  ///< ε of sigmoid, robust, exo_pair, simpo, cpo
  double gamma = 0.5;          ///< γ of simpo
  double nll_coef = 1;         ///< α of cpo
  double desirable_weight = 1, undesirable_weight = 1;  ///< of kto
};

/// One of the losses, with its parameters: what training on pairs makes small.
class PreferenceObjective {
 public:
  /// sigmoid, ipo, ..., as losses::DpoLossType has them; kto, orpo, simpo, cpo.
  static const std::vector<std::string>& names();

  /// ValueError for a name that is not there, and those of the losses for numbers out of range.
  explicit PreferenceObjective(const PreferenceOptions& options);

  const PreferenceOptions& options() const { return options_; }
  /// False: orpo, simpo, cpo, which compare log-probabilities themselves.
  bool has_reference() const;
  /// kto, which compares with responses to other prompts.
  bool needs_kl() const { return options_.loss == "kto"; }

  /// Of each pair, [N]; of kto, which knows no pairs, the mean of its two responses' losses.
  /// Errors: those of the losses.
  Tensor losses(const PairLogps& pairs) const;

  /// Means over the pairs, or sums with the weights `share` [N]: logps_chosen, logps_rejected (of
  /// orpo and simpo, means over tokens); rewards_chosen, rewards_rejected, β times what they have
  /// more than the reference's, if there is one; margin, the difference of these; accuracy, how
  /// often it is above 0. TRL calls them rewards/chosen, and so on. Unrecorded.
  Metrics metrics(const PairLogps& pairs, const Tensor& share = {}) const;

 private:
  PreferenceOptions options_;
};

}  // namespace retrace::train
