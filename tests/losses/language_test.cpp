#include <retrace/autograd/autograd.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace {

using namespace retrace;
using doctest::Approx;
using losses::masked_lm_loss;
using losses::next_token_loss;
using losses::sequence_logps;
using losses::sft_loss;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor tokens_below(std::int64_t count, const Shape& sizes) { return randint(0, count, sizes); }

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

bool all_zero(const Tensor& x) { return count_nonzero(x).item<std::int64_t>() == 0; }

// A chain of logits [1, T, V] as a double loop.
double naive_logp(const Tensor& logits, std::int64_t row, std::int64_t t, std::int64_t token) {
  const std::vector<double> z = values(logits[row][t]);
  double sum = 0;
  for (const double v : z) sum += std::exp(v);
  return z[static_cast<std::size_t>(token)] - std::log(sum);
}

}  // namespace

TEST_CASE("§26 equal logits cost log V, whatever the tokens") {
  const Tensor logits = zeros({2, 4, 50257}).requires_grad_();
  const Tensor loss = next_token_loss(logits, tokens_below(50257, {2, 4}));
  CHECK(loss.item<double>() == Approx(10.824905).epsilon(1e-7));
  CHECK(loss.sizes() == Shape());
}

TEST_CASE("§26 the last position's logits and the first token never enter") {
  Tensor logits = random({2, 5, 7}).requires_grad_();
  const Tensor tokens = tokens_below(7, {2, 5});
  next_token_loss(logits, tokens).backward();
  CHECK(all_zero(logits.grad().select(1, 4)));
  CHECK(count_nonzero(logits.grad().slice(1, 0, 4)).item<std::int64_t>() == 2 * 4 * 7);

  Tensor strange = logits.detach().clone();
  strange.select(1, 4).fill_(kNaN);
  Tensor other = tokens.clone();
  other.select(1, 0).fill_(-7);  // not even a token
  CHECK(next_token_loss(strange, other).equal(next_token_loss(logits, tokens).detach()));
}

TEST_CASE("next_token_loss is the cross-entropy of logits and tokens moved by one") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    Tensor a = random({3, 6, 11}, dtype).requires_grad_(), b = a.detach().clone().requires_grad_();
    const Tensor tokens = tokens_below(11, {3, 6});
    const Tensor loss = next_token_loss(a, tokens);
    const Tensor same =
        losses::cross_entropy(b.slice(1, 0, 5).reshape({15, 11}), tokens.slice(1, 1).reshape({15}));
    CHECK(loss.item<double>() == Approx(same.item<double>()).epsilon(1e-6));
    loss.backward();
    same.backward();
    CHECK(allclose(a.grad(), b.grad(), 1e-5, 1e-7));

    const Tensor each = next_token_loss(a, tokens, {.reduction = Reduction::none});
    CHECK(each.sizes() == Shape({3, 5}));
    for (std::int64_t r = 0; r < 3; ++r) {
      for (std::int64_t t = 0; t < 5; ++t)
        CHECK(each[r][t].item<double>() ==
              Approx(-naive_logp(a, r, t, tokens[r][t + 1].item<std::int64_t>())).epsilon(1e-5));
    }
  }
}

TEST_CASE("next_token_loss leaves out what is ignored or masked, in numerator and divisor") {
  const Tensor logits = random({2, 4, 5});
  const Tensor tokens = tensor({{1, 2, -100, 3}, {0, 4, 4, 1}});
  const Tensor mask = tensor({{1.0, 1.0, 1.0, 1.0}, {1.0, 1.0, 0.0, 0.0}}, kFloat64);
  const double expected =
      -(naive_logp(logits, 0, 0, 2) + naive_logp(logits, 0, 2, 3) + naive_logp(logits, 1, 0, 4)) /
      3;
  CHECK(next_token_loss(logits, tokens, {.mask = mask}).item<double>() == Approx(expected));
  CHECK(next_token_loss(logits, tokens, {.mask = mask.to(kBool)}).item<double>() ==
        Approx(expected));
  const Tensor sum = next_token_loss(logits, tokens, {.mask = mask, .reduction = Reduction::sum});
  CHECK(sum.item<double>() == Approx(3 * expected));

  // Behind the mask there may be anything.
  Tensor strange = logits.clone(), ids = tokens.clone();
  strange[1].slice(0, 1).fill_(kNaN);
  ids[1].slice(0, 2).fill_(99);
  strange.requires_grad_();
  const Tensor loss = next_token_loss(strange, ids, {.mask = mask});
  CHECK(loss.item<double>() == Approx(expected));
  loss.backward();
  CHECK(all(isfinite(strange.grad())).item<bool>());
}

TEST_CASE("token losses of nothing are 0 and have zero gradient") {
  for (const std::int64_t length : {0, 1, 3}) {
    CAPTURE(length);
    Tensor logits = random({2, length, 5}).requires_grad_();
    const Tensor tokens = tokens_below(5, {2, length}), nothing = zeros({2, length}, kBool);
    for (const Tensor& loss :
         {next_token_loss(logits, tokens, {.mask = nothing}), sft_loss(logits, tokens, nothing),
          sft_loss(logits, tokens, nothing, {.loss_type = losses::SftLossType::dft}),
          masked_lm_loss(logits, full({2, length}, -100, kInt64)),
          sequence_logps(logits, tokens, nothing).sum(),
          sequence_logps(logits, tokens, nothing, {.average = true}).sum()}) {
      CHECK(loss.item<double>() == 0.0);
      logits.zero_grad();
      loss.backward();
      CHECK(logits.grad().sizes() == logits.sizes());
      CHECK(all_zero(logits.grad()));
    }
  }
}

TEST_CASE("token losses are finite at ±1e4") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    Tensor logits = tensor({{{1e4, -1e4, 0.0}, {-1e4, 1e4, 0.0}, {0.0, 0.0, 1e4}}}, dtype);
    logits.requires_grad_();
    const Tensor tokens = tensor({{0, 0, 0}}), all_of_it = ones({1, 3}, kBool);
    const Tensor loss = next_token_loss(logits, tokens, {.reduction = Reduction::sum});
    CHECK(loss.item<double>() == 2e4);
    loss.backward();
    CHECK(values(logits.grad()) == std::vector<double>{0, 0, 0, -1, 1, 0, 0, 0, 0});
    logits.zero_grad();
    // dft: the probability of the second target is 0.
    sft_loss(logits, tokens, all_of_it, {.loss_type = losses::SftLossType::dft}).backward();
    CHECK(all_zero(logits.grad()));
  }
}

TEST_CASE("next_token_loss refuses what it cannot read") {
  const Tensor logits = zeros({2, 3, 4});
  CHECK_THROWS_WITH_AS(next_token_loss(logits, tensor({{0, 1, 4}, {0, 1, 2}})),
                       "next_token_loss: tokens [2, 3] hold 4 at [0, 2], outside the vocabulary "
                       "[0, 4) of the logits [2, 3, 4]; check the tokenizer or the last layer's "
                       "size",
                       IndexError);
  CHECK_THROWS_WITH_AS(next_token_loss(logits, tensor({{0, 1, 1}, {0, -1, 2}})),
                       "next_token_loss: tokens [2, 3] hold -1 at [1, 1], outside the vocabulary "
                       "[0, 4) of the logits [2, 3, 4]; check the tokenizer or the last layer's "
                       "size",
                       IndexError);
  CHECK_THROWS_WITH_AS(next_token_loss(logits, zeros({2, 2}, kInt64)),
                       "next_token_loss: tokens are [2, 2] for logits [2, 3, 4]; they must be "
                       "[2, 3], one for each position",
                       ShapeError);
  CHECK_THROWS_WITH_AS(next_token_loss(logits, zeros({2, 3})),
                       "next_token_loss: tokens are float32 [2, 3] for logits [2, 3, 4]; they must "
                       "be int64: convert them with .to(kInt64)",
                       DTypeError);
  CHECK_THROWS_WITH_AS(next_token_loss(zeros({4}), tensor(1)),
                       "next_token_loss: the logits are [4]; they must be [B, T, V], with at least "
                       "one token in the vocabulary",
                       ShapeError);
  CHECK_THROWS_WITH_AS(next_token_loss(zeros({2, 3, 0}), zeros({2, 3}, kInt64)),
                       "next_token_loss: the logits are [2, 3, 0]; they must be [B, T, V], with at "
                       "least one token in the vocabulary",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      next_token_loss(logits, zeros({2, 3}, kInt64), {.mask = ones({2, 2}, kBool)}),
      "next_token_loss: the mask is [2, 2], the rest [2, 3]; give one truth value a token",
      ShapeError);
  CHECK_THROWS_WITH_AS(
      next_token_loss(logits, zeros({2, 3}, kInt64), {.reduction = Reduction::batchmean}),
      "next_token_loss: reduction 'batchmean' is for kl_div; use 'none', 'mean' or 'sum'",
      ValueError);
}

TEST_CASE("token losses are one node of their own name and have second derivatives") {
  Tensor logits = random({2, 3, 4}).requires_grad_();
  const Tensor tokens = tokens_below(4, {2, 3});
  const Tensor loss = next_token_loss(logits, tokens);
  const Node& node = *loss.get().producer;
  CHECK(node.name() == "next_token_loss");
  CHECK(node.input(0).leaf.get() == logits.ref().get());
  CHECK(grad({loss}, {logits}, {}, false, /*create_graph=*/true)[0].requires_grad());
}

TEST_CASE("sequence_logps sums the log-probabilities of the response") {
  Tensor logits = random({2, 4, 5}).requires_grad_();
  const Tensor tokens = tensor({{1, 2, 0, 3}, {0, 4, 4, 1}});
  const Tensor mask = tensor({{false, false, true, true}, {true, true, false, false}});
  const double first = naive_logp(logits, 0, 1, 0) + naive_logp(logits, 0, 2, 3);
  const double second = naive_logp(logits, 1, 0, 4);  // the mask of token 0 has no logits before it
  const std::vector<double> sums = values(sequence_logps(logits, tokens, mask));
  CHECK(sums[0] == Approx(first));
  CHECK(sums[1] == Approx(second));
  const std::vector<double> means = values(sequence_logps(logits, tokens, mask, {.average = true}));
  CHECK(means[0] == Approx(first / 2));
  CHECK(means[1] == Approx(second));

  // Of one sequence alone: a number.
  const Tensor alone = sequence_logps(logits[0], tokens[0], mask[0]);
  CHECK(alone.sizes() == Shape());
  CHECK(alone.item<double>() == Approx(first));
  // Without a mask: minus the loss of all tokens.
  CHECK(sequence_logps(logits, tokens).sum().item<double>() ==
        Approx(-next_token_loss(logits, tokens, {.reduction = Reduction::sum}).item<double>()));
}

TEST_CASE("§30 the prompt's targets do not change the loss; an empty response costs 0") {
  Tensor logits = random({1, 5, 6}).requires_grad_();
  const Tensor response = tensor({{false, false, false, true, true}});
  const Tensor a = sft_loss(logits, tensor({{0, 1, 2, 3, 4}}), response);
  const Tensor b = sft_loss(logits, tensor({{5, 5, 5, 3, 4}}), response);
  CHECK(a.equal(b));
  CHECK(a.item<double>() ==
        Approx(-(naive_logp(logits, 0, 2, 3) + naive_logp(logits, 0, 3, 4)) / 2));
  a.backward();
  CHECK(all_zero(logits.grad()[0].slice(0, 0, 2)));
  CHECK(all_zero(logits.grad()[0][4]));
  // The last token of the prompt predicts the first of the response.
  CHECK(!all_zero(logits.grad()[0][2]));
  CHECK(sft_loss(logits, tensor({{0, 1, 2, 3, 4}}), zeros({1, 5}, kBool)).item<double>() == 0.0);
}

TEST_CASE("dft weighs the loss of each token by its probability, which is a constant") {
  Tensor logits = random({1, 3, 4}).requires_grad_();
  const Tensor tokens = tensor({{0, 1, 2}}), response = ones({1, 3}, kBool);
  const Tensor loss = sft_loss(logits, tokens, response, {.loss_type = losses::SftLossType::dft});
  const double p0 = naive_logp(logits, 0, 0, 1), p1 = naive_logp(logits, 0, 1, 2);
  CHECK(loss.item<double>() == Approx(-(std::exp(p0) * p0 + std::exp(p1) * p1) / 2));
  loss.backward();
  const std::vector<double> d = values(logits.grad()[0][0]);
  const std::vector<double> p = values(softmax(logits.detach()[0][0], 0));
  for (std::size_t k = 0; k < 4; ++k)
    CHECK(d[k] == Approx(std::exp(p0) * (p[k] - (k == 1 ? 1.0 : 0.0)) / 2));
  CHECK(loss.get().producer->name() == "sft_loss");
  // -p log p is 0 where a target is impossible, and adds nothing to the gradient.
  Tensor cut = logits.detach().clone();
  cut[0][0][1] = -std::numeric_limits<double>::infinity();
  cut.requires_grad_();
  const Tensor less = sft_loss(cut, tokens, response, {.loss_type = losses::SftLossType::dft});
  CHECK(less.item<double>() == Approx(-std::exp(p1) * p1 / 2));
  less.backward();
  CHECK(all_zero(cut.grad()[0][0]));
  CHECK(isfinite(cut.grad()).all().item<bool>());
  CHECK(losses::sft_loss_type_from_string("dft") == losses::SftLossType::dft);
  CHECK_THROWS_WITH_AS(losses::sft_loss_type_from_string("sft"),
                       "sft_loss: loss_type 'sft' is not known; use one of 'nll', 'dft'",
                       ValueError);
}

TEST_CASE("§27 the masked loss sees only the chosen positions; equal logits cost log V") {
  Tensor logits = random({2, 3, 5}).requires_grad_();
  const Tensor labels = tensor({{-100, 3, -100}, {-100, -100, 0}});
  const Tensor loss = masked_lm_loss(logits, labels);
  CHECK(loss.item<double>() ==
        Approx(-(naive_logp(logits, 0, 1, 3) + naive_logp(logits, 1, 2, 0)) / 2));
  loss.backward();
  CHECK(count_nonzero(logits.grad()).item<std::int64_t>() == 2 * 5);
  CHECK(masked_lm_loss(zeros({1, 2, 30522}), tensor({{7, -100}})).item<double>() ==
        Approx(10.326203).epsilon(1e-7));
}

TEST_CASE("§27 about 12 % of the tokens become the mask, 1.5 % random ones, 1.5 % stay") {
  Generator generator(3);
  const std::int64_t n = 200000, mask = 1000;
  const Tensor ids = randint(0, 500, {n}, &generator);
  Tensor special = zeros({n}, kBool);
  special.slice(0, 0, n / 4).fill_(true);
  const auto [seen, labels] = losses::mlm_corrupt(
      ids, special, {.mask_id = mask, .vocab_size = 500, .generator = &generator});
  const auto share = [&](const Tensor& of) {
    return static_cast<double>(count_nonzero(of).item<std::int64_t>()) / (0.75 * double(n));
  };
  const Tensor chosen = ne(labels, -100);
  CHECK(share(chosen) == Approx(0.15).epsilon(0.03));
  CHECK(share(eq(seen, mask)) == Approx(0.12).epsilon(0.03));
  CHECK(share(ne(seen, ids) && ne(seen, mask)) == Approx(0.015 * 499 / 500).epsilon(0.1));
  CHECK(share(chosen && eq(seen, ids)) == Approx(0.015 * 501 / 500).epsilon(0.1));
  // A special token is never chosen; others stay as they were, and labels are the old tokens.
  CHECK(!any(chosen && special).item<bool>());
  CHECK(where(chosen, ids, seen).equal(ids));
  CHECK(where(chosen, labels, ids).equal(ids));
}

TEST_CASE("mlm_corrupt refuses impossible shares, and a vocabulary that it would have to guess") {
  const Tensor ids = zeros({4}, kInt64), special = zeros({4}, kBool);
  CHECK_THROWS_WITH_AS(losses::mlm_corrupt(ids, special, {.vocab_size = 9}),
                       "mlm_corrupt: mask_id is -1; give the token that masks", ValueError);
  CHECK_THROWS_WITH_AS(losses::mlm_corrupt(ids, special, {.mask_id = 0}),
                       "mlm_corrupt: vocab_size is 0; random tokens need the size of the "
                       "vocabulary",
                       ValueError);
  CHECK_THROWS_WITH_AS(losses::mlm_corrupt(ids, special, {.mask_id = 0, .mask_prob = 1.5}),
                       "mlm_corrupt: mask_prob is 1.5; it must be in [0, 1]", ValueError);
  CHECK_THROWS_WITH_AS(
      losses::mlm_corrupt(ids, special, {.mask_id = 0, .p_mask = 1, .p_random = -0.5}),
      "mlm_corrupt: p_random is -0.5; it must be in [0, 1]", ValueError);
  CHECK_THROWS_WITH_AS(
      losses::mlm_corrupt(ids, special, {.mask_id = 0, .p_mask = 0.8, .p_random = 0.3}),
      "mlm_corrupt: p_mask 0.8 and p_random 0.3 are more than 1 together", ValueError);
  CHECK_THROWS_WITH_AS(losses::mlm_corrupt(ids, zeros({3}, kBool), {.mask_id = 0, .vocab_size = 9}),
                       "mlm_corrupt: special is [3], ids are [4]; they must be equal", ShapeError);
  // Nothing is drawn that is not needed.
  const auto [seen, labels] =
      losses::mlm_corrupt(ids, special, {.mask_id = 5, .mask_prob = 1, .p_mask = 1, .p_random = 0});
  CHECK(seen.equal(full({4}, 5, kInt64)));
  CHECK(labels.equal(ids));
}

TEST_CASE("§28 perplexity is exp of the mean, weighed by tokens over batches") {
  const double ten = std::log(10.0);
  CHECK(losses::perplexity(tensor(ten, kFloat64)).item<double>() == Approx(10));
  CHECK(losses::bits_per_token(tensor(ten, kFloat64)).item<double>() == Approx(3.321928));
  const Tensor sums = tensor({20.0, 270.0}, kFloat64), tokens = tensor({10, 90});
  CHECK(losses::perplexity_aggregate(sums, tokens).item<double>() == Approx(18.174145));

  losses::TokenAverage average;
  CHECK(std::isnan(average.perplexity()));
  average.add(20, 10);
  average.add(0, 0);
  average.add(270, 90);
  CHECK(average.tokens() == 100);
  CHECK(average.mean_nll() == Approx(2.9));
  CHECK(average.perplexity() == Approx(18.174145));
  CHECK(average.bits_per_token() == Approx(2.9 / std::numbers::ln2));
  CHECK(average.bits_per_byte(400) == Approx(2.9 / std::numbers::ln2 / 4));
  CHECK(losses::bits_per_byte(sums, tensor({40, 360})).item<double>() ==
        Approx(average.bits_per_byte(400)));
  CHECK(std::pow(2.0, average.bits_per_token()) == Approx(average.perplexity()));
}

TEST_CASE("perplexity overflows to infinity, and of no tokens there is none") {
  CHECK(std::isinf(losses::perplexity(tensor(1e4)).item<double>()));
  CHECK_THROWS_WITH_AS(losses::perplexity_aggregate(tensor({0.0}), tensor({0})),
                       "perplexity_aggregate: tokens [1] sum to 0; there is nothing to average",
                       ValueError);
  CHECK_THROWS_WITH_AS(losses::bits_per_byte(tensor({1.0}), tensor({-1})),
                       "bits_per_byte: num_bytes [1] hold -1; they must not be negative",
                       ValueError);
  CHECK_THROWS_WITH_AS(losses::perplexity_aggregate(tensor({1.0, 2.0}), tensor({1})),
                       "perplexity_aggregate: nll_sum is [2], tokens are [1]; give one number of "
                       "each for a batch",
                       ShapeError);
  losses::TokenAverage average;
  CHECK_THROWS_WITH_AS(average.add(1, -1),
                       "TokenAverage: -1 tokens were added; a batch has 0 or more", ValueError);
}
