#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/index_range.h>
#include <retrace/losses/token_mask.h>
#include <retrace/losses/token_targets.h>

namespace retrace::losses {
namespace {

void check_shapes(const Reading& reading, const Tensor& logits, const Tensor& tokens) {
  const auto [op, name, shift, ignore_index] = reading;
  require_defined(op, {&logits, &tokens});
  if (!logits.is_floating_point()) refuse_dtype(op, logits.dtype(), "float32 or float64");
  require<DTypeError>(tokens.dtype() == kInt64,
                      "{}: {} are {} {} for logits {}; they must be int64: convert them with "
                      ".to(kInt64)",
                      op, name, tokens.dtype(), tokens.sizes(), logits.sizes());
  require<ShapeError>(logits.dim() >= 1 + shift && logits.size(-1) > 0,
                      "{}: the logits are {}; they must be {}, with at least one token in the "
                      "vocabulary",
                      op, logits.sizes(), shift == 1 ? "[B, T, V]" : "[.., V]");
  Shape expected = logits.sizes();
  expected.erase(logits.dim() - 1);
  require<ShapeError>(tokens.sizes() == expected,
                      "{}: {} are {} for logits {}; they must be {}, one for each position", op,
                      name, tokens.sizes(), logits.sizes(), expected);
}

[[noreturn]] void refuse_token(const Reading& reading, const Tensor& logits, const Tensor& tokens,
                               std::int64_t at, std::int64_t token) {
  fail<IndexError>(
      "{}: {} {} hold {} at {}, outside the vocabulary [0, {}) of the logits {}; check the "
      "tokenizer or the last layer's size",
      reading.op, reading.tokens_name, tokens.sizes(), token, position_of(at, tokens.sizes()),
      logits.size(-1), logits.sizes());
}

}  // namespace

Targets targets_of(const Reading& reading, const Tensor& logits, const Tensor& tokens,
                   const Tensor& mask) {
  check_shapes(reading, logits, tokens);
  const std::int64_t vocabulary = logits.size(-1);
  const std::int64_t length = tokens.dim() == 0 ? 1 : tokens.size(-1);
  Tensor kept;
  if (mask.defined())
    kept = as_contiguous(kept_tokens(reading.op, logits.detach().select(-1, 0), mask).to(kBool));
  const Tensor dense = as_contiguous(tokens);
  const auto* token = elements<const std::int64_t>(dense);
  Targets targets{empty(tokens.sizes(), kInt64)};
  auto* target = elements<std::int64_t>(targets.classes);
  for (std::int64_t i = 0; i < tokens.numel(); ++i) {
    target[i] = kNoTarget;
    const std::int64_t at = i + reading.shift;
    if (i % length + reading.shift == length) continue;
    if (kept.defined() && !elements<const bool>(kept)[at]) continue;
    if (token[at] == reading.ignore_index) continue;
    if (token[at] < 0 || token[at] >= vocabulary) [[unlikely]]
      refuse_token(reading, logits, tokens, at, token[at]);
    target[i] = token[at];
    ++targets.kept;
  }
  return targets;
}

}  // namespace retrace::losses
