#include <retrace/nn/sampling.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <retrace/autograd/grad_mode.h>
#include <retrace/nn/eval_guard.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>

namespace retrace::nn {
namespace {

using Tokens = std::vector<std::int64_t>;

void check(const SamplingOptions& o) {
  require<ValueError>(o.temperature > 0 && std::isfinite(o.temperature),
                      "sample_tokens: temperature is {}; give one above 0, or greedy = true for "
                      "the most probable token",
                      o.temperature);
  require<ValueError>(o.top_k >= 0, "sample_tokens: top_k is {}; give at least 1, or 0 for all",
                      o.top_k);
  require<ValueError>(o.top_p > 0 && o.top_p <= 1,
                      "sample_tokens: top_p is {}; give a share in (0, 1]", o.top_p);
}

// A token with its weight in the draw, at first its logit.
struct Candidate {
  std::int64_t token;
  double weight;
};

// The k candidates with the largest logits in front, sorted; equal ones by token.
void sort_largest(std::vector<Candidate>& all, std::int64_t k) {
  std::partial_sort(all.begin(), all.begin() + k, all.end(),
                    [](const Candidate& a, const Candidate& b) {
                      return a.weight > b.weight || (a.weight == b.weight && a.token < b.token);
                    });
}

std::int64_t sample_row(const double* logits, std::int64_t n, const SamplingOptions& o,
                        Generator& generator) {
  const double* const largest = std::max_element(logits, logits + n);
  const bool sound = std::none_of(logits, logits + n, [](double x) { return std::isnan(x); }) &&
                     std::isfinite(*largest);
  require<ValueError>(sound, "sample_tokens: a row of logits has no finite largest one");
  if (o.greedy) return largest - logits;
  std::vector<Candidate> candidates;
  candidates.reserve(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) candidates.push_back({i, logits[i]});
  if (o.top_k > 0 && o.top_k < n) {
    sort_largest(candidates, o.top_k);
    candidates.resize(static_cast<std::size_t>(o.top_k));
  }
  if (o.top_p < 1) sort_largest(candidates, std::ssize(candidates));
  double total = 0;
  for (Candidate& c : candidates)
    total += c.weight = std::exp((c.weight - *largest) / o.temperature);
  if (o.top_p < 1) {
    double share = 0;
    auto end = candidates.begin();
    while (end != candidates.end() && share < o.top_p * total) share += (end++)->weight;
    candidates.erase(end, candidates.end());
    total = share;
  }
  double left = generator.next_uniform() * total;
  std::int64_t last = -1;  // with a weight: rounding may leave something behind all of them
  for (const Candidate& c : candidates) {
    if (c.weight > 0) last = c.token;
    left -= c.weight;
    if (left < 0) break;
  }
  return last;
}

/// Rows of tokens that grow together.
class Texts {
 public:
  Texts(const Gpt& model, const std::vector<Tokens>& prompts, const GenerateOptions& options)
      : model_(model),
        rows_(prompts),
        options_(options),
        done_(prompts.size(), options.max_new_tokens == 0),
        count_(prompts.size(), 0) {
    for (const Tokens& prompt : prompts) starts_.push_back(prompt.size());
    length_ = std::min_element(prompts.begin(), prompts.end(), [](auto& a, auto& b) {
                return a.size() < b.size();
              })->size();
  }

  void grow() {
    while (!std::all_of(done_.begin(), done_.end(), [](bool d) { return d; })) {
      const Tensor next = sample_tokens(logits(), options_.sampling);
      for (std::size_t r = 0; r < rows_.size(); ++r) {
        if (rows_[r].size() > length_) continue;  // its prompt goes on
        add(r, next.data_ptr<std::int64_t>()[r]);
      }
      ++length_;
    }
  }

  std::vector<Tokens> new_tokens() const {
    std::vector<Tokens> all;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const auto begin = rows_[r].begin() + static_cast<std::ptrdiff_t>(starts_[r]);
      all.emplace_back(begin, begin + count_[r]);
    }
    return all;
  }

 private:
  // Of the tokens [first, last) of all rows.
  Tensor ids(std::size_t first, std::size_t last) const {
    Tensor x = empty({std::ssize(rows_), static_cast<std::int64_t>(last - first)}, kInt64);
    std::int64_t* to = x.data_ptr<std::int64_t>();
    for (const Tokens& row : rows_)
      to = std::copy_n(row.begin() + static_cast<std::ptrdiff_t>(first), last - first, to);
    return x;
  }

  Tensor logits() {
    const auto context = static_cast<std::size_t>(model_.options().context);
    if (length_ - first_ > context) {
      first_ = length_ - (context + 1) / 2;
      read_ = first_;
      cache_.clear();
    }
    if (!options_.use_cache) return model_.next_logits(ids(first_, length_));
    const Tensor fresh = ids(read_, length_);
    read_ = length_;
    return model_.next_logits(fresh, &cache_);
  }

  void add(std::size_t row, std::int64_t token) {
    rows_[row].push_back(token);
    if (done_[row]) return;  // kept as long as the others, and not given out
    const std::int64_t count = ++count_[row];
    done_[row] = count == options_.max_new_tokens || token == options_.stop;
    if (row == 0 && options_.on_token && !options_.on_token(token))
      done_.assign(rows_.size(), true);
  }

  const Gpt& model_;
  std::vector<Tokens> rows_;
  const GenerateOptions& options_;
  std::vector<bool> done_;
  std::vector<std::size_t> starts_;
  std::vector<std::int64_t> count_;
  std::size_t length_ = 0, first_ = 0,
              read_ = 0;  // of all rows: how long, read from where, to where
  KeyValueCache cache_;
};

}  // namespace

Tensor sample_tokens(const Tensor& logits, const SamplingOptions& options) {
  check(options);
  require<ShapeError>(logits.defined() && logits.dim() == 2 && logits.size(1) > 0,
                      "sample_tokens: logits are {}; give [rows, V]",
                      logits.defined() ? logits.sizes() : Shape());
  require<DTypeError>(logits.is_floating_point(),
                      "sample_tokens: logits are {}; give floating ones", logits.dtype());
  const NoGradGuard no_grad;
  Generator& generator = options.generator != nullptr ? *options.generator : default_generator();
  const Tensor numbers = logits.to(kFloat64).contiguous();
  const std::int64_t n = logits.size(1);
  Tensor tokens = empty({logits.size(0)}, kInt64);
  for (std::int64_t r = 0; r < logits.size(0); ++r)
    tokens.data_ptr<std::int64_t>()[r] =
        sample_row(numbers.data_ptr<double>() + r * n, n, options, generator);
  return tokens;
}

std::vector<Tokens> generate(const Gpt& model, const std::vector<Tokens>& prompts,
                             const GenerateOptions& options) {
  check(options.sampling);
  require<ValueError>(options.max_new_tokens >= 0,
                      "generate: max_new_tokens is {}; give at least 0", options.max_new_tokens);
  require<ValueError>(!prompts.empty(), "generate: there is no prompt; give at least one");
  const std::int64_t context = model.options().context;
  for (const Tokens& prompt : prompts) {
    require<ValueError>(!prompt.empty(), "generate: a prompt is empty; give at least one token");
    require<ValueError>(std::ssize(prompt) <= context,
                        "generate: a prompt has {} tokens; this model reads at most {}",
                        prompt.size(), context);
    for (const std::int64_t token : prompt)
      require<IndexError>(token >= 0 && token < model.vocab_size(),
                          "generate: token {} is outside of the vocabulary of {}", token,
                          model.vocab_size());
  }
  const NoGradGuard no_grad;
  const EvalGuard eval(model);
  Texts texts(model, prompts, options);
  texts.grow();
  return texts.new_tokens();
}

}  // namespace retrace::nn
