#include <retrace/bench/gpt.h>

#include <functional>

#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

nn::Gpt make_gpt(const GptSizes& sizes, GptNumbers& numbers) {
  nn::Gpt model(kGptVocabulary, {.context = sizes.context,
                                 .layers = sizes.layers,
                                 .heads = sizes.heads,
                                 .embed_dim = sizes.width});
  std::int64_t count = 0;
  for (const Tensor& p : model.parameters()) {
    count += p.numel();
    if (p.dim() == 2) numbers.fill_weights(p.data_ptr<float>(), p.numel());
  }
  check_parameters(count, sizes);
  return model;
}

Tensor make_tokens(const GptSizes& sizes, GptNumbers& numbers) {
  const Tensor tokens = empty({sizes.batch, sizes.context}, kInt64);
  numbers.fill_tokens(tokens.data_ptr<std::int64_t>(), tokens.numel());
  return tokens;
}

void train(const Run& run, const std::string& workload, const nn::Gpt& model,
           const std::function<Tensor()>& loss_of, Fields fields = {}) {
  optim::AdamW optimizer(model.parameters(),
                         {.lr = kGptLearningRate, .weight_decay = kGptWeightDecay});
  const auto step = [&] {
    optimizer.zero_grad();
    const Tensor loss = loss_of();
    loss.backward();
    optimizer.step();
    return loss;
  };
  double check = 0;
  for (int i = 0; i < kCheckedSteps; ++i) check = step().item<double>();
  fields.emplace_back("check", check);
  report_time(run, workload, "ms/step", 1e3, step, fields);
}

// Of a training step: what its products multiply and add; of the scores, those that are seen.
double gflop(const GptSizes& sizes) {
  const auto [layers, width, heads, context, batch, parameters] = sizes;
  const std::int64_t weights = 12 * layers * width * width + width * kGptVocabulary;
  const std::int64_t scores = layers * context * width;
  return 6e-9 * static_cast<double>(batch * context * (weights + scores));
}

void train_on_next_token(const Run& run, const std::string& workload, const GptSizes& sizes,
                         Fields fields = {}) {
  GptNumbers numbers;
  const nn::Gpt model = make_gpt(sizes, numbers);
  const Tensor tokens = make_tokens(sizes, numbers);
  const Tensor targets = make_tokens(sizes, numbers).flatten();
  fields.emplace_back("gflop", gflop(sizes));
  train(
      run, workload, model,
      [&] { return losses::cross_entropy(model(tokens).flatten(0, 1), targets); }, fields);
}

// A training step for each of the values that a size may have. Rising: the peak of the memory is
// then that of the last.
void scale(const Run& run, const std::string& workload, std::int64_t GptSizes::*size,
           std::int64_t from, std::int64_t to) {
  GptSizes sizes = {2, 128, 4, 64, 8};
  for (std::int64_t value = from; value <= to; value *= 2) {
    sizes.*size = value;
    train_on_next_token(run, workload, sizes, {{"x", static_cast<double>(value)}});
  }
}

void generate(const Run& run, const std::string& workload, bool use_cache) {
  GptNumbers numbers;
  const nn::Gpt model = make_gpt(kGptChar, numbers);
  const nn::GenerateOptions options = {
      .max_new_tokens = kNewTokens, .sampling = {.greedy = true}, .use_cache = use_cache};
  const auto tokens = [&] { return nn::generate(model, {{0}}, options)[0]; };
  double sum = 0;
  for (const std::int64_t token : tokens()) sum += static_cast<double>(token);
  report_rate(run, workload, "tokens/s", static_cast<double>(kNewTokens), tokens, {{"check", sum}});
}

}  // namespace

// W4.
void gpt_tiny(const Run& run) { train_on_next_token(run, "gpt_tiny", kGptTiny); }

// W5.
void gpt_char(const Run& run) { train_on_next_token(run, "gpt_char", kGptChar); }

void scaling_batch(const Run& run) { scale(run, "scaling_batch", &GptSizes::batch, 1, 128); }
void scaling_width(const Run& run) { scale(run, "scaling_width", &GptSizes::width, 16, 1024); }
void scaling_context(const Run& run) { scale(run, "scaling_context", &GptSizes::context, 8, 2048); }
void scaling_depth(const Run& run) { scale(run, "scaling_depth", &GptSizes::layers, 1, 32); }

// W8.
void gpt_generate_nocache(const Run& run) { generate(run, "gpt_generate_nocache", false); }
void gpt_generate_kvcache(const Run& run) { generate(run, "gpt_generate_kvcache", true); }
void gpt_generate(const Run& run) {
  gpt_generate_nocache(run);
  gpt_generate_kvcache(run);
}

// W10.
void dpo(const Run& run) {
  GptNumbers numbers;
  const nn::Gpt policy = make_gpt(kGptTiny, numbers), reference = nn::clone(policy);
  const Tensor tokens = make_tokens(kGptTiny, numbers);
  const std::int64_t pairs = kGptTiny.batch / 2;
  Tensor response = zeros(tokens.sizes(), kBool);
  response.narrow(1, kGptTiny.context - kResponseTokens, kResponseTokens).fill_(true);
  const auto logps = [&](const nn::Gpt& model) {
    return losses::sequence_logps(model(tokens), tokens, response);
  };
  const auto loss = [&] {
    const Tensor ref = [&] {
      const NoGradGuard no_grad;
      return logps(reference);
    }();
    const Tensor pi = logps(policy);
    return losses::dpo_loss(pi.narrow(0, 0, pairs), pi.narrow(0, pairs, pairs),
                            ref.narrow(0, 0, pairs), ref.narrow(0, pairs, pairs), {.beta = 0.1})
        .loss;
  };
  // A step is three passes over the weights, the reference takes one more.
  train(run, "dpo", policy, loss, {{"gflop", gflop(kGptTiny) * 4 / 3}});
}

}  // namespace retrace::bench
