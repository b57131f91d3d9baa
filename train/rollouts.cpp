#include <retrace/train/rollouts.h>

#include <algorithm>

#include <retrace/autograd/autograd.h>
#include <retrace/data/padding.h>
#include <retrace/losses/language.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::train {
namespace {

constexpr const char* kPasses = "passes";

// The tensors of `rollouts` under their names.
template <class R>
auto parts_of(R& rollouts) {
  return std::vector<std::pair<const char*, decltype(&rollouts.mask)>>{
      {"tokens", &rollouts.responses.tokens},
      {"response", &rollouts.responses.mask},
      {"mask", &rollouts.mask},
      {"logps", &rollouts.logps},
      {"reference_logps", &rollouts.reference_logps},
      {"rewards", &rollouts.rewards},
      {"advantages", &rollouts.advantages},
      {"values", &rollouts.values},
      {"returns", &rollouts.returns}};
}

}  // namespace

data::Responses sample_responses(const nn::Gpt& policy,
                                 const std::vector<std::vector<std::int64_t>>& prompts,
                                 const nn::GenerateOptions& options) {
  for (const auto& prompt : prompts)
    require<ValueError>(
        std::ssize(prompt) + options.max_new_tokens <= policy.options().context,
        "sample_responses: a prompt of {} tokens and {} new ones are more than the {} that the "
        "model reads; leave it out, or ask for fewer",
        prompt.size(), options.max_new_tokens, policy.options().context);
  const auto sampled = nn::generate(policy, prompts, options);
  std::vector<data::TokenRow> rows;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    data::TokenRow row = {prompts[i], std::vector<bool>(prompts[i].size(), false)};
    row.tokens.insert(row.tokens.end(), sampled[i].begin(), sampled[i].end());
    row.learned.resize(row.tokens.size(), true);
    rows.push_back(std::move(row));
  }
  const data::TokenBatch batch = data::pad(rows, 0);
  return {batch.tokens, batch.mask};
}

Tensor token_logps(const Tensor& logits, const data::Responses& responses) {
  return -losses::next_token_loss(logits, responses.tokens,
                                  {.mask = responses.mask, .reduction = Reduction::none});
}

StateDict Rollouts::state_dict() const {
  StateDict state;
  for (const auto& [name, part] : parts_of(*this))
    if (part->defined()) state.insert(name, *part);
  state.insert(kPasses, tensor(passes));
  return state;
}

void Rollouts::load_state_dict(const StateDict& state) {
  const auto count = state.find(kPasses);
  require<ValueError>(count != state.end(), "Rollouts: there is no \"{}\"", kPasses);
  for (const auto& [name, part] : parts_of(*this)) {
    const auto saved = state.find(name);
    *part = saved == state.end() ? Tensor() : saved->second;
  }
  passes = count->second.item<std::int64_t>();
}

}  // namespace retrace::train
