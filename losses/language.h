#pragma once

// Losses of language models, in nats.
//
// Shapes: logits [B, T, V] or [.., T, V], floating, V being the size of the vocabulary; tokens,
// labels, masks [B, T] or [.., T] alike. Tokens are int64; a mask is bool or of the logits' dtype,
// and what is not 0 counts. The logits of position t predict the token of position t + 1.
//
// A mean divides by the number of tokens that count, and by 1 when none does: the loss is then 0,
// and so is its gradient. To gather gradients over several batches take the sum and divide by the
// tokens of all of them. Means of batches must not be averaged when their tokens differ in number.
//
// Logits of positions whose target does not count get gradient 0, whatever they are. With p =
// softmax(z) and n the mean's divisor the gradient of each loss is dz(k) = g · (p(k) - [k =
// target]) / n where it counts.
//
// Errors: ShapeError, DTypeError; IndexError for a token that counts but is not in [0, V). All
// before any arithmetic.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/tensor.h>

#include <string_view>

namespace retrace::losses {

struct NextTokenOptions {
  std::int64_t ignore_index = -100;  ///< targets of this value do not count
  Tensor mask = {};                  ///< nor do those where it is 0; undefined: all count
  Reduction reduction = Reduction::mean;
};

/// Cross-entropy of the next token: -log p(token t + 1) at each position t but the last. With
/// Reduction::none [.., T - 1], 0 where the target does not count. The first token is never a
/// target and the last position's logits never enter. Equal logits cost log V.
/// Gradient: dz(k) = g · (p(k) - [k = target]) / n.
/// Source: Bengio et al. 2003, A neural probabilistic language model, section 2.
Tensor next_token_loss(const Tensor& logits, const Tensor& tokens,
                       const NextTokenOptions& options = {});

struct SequenceLogpsOptions {
  bool average = false;  ///< the mean over the tokens that count instead of their sum
};

/// Log-probability of each sequence, [..]: Σ log p(token) over the tokens that the mask lets count
/// as targets, all but the first without one. 0 where none counts.
/// Gradient: dz(k) = g · ([k = target] - p(k)), over their number when averaged.
/// Source: Rafailov et al. 2023, arXiv:2305.18290, section 4, log π(y | x) of a response y.
Tensor sequence_logps(const Tensor& logits, const Tensor& tokens, const Tensor& mask = {},
                      const SequenceLogpsOptions& options = {});

enum class SftLossType : std::uint8_t {
  nll,  ///< -log p
  dft,  ///< -p log p with a constant p, which turns down what the model finds unlikely
};
/// "nll" or "dft". ValueError for any other text.
SftLossType sft_loss_type_from_string(std::string_view text);

struct SftOptions {
  SftLossType loss_type = SftLossType::nll;
  Reduction reduction = Reduction::mean;
};

/// Supervised fine-tuning: the loss of the next token where that token belongs to the response, as
/// response_mask says. Prompt and padding are read but not learned; the last position of the prompt
/// predicts the first token of the response, and does get a gradient.
/// Gradient: dz(k) = g · (p(k) - [k = target]) / n, times p(target) for dft.
/// Source: Ouyang et al. 2022, arXiv:2203.02155, section 3.5; dft Wu et al. 2025, arXiv:2508.05629.
Tensor sft_loss(const Tensor& logits, const Tensor& tokens, const Tensor& response_mask,
                const SftOptions& options = {});

struct MaskedLmOptions {
  std::int64_t ignore_index = -100;  ///< labels of this value do not count
  Reduction reduction = Reduction::mean;
};

/// Cross-entropy at the positions that were masked, -log p(label) without any shift: the labels
/// come from mlm_corrupt.
/// Gradient: dz(k) = g · (p(k) - [k = label]) / n.
/// Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1.
Tensor masked_lm_loss(const Tensor& logits, const Tensor& labels,
                      const MaskedLmOptions& options = {});

struct MlmOptions {
  std::int64_t mask_id = -1;         ///< the token that stands for "masked"; has to be given
  std::int64_t vocab_size = 0;       ///< for random tokens, unless random_ids is given
  double mask_prob = 0.15;           ///< of each token to be chosen
  double p_mask = 0.8;               ///< of a chosen one to become mask_id,
  double p_random = 0.1;             ///< or a random token; else it stays
  std::int64_t ignore_index = -100;  ///< label of the tokens that were not chosen
  Generator* generator = nullptr;    ///< null: the default one
  Tensor u_select = {};              ///< draws in [0, 1) that choose; fresh ones if not given
  Tensor u_action = {};              ///< draws that decide what becomes of a chosen token
  Tensor random_ids = {};            ///< the random tokens, int64
};

/// What a masked language model reads, and what it is to find.
struct MlmBatch {
  Tensor ids;     ///< with the chosen tokens changed
  Tensor labels;  ///< the chosen tokens, ignore_index elsewhere
};

/// Chooses tokens at random, each by itself, but none that is `special` (bool, of the shape of
/// ids), and hides them: on average 12 % of the tokens become mask_id, 1.5 % random, 1.5 % stay.
/// Errors: ValueError for a probability outside [0, 1] or p_mask + p_random > 1, without mask_id,
/// and without vocab_size where random tokens are to be drawn.
/// Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1.
MlmBatch mlm_corrupt(const Tensor& ids, const Tensor& special, const MlmOptions& options);

}  // namespace retrace::losses
