#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/language.h>
#include <retrace/losses/named.h>
#include <retrace/losses/token_targets.h>

namespace retrace::losses {
namespace {

/// -log p of each target, [.., T] or reduced; 0 at positions without one.
Tensor losses_of(const Tensor& logits, const Targets& targets, Reduction how) {
  const Tensor& classes = targets.classes;
  // cross_entropy's own mean of nothing is NaN.
  if (how == Reduction::mean && targets.kept == 0) how = Reduction::sum;
  const Tensor losses =
      cross_entropy(logits.reshape({classes.numel(), logits.size(-1)}), classes.flatten(),
                    {.ignore_index = kNoTarget, .reduction = how});
  return how == Reduction::none ? losses.view(classes.sizes()) : losses;
}

/// The same without the last position, which has nothing to predict.
Tensor next_losses_of(const Tensor& logits, const Targets& targets, Reduction how) {
  const Tensor losses = losses_of(logits, targets, how);
  if (how != Reduction::none) return losses;
  return losses.slice(-1, 0, std::max<std::int64_t>(losses.size(-1) - 1, 0));
}

struct NextToken {
  static constexpr std::string_view op = "next_token_loss",
                                    formula = "L = -log softmax(z)(token after z), reduced",
                                    gradient = "dz = g · (p - [k = target]) / n where it counts";
};

struct SequenceLogps {
  static constexpr std::string_view op = "sequence_logps",
                                    formula = "y = Σ log softmax(z)(token after z) over the mask",
                                    gradient = "dz = g · ([k = target] - p) where it counts";
};

struct Sft {
  static constexpr std::string_view op = "sft_loss",
                                    formula =
                                        "L = -log p(target), p = softmax(z), over the response",
                                    gradient = "dz = g · (p - [k = target]) / n in the response";
};

struct DynamicSft {
  static constexpr std::string_view
      op = "sft_loss",
      formula = "L = -q log p(target), q = p(target) as a constant, over the response",
      gradient = "dz = g · q · (p - [k = target]) / n in the response";
};

struct MaskedLm {
  static constexpr std::string_view op = "masked_lm_loss",
                                    formula = "L = -log softmax(z)(label), reduced",
                                    gradient = "dz = g · (p - [k = label]) / n where it counts";
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
  return composite<NextToken>([targets, how = options.reduction](
                                  const Tensor& z) { return next_losses_of(z, targets, how); },
                              logits);
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
  return composite<SequenceLogps>(
      [targets, scale](const Tensor& z) {
        return losses_of(z, targets, Reduction::none).sum(-1) * scale;
      },
      logits);
}

SftLossType sft_loss_type_from_string(std::string_view text) {
  return value_named(Sft::op, "loss_type", kSftLossTypes, text);
}

Tensor sft_loss(const Tensor& logits, const Tensor& tokens, const Tensor& response_mask,
                const SftOptions& options) {
  refuse_batchmean(Sft::op, options.reduction);
  require_defined(Sft::op, {&logits, &tokens, &response_mask});
  const Targets targets = targets_of({Sft::op, "tokens", 1}, logits, tokens, response_mask);
  const Reduction how = options.reduction;
  if (options.loss_type == SftLossType::nll)
    return composite<Sft>(
        [targets, how](const Tensor& z) { return next_losses_of(z, targets, how); }, logits);
  return composite<DynamicSft>(
      [targets, how](const Tensor& z) {
        const Tensor nll = next_losses_of(z, targets, Reduction::none);
        const Tensor p = nll.detach().neg().exp();
        // -p log p is 0 for a p of 0, and not 0 times infinity.
        const Tensor losses = nll.masked_fill(eq(p, 0), 0) * p;
        if (how == Reduction::none) return losses;
        return how == Reduction::sum ? losses.sum() : losses.sum() / targets.divisor();
      },
      logits);
}

Tensor masked_lm_loss(const Tensor& logits, const Tensor& labels, const MaskedLmOptions& options) {
  refuse_batchmean(MaskedLm::op, options.reduction);
  const Targets targets =
      targets_of({MaskedLm::op, "labels", 0, options.ignore_index}, logits, labels);
  return composite<MaskedLm>(
      [targets, how = options.reduction](const Tensor& z) { return losses_of(z, targets, how); },
      logits);
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
