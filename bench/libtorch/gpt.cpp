#include <retrace/bench/gpt.h>

#include <cmath>
#include <functional>
#include <limits>

#include <torch/torch.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

using torch::Tensor;

// Keys and values of one layer, [heads, context, width / heads].
struct Cache {
  Tensor keys, values;
};

using Norm = torch::nn::LayerNorm;
torch::nn::LayerNormOptions width_of(const GptSizes& s) {
  return torch::nn::LayerNormOptions({s.width});
}

struct Block : torch::nn::Module {
  Block(const GptSizes& s, const Tensor& mask)
      : ln1(register_module("ln1", Norm(width_of(s)))),
        qkv(register_module("qkv", torch::nn::Linear(s.width, 3 * s.width))),
        proj(register_module("proj", torch::nn::Linear(s.width, s.width))),
        ln2(register_module("ln2", Norm(width_of(s)))),
        fc(register_module("fc", torch::nn::Linear(s.width, 4 * s.width))),
        out(register_module("out", torch::nn::Linear(4 * s.width, s.width))),
        sizes(s),
        causal(mask) {}

  // Of x, [batch · steps, width]: addmm, where a third dim would cost a pass for the bias.
  Tensor forward(const Tensor& x, int64_t batch, Cache* cache, int64_t past) {
    const Tensor y = x + proj(attend(qkv(ln1(x)), batch, cache, past));
    return y + out(torch::gelu(fc(ln2(y))));
  }

  Tensor attend(const Tensor& projected, int64_t batch, Cache* cache, int64_t past) {
    const int64_t steps = projected.size(0) / batch, head = sizes.width / sizes.heads;
    const std::vector<Tensor> parts = projected.view({batch, steps, 3, sizes.heads, head})
                                          .permute({2, 0, 3, 1, 4})
                                          .reshape({3, batch * sizes.heads, steps, head})
                                          .unbind(0);
    Tensor k = parts[1], v = parts[2];
    if (cache != nullptr) {
      cache->keys.narrow(1, past, steps).copy_(k);
      cache->values.narrow(1, past, steps).copy_(v);
      k = cache->keys.narrow(1, 0, past + steps);
      v = cache->values.narrow(1, 0, past + steps);
    }
    const Tensor mask = causal.narrow(1, past, steps).narrow(2, 0, past + steps);
    const double scale = 1 / std::sqrt(static_cast<double>(head));
    const Tensor scores = torch::baddbmm(mask, parts[0], k.transpose(1, 2), 1, scale);
    return torch::bmm(scores.softmax(-1), v)
        .view({batch, sizes.heads, steps, head})
        .transpose(1, 2)
        .reshape({batch * steps, sizes.width});
  }

  Norm ln1;
  torch::nn::Linear qkv, proj;
  Norm ln2;
  torch::nn::Linear fc, out;
  GptSizes sizes;
  Tensor causal;  // [1, context, context], added to scores
};

struct Gpt : torch::nn::Module {
  explicit Gpt(const GptSizes& s)
      : sizes(s),
        causal(torch::full({1, s.context, s.context}, -std::numeric_limits<float>::infinity())
                   .triu(1)),
        positions(register_parameter("positions", torch::empty({s.context, s.width}))),
        tokens(register_parameter("tokens", torch::empty({kGptVocabulary, s.width}))),
        norm(width_of(s)),
        head(torch::nn::LinearOptions(s.width, kGptVocabulary).bias(false)) {
    for (int64_t i = 0; i < s.layers; ++i)
      blocks.push_back(
          register_module("block" + std::to_string(i), std::make_shared<Block>(s, causal)));
    register_module("norm", norm);
    register_module("head", head);
  }

  // Of [batch, steps] tokens to [batch · steps, width].
  Tensor features(const Tensor& ids, std::vector<Cache>* caches = nullptr, int64_t past = 0) {
    const int64_t batch = ids.size(0), steps = ids.size(1);
    Tensor x = torch::embedding(tokens, ids) + positions.narrow(0, past, steps);
    x = x.view({batch * steps, sizes.width});
    for (size_t i = 0; i < blocks.size(); ++i)
      x = blocks[i]->forward(x, batch, caches != nullptr ? &(*caches)[i] : nullptr, past);
    return norm(x);
  }
  Tensor logits(const Tensor& ids) { return head(features(ids)); }

  GptSizes sizes;
  Tensor causal, positions, tokens;
  std::vector<std::shared_ptr<Block>> blocks;
  Norm norm;
  torch::nn::Linear head;
};

std::shared_ptr<Gpt> make_gpt(const GptSizes& sizes, GptNumbers& numbers) {
  const auto model = std::make_shared<Gpt>(sizes);
  const torch::NoGradGuard no_grad;
  int64_t count = 0;
  for (const auto& entry : model->named_parameters()) {
    Tensor p = entry.value();
    count += p.numel();
    if (p.dim() == 2) numbers.fill_weights(p.data_ptr<float>(), p.numel());
    if (entry.key().find("bias") != std::string::npos) p.zero_();
  }
  check_parameters(count, sizes);
  return model;
}

Tensor make_tokens(const GptSizes& sizes, GptNumbers& numbers) {
  const Tensor tokens = torch::empty({sizes.batch, sizes.context}, torch::kInt64);
  numbers.fill_tokens(tokens.data_ptr<int64_t>(), tokens.numel());
  return tokens;
}

void train(const Run& run, const std::string& workload, Gpt& model,
           const std::function<Tensor()>& loss_of) {
  std::vector<Tensor> parameters = model.parameters();
  torch::optim::AdamW optimizer(
      parameters, torch::optim::AdamWOptions(kGptLearningRate).weight_decay(kGptWeightDecay));
  const auto step = [&] {
    for (Tensor& p : parameters) p.mutable_grad().reset();
    const Tensor loss = loss_of();
    loss.backward();
    optimizer.step();
    return loss;
  };
  double check = 0;
  for (int i = 0; i < kCheckedSteps; ++i) check = step().item<double>();
  report_time(run, workload, "ms/step", 1e3, step, {{"check", check}});
}

void train_on_next_token(const Run& run, const std::string& workload, const GptSizes& sizes) {
  GptNumbers numbers;
  const auto model = make_gpt(sizes, numbers);
  const Tensor tokens = make_tokens(sizes, numbers);
  const Tensor targets = make_tokens(sizes, numbers).flatten();
  train(run, workload, *model,
        [&] { return torch::nn::functional::cross_entropy(model->logits(tokens), targets); });
}

void generate(const Run& run, const std::string& workload, bool use_cache) {
  const torch::InferenceMode unrecorded;
  GptNumbers numbers;
  const auto model = make_gpt(kGptChar, numbers);
  const int64_t head = kGptChar.width / kGptChar.heads;
  std::vector<Cache> caches;
  for (int64_t i = 0; i < kGptChar.layers; ++i)
    caches.push_back({torch::empty({kGptChar.heads, kGptChar.context, head}),
                      torch::empty({kGptChar.heads, kGptChar.context, head})});
  // The sum of the new tokens.
  const auto tokens = [&] {
    Tensor ids = torch::zeros({1, kNewTokens + 1}, torch::kInt64);
    int64_t* const id = ids.data_ptr<int64_t>();
    double sum = 0;
    for (int64_t t = 0; t < kNewTokens; ++t) {
      const Tensor x = use_cache ? model->features(ids.narrow(1, t, 1), &caches, t)
                                 : model->features(ids.narrow(1, 0, t + 1));
      id[t + 1] = model->head(x.narrow(0, x.size(0) - 1, 1)).argmax().item<int64_t>();
      sum += static_cast<double>(id[t + 1]);
    }
    return sum;
  };
  report_rate(run, workload, "tokens/s", static_cast<double>(kNewTokens), tokens,
              {{"check", tokens()}});
}

}  // namespace

void gpt_tiny(const Run& run) { train_on_next_token(run, "gpt_tiny", kGptTiny); }
void gpt_char(const Run& run) { train_on_next_token(run, "gpt_char", kGptChar); }

void gpt_generate_nocache(const Run& run) { generate(run, "gpt_generate_nocache", false); }
void gpt_generate_kvcache(const Run& run) { generate(run, "gpt_generate_kvcache", true); }
void gpt_generate(const Run& run) {
  gpt_generate_nocache(run);
  gpt_generate_kvcache(run);
}

void dpo(const Run& run) {
  GptNumbers numbers, same;
  const auto policy = make_gpt(kGptTiny, numbers), reference = make_gpt(kGptTiny, same);
  const Tensor tokens = make_tokens(kGptTiny, numbers);
  const int64_t pairs = kGptTiny.batch / 2, first = kGptTiny.context - kResponseTokens;
  const Tensor targets = tokens.narrow(1, first, kResponseTokens).unsqueeze(-1).contiguous();
  const auto logps = [&](Gpt& model) {
    return model.logits(tokens)
        .view({kGptTiny.batch, kGptTiny.context, kGptVocabulary})
        .narrow(1, first - 1, kResponseTokens)
        .log_softmax(-1)
        .gather(-1, targets)
        .sum({1, 2});
  };
  train(run, "dpo", *policy, [&] {
    const Tensor ref = [&] {
      const torch::NoGradGuard no_grad;
      return logps(*reference);
    }();
    const Tensor gain = logps(*policy) - ref;
    const Tensor margin = gain.narrow(0, 0, pairs) - gain.narrow(0, pairs, pairs);
    return -torch::log_sigmoid(0.1 * margin).mean();
  });
}

}  // namespace retrace::bench
