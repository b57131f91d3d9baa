#include <retrace/data/tasks/markov_chain.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

using Numbers = std::vector<double>;

// Divides by the sum, which is returned.
double normalise(std::span<double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return sum;
}

Numbers product(const Numbers& a, const Numbers& b, std::size_t n) {
  Numbers c(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t j = 0; j < n; ++j) c[i * n + j] += a[i * n + k] * b[k * n + j];
  return c;
}

Numbers transition_matrix(const MarkovChainOptions& options) {
  const auto n = static_cast<std::size_t>(options.states);
  Numbers p(n * n);
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t column = 0; column < n; ++column) {
      const auto i = static_cast<double>(row), j = static_cast<double>(column);
      p[row * n + column] =
          std::exp(options.contrast * std::cos(1.3 * i + 2.1 * j * j + 0.7 * i * j));
    }
    normalise({p.data() + row * n, n});
  }
  return p;
}

// Any row of P^∞. No probability is 0, so the powers converge.
Numbers stationary_distribution(Numbers p, std::size_t n) {
  for (int doubling = 0; doubling < 64; ++doubling) {
    p = product(p, p, n);
    for (std::size_t row = 0; row < n; ++row) normalise({p.data() + row * n, n});
  }
  p.resize(n);
  return p;
}

double entropy_of(std::span<const double> distribution) {
  double sum = 0;
  for (const double p : distribution) sum -= p > 0 ? p * std::log(p) : 0;
  return sum;
}

std::int64_t draw(std::span<const double> distribution, Generator& generator) {
  double left = generator.next_uniform();
  for (std::size_t i = 0; i < distribution.size(); ++i) {
    left -= distribution[i];
    if (left < 0) return static_cast<std::int64_t>(i);
  }
  return std::ssize(distribution) - 1;  // rounding
}

void check(const Corruption& corruption) {
  const double q = corruption.mask_prob, mask = corruption.p_mask, random = corruption.p_random;
  require<ValueError>(q > 0 && q < 1 && mask >= 0 && random >= 0 && mask + random <= 1 + 1e-12,
                      "MarkovChain: mask_prob {} must lie between 0 and 1, p_mask {} and p_random "
                      "{} not below 0 nor together above 1",
                      q, mask, random);
}

// What the tokens of one row may be, given what is shown of them.
class Posterior {
 public:
  Posterior(const Numbers& p, const Numbers& pi, const Corruption& corruption)
      : p_(p), pi_(pi), states_(pi.size()) {
    const double q = corruption.mask_prob, random = corruption.p_random;
    const double anything = random / static_cast<double>(states_);
    const double kept = std::max(1 - corruption.p_mask - random, 0.0);
    shown_ = {q * anything, 1 - q + q * kept};
    chosen_ = {anything, kept};
  }

  void read(std::span<const std::int64_t> row) {
    row_ = row;
    before_.assign(row.size() * states_, 0);
    after_.assign(row.size() * states_, 1);
    std::copy(pi_.begin(), pi_.end(), before_.begin());
    Numbers here(states_);
    for (std::size_t t = 0; t + 1 < row.size(); ++t) {
      for (std::size_t i = 0; i < states_; ++i)
        here[i] = before_[t * states_ + i] * evidence(shown_, t, i);
      double* next = &before_[(t + 1) * states_];
      for (std::size_t i = 0; i < states_; ++i)
        for (std::size_t j = 0; j < states_; ++j) next[j] += here[i] * p_[i * states_ + j];
      normalise({next, states_});
    }
    for (std::size_t t = row.size() - 1; t > 0; --t) {
      for (std::size_t j = 0; j < states_; ++j)
        here[j] = after_[t * states_ + j] * evidence(shown_, t, j);
      double* previous = &after_[(t - 1) * states_];
      for (std::size_t i = 0; i < states_; ++i)
        previous[i] = std::inner_product(here.begin(), here.end(), &p_[i * states_], 0.0);
      normalise({previous, states_});
    }
  }

  // Of this token at place t, which was chosen. NaN if no token could be there.
  double of(std::size_t t, std::int64_t token) const {
    double sum = 0, wanted = 0;
    for (std::size_t i = 0; i < states_; ++i) {
      const double weight =
          before_[t * states_ + i] * evidence(chosen_, t, i) * after_[t * states_ + i];
      sum += weight;
      if (static_cast<std::int64_t>(i) == token) wanted = weight;
    }
    return wanted / sum;
  }

 private:
  struct Evidence {
    double wrong, more_if_right;
  };

  // How likely it is to be shown what is shown at t, up to a factor, if the token is i. A mask
  // is as likely for each.
  double evidence(const Evidence& how, std::size_t t, std::size_t i) const {
    const auto shown = static_cast<std::size_t>(row_[t]);
    if (shown == states_) return 1;
    return how.wrong + (shown == i ? how.more_if_right : 0);
  }

  const Numbers &p_, &pi_;
  std::size_t states_;
  Evidence shown_, chosen_;
  std::span<const std::int64_t> row_;
  Numbers before_, after_;  // [length, states]: what the tokens before, and after, a place tell
};

}  // namespace

MarkovChain::MarkovChain(const MarkovChainOptions& options) : options_(options) {
  require<ValueError>(options.states >= 2, "MarkovChain: needs two states or more, not {}",
                      options.states);
  require<ValueError>(options.contrast >= 0 && options.contrast <= 20,
                      "MarkovChain: the contrast must lie in [0, 20], not {}", options.contrast);
  p_ = transition_matrix(options);
  pi_ = stationary_distribution(p_, static_cast<std::size_t>(options.states));
}

Tensor MarkovChain::transitions() const {
  return from_vector(p_, Shape{options_.states, options_.states});
}

Tensor MarkovChain::stationary() const { return from_vector(pi_); }

Tensor MarkovChain::sample(std::int64_t rows, std::int64_t length, Generator& generator) const {
  const auto states = static_cast<std::size_t>(options_.states);
  Tensor tokens = empty({rows, length}, kInt64);
  auto* token = elements<std::int64_t>(tokens);
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t t = 0; t < length; ++t, ++token) {
      const double* next = t == 0 ? pi_.data() : &p_[static_cast<std::size_t>(token[-1]) * states];
      *token = draw({next, states}, generator);
    }
  return tokens;
}

TensorDataset MarkovChain::mask_every(const Tensor& tokens, std::int64_t every,
                                      Generator& generator) const {
  require<ShapeError>(tokens.dim() == 2, "MarkovChain: tokens must be [rows, length], not {}",
                      tokens.sizes());
  const std::int64_t rows = tokens.size(0), length = tokens.size(1);
  require<ValueError>(every >= 2 && length >= every + 2,
                      "MarkovChain: to hide every {}th of {} tokens, all between shown ones, takes "
                      "2 or more, and at most the length less 2",
                      every, length);
  TensorDataset masked = {tokens.to(kInt64).clone(), full({rows, length}, -100, kInt64)};
  auto* input = elements<std::int64_t>(masked.inputs);
  auto* target = elements<std::int64_t>(masked.targets);
  for (std::int64_t row = 0; row < rows; ++row, input += length, target += length) {
    for (std::int64_t t = 1 + generator.next_below(every); t < length - 1; t += every) {
      target[t] = input[t];
      input[t] = mask_id();
    }
  }
  return masked;
}

std::vector<double> MarkovChain::entropies(std::int64_t steps) const {
  const std::size_t n = pi_.size();
  Numbers power = p_, result;
  for (std::int64_t step = 0; step < steps; ++step) {
    if (step > 0) power = product(power, p_, n);
    double h = 0;
    for (std::size_t i = 0; i < n; ++i) h += pi_[i] * entropy_of({&power[i * n], n});
    result.push_back(h);
  }
  return result;
}

double MarkovChain::entropy(std::int64_t steps) const {
  require<ValueError>(steps >= 1, "MarkovChain: steps must be 1 or more, not {}", steps);
  return entropies(steps).back();
}

double MarkovChain::stationary_entropy() const { return entropy_of(pi_); }

double MarkovChain::oracle_loss(const TensorDataset& rows, const Corruption& corruption) const {
  check(corruption);
  check_dataset("MarkovChain", rows);
  require<ShapeError>(rows.inputs.dim() == 2 && rows.inputs.sizes() == rows.targets.sizes(),
                      "MarkovChain: inputs {} and targets {} must be [rows, length] alike",
                      rows.inputs.sizes(), rows.targets.sizes());
  const std::vector<std::int64_t> inputs = rows.inputs.to_vector<std::int64_t>();
  const std::vector<std::int64_t> targets = rows.targets.to_vector<std::int64_t>();
  for (const std::int64_t token : inputs)
    require<IndexError>(token >= 0 && token <= mask_id(),
                        "MarkovChain: input {} is neither one of {} tokens nor the mask", token,
                        options_.states);
  const auto length = static_cast<std::size_t>(rows.inputs.size(1));
  Posterior posterior(p_, pi_, corruption);
  double sum = 0;
  std::int64_t count = 0;
  for (std::size_t begin = 0; begin < inputs.size(); begin += length) {
    posterior.read({&inputs[begin], length});
    for (std::size_t t = 0; t < length; ++t) {
      const std::int64_t target = targets[begin + t];
      if (target == -100) continue;
      require<IndexError>(target >= 0 && target < options_.states,
                          "MarkovChain: target {} is not one of {} tokens", target,
                          options_.states);
      const double p = posterior.of(t, target);
      require<ValueError>(p > 0,
                          "MarkovChain: input {} rules target {} out; the rows were not hidden "
                          "with p_mask {} and p_random {}",
                          inputs[begin + t], target, corruption.p_mask, corruption.p_random);
      sum -= std::log(p);
      ++count;
    }
  }
  require<ValueError>(count > 0, "MarkovChain: there is no target among {} tokens", inputs.size());
  return sum / static_cast<double>(count);
}

double MarkovChain::isolated_floor() const { return 2 * entropy(1) - entropy(2); }

double MarkovChain::random_floor(std::int64_t length, double q) const {
  require<ValueError>(length >= 1 && q > 0 && q < 1,
                      "MarkovChain: length {} must be 1 or more, q {} between 0 and 1", length, q);
  const Numbers h = entropies(2 * length);
  const double single = stationary_entropy();
  const auto at = [](std::int64_t n) { return static_cast<std::size_t>(n - 1); };
  // The nearest shown token is at distance a, and that there is none within n places.
  const auto first_at = [q](std::int64_t a) {
    return (1 - q) * std::pow(q, static_cast<double>(a - 1));
  };
  const auto none_within = [q](std::int64_t n) { return std::pow(q, static_cast<double>(n)); };
  double sum = 0;
  for (std::int64_t left = 0; left < length; ++left) {
    const std::int64_t right = length - 1 - left;
    for (std::int64_t a = 1; a <= left; ++a) {
      for (std::int64_t b = 1; b <= right; ++b)
        sum += first_at(a) * first_at(b) * (h[at(a)] + h[at(b)] - h[at(a + b)]);
      sum += first_at(a) * none_within(right) * h[at(a)];
    }
    for (std::int64_t b = 1; b <= right; ++b) sum += none_within(left) * first_at(b) * h[at(b)];
    sum += none_within(length - 1) * single;
  }
  return sum / static_cast<double>(length);
}

}  // namespace retrace::data
