#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/index_range.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/language.h>
#include <retrace/losses/named.h>
#include <retrace/losses/token_mask.h>

namespace retrace::losses {
namespace {

constexpr std::int64_t kNoTarget = -1;

/// What each position of the logits is to predict, or kNoTarget: int64 [.., T].
struct Targets {
  Tensor classes;
  std::int64_t kept = 0;

  double divisor() const { return static_cast<double>(std::max<std::int64_t>(kept, 1)); }
};

/// Which tokens are targets of which logits.
struct Reading {
  std::string_view op, tokens_name;
  std::int64_t shift;  // 1 when a position predicts the next token, 0 when its own
  std::optional<std::int64_t> ignore_index = {};
};

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

// All checks are made here, and an undefined mask keeps everything.
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
    require<IndexError>(token[at] >= 0 && token[at] < vocabulary,
                        "{}: {} {} hold {} at {}, outside the vocabulary [0, {}) of the logits {}; "
                        "check the tokenizer or the last layer's size",
                        reading.op, reading.tokens_name, tokens.sizes(), token[at],
                        position_of(at, tokens.sizes()), vocabulary, logits.sizes());
    target[i] = token[at];
    ++targets.kept;
  }
  return targets;
}

Tensor reduce(const Tensor& losses, Reduction how, const Targets& targets) {
  if (how == Reduction::none) return losses;
  const Tensor sum = losses.sum();
  return how == Reduction::sum ? sum : sum / targets.divisor();
}

/// finish(-log p of each target, [.., T]) as one node. Positions without a target have 0.
template <class Texts, class Finish>
Tensor of_tokens(const Tensor& logits, const Targets& targets, const Finish& finish) {
  const auto body = [targets, finish](const Tensor& z) {
    const Tensor& classes = targets.classes;
    const Tensor rows = z.reshape({classes.numel(), z.size(-1)});
    return finish(cross_entropy(rows, classes.flatten(),
                                {.ignore_index = kNoTarget, .reduction = Reduction::none})
                      .view(classes.sizes()));
  };
  return composite<Texts>(body, logits);
}

// The last position has nothing to predict.
Tensor without_last(const Tensor& losses) {
  return losses.slice(-1, 0, std::max<std::int64_t>(losses.size(-1) - 1, 0));
}

struct NextToken {
  static constexpr std::string_view op = "next_token_loss",
                                    formula = "L = -log softmax(z)(token after z), reduced",
                                    gradient = "dz = g · (p - [k = target]) / n where it counts";
  static constexpr bool first_order = true;
};

struct SequenceLogps {
  static constexpr std::string_view op = "sequence_logps",
                                    formula = "y = Σ log softmax(z)(token after z) over the mask",
                                    gradient = "dz = g · ([k = target] - p) where it counts";
  static constexpr bool first_order = true;
};

struct Sft {
  static constexpr std::string_view op = "sft_loss",
                                    formula =
                                        "L = -log p(target), p = softmax(z), over the response",
                                    gradient = "dz = g · (p - [k = target]) / n in the response";
  static constexpr bool first_order = true;
};

struct DynamicSft {
  static constexpr std::string_view
      op = "sft_loss",
      formula = "L = -q log p(target), q = p(target) as a constant, over the response",
      gradient = "dz = g · q · (p - [k = target]) / n in the response";
  static constexpr bool first_order = true;
};

struct MaskedLm {
  static constexpr std::string_view op = "masked_lm_loss",
                                    formula = "L = -log softmax(z)(label), reduced",
                                    gradient = "dz = g · (p - [k = label]) / n where it counts";
  static constexpr bool first_order = true;
};

struct NamedSftLossType {
  SftLossType value;
  std::string_view name;
};
constexpr NamedSftLossType kSftLossTypes[] = {{SftLossType::nll, "nll"}, {SftLossType::dft, "dft"}};

}  // namespace

Tensor next_token_loss(const Tensor& logits, const Tensor& tokens,
                       const NextTokenOptions& options) {
  refuse_batchmean(NextToken::op, options.reduction);
  const Targets targets =
      targets_of({NextToken::op, "tokens", 1, options.ignore_index}, logits, tokens, options.mask);
  return of_tokens<NextToken>(logits, targets,
                              [targets, how = options.reduction](const Tensor& losses) {
                                return reduce(without_last(losses), how, targets);
                              });
}

Tensor sequence_logps(const Tensor& logits, const Tensor& tokens, const Tensor& mask,
                      const SequenceLogpsOptions& options) {
  const Targets targets = targets_of({SequenceLogps::op, "tokens", 1}, logits, tokens, mask);
  // Negative, and over the number of tokens for an average.
  Tensor scale = full({}, -1, logits.dtype());
  if (options.average) {
    const NoGradGuard no_grad;
    const Tensor kept = ne(targets.classes, kNoTarget).sum(-1).to(logits.dtype());
    scale = scale / kept.clamp(1);
  }
  return of_tokens<SequenceLogps>(logits, targets,
                                  [scale](const Tensor& losses) { return losses.sum(-1) * scale; });
}

SftLossType sft_loss_type_from_string(std::string_view text) {
  return value_named(Sft::op, "loss_type", kSftLossTypes, text);
}

Tensor sft_loss(const Tensor& logits, const Tensor& tokens, const Tensor& response_mask,
                const SftOptions& options) {
  refuse_batchmean(Sft::op, options.reduction);
  require_defined(Sft::op, {&logits, &tokens, &response_mask});
  const Targets targets = targets_of({Sft::op, "tokens", 1}, logits, tokens, response_mask);
  const auto finish = [targets, how = options.reduction](const Tensor& losses) {
    return reduce(without_last(losses), how, targets);
  };
  if (options.loss_type == SftLossType::nll) return of_tokens<Sft>(logits, targets, finish);
  return of_tokens<DynamicSft>(logits, targets, [finish](const Tensor& losses) {
    return finish(losses * losses.detach().neg().exp());
  });
}

Tensor masked_lm_loss(const Tensor& logits, const Tensor& labels, const MaskedLmOptions& options) {
  refuse_batchmean(MaskedLm::op, options.reduction);
  const Targets targets =
      targets_of({MaskedLm::op, "labels", 0, options.ignore_index}, logits, labels, {});
  return of_tokens<MaskedLm>(logits, targets,
                             [targets, how = options.reduction](const Tensor& losses) {
                               return reduce(losses, how, targets);
                             });
}

// Corruption -------------------------------------------------------------------------------------

namespace {

void check_corruption(const Tensor& ids, const Tensor& special, const MlmOptions& options) {
  static constexpr std::string_view op = "mlm_corrupt";
  require_defined(op, {&ids, &special});
  require<DTypeError>(ids.dtype() == kInt64 && special.dtype() == kBool,
                      "{}: ids are {} {}, special is {} {}; they must be int64 and bool", op,
                      ids.dtype(), ids.sizes(), special.dtype(), special.sizes());
  const auto require_probability = [](std::string_view name, double p) {
    require<ValueError>(p >= 0 && p <= 1, "{}: {} is {}; it must be in [0, 1]", op, name, p);
  };
  require_probability("mask_prob", options.mask_prob);
  require_probability("p_mask", options.p_mask);
  require_probability("p_random", options.p_random);
  require<ValueError>(options.p_mask + options.p_random <= 1,
                      "{}: p_mask {} and p_random {} are more than 1 together", op, options.p_mask,
                      options.p_random);
  require<ValueError>(options.mask_id >= 0, "{}: mask_id is {}; give the token that masks", op,
                      options.mask_id);
  require<ValueError>(
      options.random_ids.defined() || options.p_random == 0 || options.vocab_size > 0,
      "{}: vocab_size is {}; random tokens need the size of the vocabulary", op,
      options.vocab_size);
  const auto require_draws = [&](std::string_view name, const Tensor& draws, bool floating) {
    if (!draws.defined()) return;
    require<DTypeError>(floating ? draws.is_floating_point() : draws.dtype() == kInt64,
                        "{}: {} is {}; it must be {}", op, name, draws.dtype(),
                        floating ? "floating" : "int64");
    require<ShapeError>(draws.sizes() == ids.sizes(),
                        "{}: {} is {}, ids are {}; they must be equal", op, name, draws.sizes(),
                        ids.sizes());
  };
  require<ShapeError>(special.sizes() == ids.sizes(),
                      "{}: special is {}, ids are {}; they must be equal", op, special.sizes(),
                      ids.sizes());
  require_draws("u_select", options.u_select, true);
  require_draws("u_action", options.u_action, true);
  require_draws("random_ids", options.random_ids, false);
  if (options.u_select.defined() && options.u_action.defined())
    require_same_dtype(op, options.u_select, options.u_action);
}

}  // namespace

MlmBatch mlm_corrupt(const Tensor& ids, const Tensor& special, const MlmOptions& options) {
  check_corruption(ids, special, options);
  const NoGradGuard no_grad;
  const auto uniform = [&](const Tensor& given) {
    return given.defined() ? given : rand(ids.sizes(), kFloat64, options.generator);
  };
  const Tensor select = uniform(options.u_select), action = uniform(options.u_action);
  const Tensor random = options.random_ids.defined() || options.p_random == 0
                            ? options.random_ids
                            : randint(0, options.vocab_size, ids.sizes(), options.generator);
  const Tensor chosen = lt(select, options.mask_prob) && !special;
  const Tensor masked = chosen && lt(action, options.p_mask);
  Tensor changed = masked_fill(ids, masked, options.mask_id);
  if (random.defined()) {
    const Tensor replaced = chosen && !masked && lt(action, options.p_mask + options.p_random);
    changed = where(replaced, random, changed);
  }
  return {changed, where(chosen, ids, options.ignore_index)};
}

}  // namespace retrace::losses
