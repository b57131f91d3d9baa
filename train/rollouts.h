#pragma once

// Responses that a policy was asked for while it learns, and what policy gradients need of them.

#include <vector>

#include <retrace/data/responses.h>
#include <retrace/nn/sampling.h>

namespace retrace::train {

/// The responses of a policy to prompts, sampled, as a batch.
/// Errors: those of nn::generate; ValueError for a prompt that with all new tokens would be longer
/// than the model's context.
data::Responses sample_responses(const nn::Gpt& policy,
                                 const std::vector<std::vector<std::int64_t>>& prompts,
                                 const nn::GenerateOptions& options);

/// ln π of each token of the responses given all before it, [B, T - 1]: column t is of the token
/// t + 1. 0 where none is of a response. `logits` [B, T, V] are a model's for the responses.
/// Errors: those of losses::next_token_loss.
Tensor token_logps(const Tensor& logits, const data::Responses& responses);

/// A batch of responses at the time at which they were sampled. In a checkpoint it lets a resumed
/// run go on with the same responses. Of tokens: [B, T - 1], as token_logps has them.
struct Rollouts {
  data::Responses responses;
  Tensor mask;                       ///< bool: tokens that were sampled
  Tensor logps, reference_logps;     ///< of the policy then, and of the reference
  Tensor rewards;                    ///< [B], of whole responses
  Tensor advantages;                 ///< of tokens; or [B], of whole responses
  Tensor values = {}, returns = {};  ///< of an actor-critic method
  std::int64_t passes = 0;           ///< how often they were learned from

  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);  ///< ValueError for what is no such state
};

}  // namespace retrace::train
