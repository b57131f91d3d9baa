#pragma once

// The four models that are trained here and in PyTorch: models.py holds them a second time, under
// the same names, with the same steps. docs/pytorch.md shows parts of both files.

#include <string>
#include <vector>

#include <retrace/retrace.h>

namespace retrace::testing {

/// What a model is trained on: row t of each tensor belongs to step t.
struct Batches {
  std::vector<std::string> names;
  std::vector<Tensor> tensors;
};

/// How training went.
struct Trained {
  std::vector<double> losses;  ///< of each step, before its update
  nn::Module model;
  Tensor logits;  ///< of the trained model in evaluation, for the batch of step 0
};

// MLP ---------------------------------------------------------------------------------------------

struct Mlp : nn::Module {
  nn::Sequential layers{nn::Linear(20, 64), nn::ReLU(), nn::Dropout(0.0), nn::Linear(64, 32),
                        nn::LayerNorm(32),  nn::Tanh(), nn::Linear(32, 5)};
  Mlp() { register_module("layers", layers); }
  Tensor forward(const Tensor& x) { return layers(x); }
};

inline Trained train_mlp(Mlp model, const Tensor& inputs, const Tensor& labels) {
  optim::AdamW optimizer(model.parameters(), {.lr = 1e-2, .weight_decay = 0.1});
  optim::CosineAnnealingLR schedule(optimizer, {.T_max = 10, .eta_min = 1e-4});
  const Tensor weight = tensor({1.0, 2.0, 0.5, 1.0, 1.5}, inputs.dtype());
  std::vector<double> history;
  for (std::int64_t step = 0; step < inputs.size(0); ++step) {
    optimizer.zero_grad();
    Tensor loss = losses::cross_entropy(model.forward(inputs[step]), labels[step],
                                        {.weight = weight, .label_smoothing = 0.1});
    loss.backward();
    optimizer.step();
    schedule.step();
    history.push_back(loss.item<double>());
  }
  model.eval();
  NoGradGuard no_grad;
  return {history, model, model.forward(inputs[0])};
}

// CNN ---------------------------------------------------------------------------------------------

struct Cnn : nn::Module {
  nn::Conv2d conv1{1, 8, 3, {.padding = 1}};
  nn::BatchNorm2d norm1{8};
  nn::Conv2d conv2{8, 16, 3, {.stride = 2, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm2{16};
  nn::Linear fc{16, 10};

  Cnn() {
    register_module("conv1", conv1);
    register_module("norm1", norm1);
    register_module("conv2", conv2);
    register_module("norm2", norm2);
    register_module("fc", fc);
  }

  Tensor forward(const Tensor& images) {
    Tensor x = max_pool2d(relu(norm1(conv1(images))), 2);
    x = silu(norm2(conv2(x)));
    x = adaptive_avg_pool2d(x, 1).flatten(1);
    return fc(x);
  }
};

inline Trained train_cnn(Cnn model, const Tensor& inputs, const Tensor& labels) {
  optim::SGD optimizer(model.parameters(),
                       {.lr = 0.1, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true});
  optim::StepLR schedule(optimizer, {.step_size = 4, .gamma = 0.5});
  std::vector<double> history;
  for (std::int64_t step = 0; step < inputs.size(0); ++step) {
    optimizer.zero_grad();
    Tensor loss = losses::cross_entropy(model.forward(inputs[step]), labels[step]);
    loss.backward();
    optimizer.step();
    schedule.step();
    history.push_back(loss.item<double>());
  }
  model.eval();
  NoGradGuard no_grad;
  return {history, model, model.forward(inputs[0])};
}

// GPT ---------------------------------------------------------------------------------------------

inline constexpr std::int64_t kVocabulary = 40, kContext = 16;

inline nn::Gpt make_gpt(bool tied_head) {
  return nn::Gpt(kVocabulary, {.context = kContext,
                               .layers = 2,
                               .heads = 4,
                               .embed_dim = 32,
                               .activation = "gelu_tanh",
                               .tied_head = tied_head});
}

inline Trained train_gpt(nn::Gpt model, const Tensor& tokens) {
  optim::Adam optimizer(model.parameters(), {.lr = 3e-3, .weight_decay = 0.01});
  optim::LambdaLR schedule(optimizer,
                           [](std::int64_t t) { return t < 4 ? 0.25 * double(1 + t) : 1.0; });
  std::vector<double> history;
  for (std::int64_t step = 0; step < tokens.size(0); ++step) {
    optimizer.zero_grad();
    Tensor loss = losses::next_token_loss(model(tokens[step]), tokens[step]);
    loss.backward();
    nn::utils::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    schedule.step();
    history.push_back(loss.item<double>());
  }
  model.eval();
  NoGradGuard no_grad;
  return {history, model, model(tokens[0])};
}

// DPO ---------------------------------------------------------------------------------------------

inline Trained train_dpo(nn::Gpt policy, const Tensor& chosen, const Tensor& rejected,
                         const Tensor& mask) {
  nn::Gpt reference = nn::without_dropout(policy);
  // Not Adam: it makes steps of one size of gradients of any, and a few here are mere rounding of
  // the differences between sums of log-probabilities (docs/pytorch.md, "Adam and rounding").
  optim::SGD optimizer(policy.parameters(), {.lr = 0.05, .momentum = 0.9});
  std::vector<double> history;
  for (std::int64_t step = 0; step < chosen.size(0); ++step) {
    const auto logps = [&](const nn::Gpt& gpt, const Tensor& tokens) {
      return losses::sequence_logps(gpt(tokens), tokens, mask[step]);
    };
    Tensor reference_chosen, reference_rejected;
    {
      NoGradGuard no_grad;
      reference_chosen = logps(reference, chosen[step]);
      reference_rejected = logps(reference, rejected[step]);
    }
    optimizer.zero_grad();
    Tensor loss = losses::dpo_loss(logps(policy, chosen[step]), logps(policy, rejected[step]),
                                   reference_chosen, reference_rejected,
                                   {.beta = 0.5, .label_smoothing = 0.1})
                      .loss;
    loss.backward();
    nn::utils::clip_grad_norm_(policy.parameters(), 1.0);
    optimizer.step();
    history.push_back(loss.item<double>());
  }
  policy.eval();
  NoGradGuard no_grad;
  return {history, policy, policy(chosen[0])};
}

}  // namespace retrace::testing
