#pragma once

// Modules that have the names and layouts of PyTorch's parameters, with something to read;
// layers.py makes the same ones there.

#include <string>
#include <utility>
#include <vector>

#include <retrace/retrace.h>

namespace retrace::testing {

/// A module's weights, what it reads, and what it makes of that.
struct Layer {
  std::string name;
  StateDict state;
  Tensor input, output;
};

class Layers {
 public:
  static std::vector<Layer> all() {
    Layers layers;
    layers.add_feed_forward();
    layers.add_norms();
    layers.add_sequential();
    return layers.all_;
  }

 private:
  static Tensor numbers(const Shape& sizes) { return randn(sizes, kFloat64); }

  void add_feed_forward() {
    using namespace nn;
    const Tensor rows = numbers({5, 4});
    add("Linear", Linear(4, 6), rows);
    add("Bilinear", Bilinear(4, 4, 3), rows,
        [](const Bilinear& layer, const Tensor& x) { return layer(x, flip(x, {0})); });
    add("Embedding", Embedding(7, 4, {.padding_idx = -1}), tensor({{0, 1}, {6, 5}}));
    add("Conv1d", Conv1d(4, 6, 3, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2}),
        numbers({5, 4, 7}));
    add("Conv2d", Conv2d(4, 6, {3, 2}, {.stride = {2, 1}, .padding = {1, 0}, .groups = 2}),
        numbers({2, 4, 6, 5}));
    add("PReLU", PReLU({.num_parameters = 4}), numbers({2, 4, 3}));
  }

  void add_norms() {
    using namespace nn;
    const Tensor sequences = numbers({5, 4, 7}), images = numbers({2, 4, 6, 5});
    add("BatchNorm1d", BatchNorm1d(4), sequences);
    BatchNorm2d evaluated(4);
    evaluated.eval();
    add("BatchNorm2d", evaluated, images);
    add("LayerNorm", LayerNorm({4, 5}), numbers({3, 4, 5}));
    add("GroupNorm", GroupNorm(2, 4), images);
    add("InstanceNorm1d", InstanceNorm1d(4, {.affine = true}), sequences);
    add("InstanceNorm2d", InstanceNorm2d(4, {.affine = true}), images);
  }

  void add_sequential() {
    using namespace nn;
    const Tensor rows = numbers({5, 4}), steps = numbers({5, 3, 4});
    add("MultiheadAttention", MultiheadAttention(8, 2), numbers({5, 3, 8}),
        [](const MultiheadAttention& layer, const Tensor& x) {
          return layer(x, x, x, {.is_causal = true});
        });
    add("RNN", RNN(4, 6, {.num_layers = 2, .nonlinearity = RnnNonlinearity::relu}), steps);
    add("GRU", GRU(4, 6, {.num_layers = 2, .batch_first = true}), steps);
    add("LSTM", LSTM(4, 6, {.num_layers = 2}), steps);
    add("RNNCell", RNNCell(4, 6), rows);
    add("GRUCell", GRUCell(4, 6), rows);
    add("LSTMCell", LSTMCell(4, 6), rows);
    add("TransformerEncoderLayer", TransformerBlock(8, 2, {.hidden = 16, .is_causal = false}),
        numbers({3, 5, 8}));
    all_.back().state = as_encoder_layer(all_.back().state);
  }

  // The names that PyTorch has for the parts of a block.
  static StateDict as_encoder_layer(const StateDict& state) {
    const std::vector<std::pair<std::string, std::string>> prefixes = {
        {"ln", "norm"},
        {"attention.qkv.", "self_attn.in_proj_"},
        {"attention.proj.", "self_attn.out_proj."},
        {"fc.", "linear1."},
        {"out.", "linear2."}};
    StateDict renamed;
    for (const auto& [name, tensor] : state) {
      for (const auto& [ours, theirs] : prefixes)
        if (name.starts_with(ours)) renamed.insert(theirs + name.substr(ours.size()), tensor);
    }
    return renamed;
  }

  static Tensor flat(const Tensor& output) { return output; }
  static Tensor flat(const RnnOutput& output) { return joined({output.output, output.h}); }
  static Tensor flat(const LstmState& state) { return joined({state.h, state.c}); }
  static Tensor flat(const LstmOutput& output) {
    return joined({output.output, output.h, output.c});
  }
  static Tensor joined(std::vector<Tensor> parts) {
    for (Tensor& part : parts) part = part.flatten();
    return cat(parts);
  }

  template <class M>
  void add(const std::string& name, M layer, const Tensor& x) {
    add(name, layer, x, [](const M& module, const Tensor& input) { return module(input); });
  }
  template <class M, class Call>
  void add(const std::string& name, M layer, const Tensor& x, Call call) {
    const NoGradGuard no_grad;
    layer.to(kFloat64);
    // First values of 0 and 1 would prove little; a variance is not negative.
    for (const Tensor& tensor : layer.parameters()) nn::init::uniform_(tensor, -1, 1);
    for (const Tensor& tensor : layer.buffers())
      if (tensor.is_floating_point()) nn::init::uniform_(tensor, 0.1, 1);
    StateDict state;
    for (const auto& [key, tensor] : layer.state_dict()) state.insert(key, tensor.clone());
    all_.push_back({name, state, x, flat(call(layer, x))});
  }

  std::vector<Layer> all_;
};

/// Modules as they are at first, under the names that their files have.
inline std::vector<std::pair<std::string, nn::Module>> fresh_modules() {
  using namespace nn;
  return {{"Linear", Linear(300, 400)},
          {"Bilinear", Bilinear(20, 30, 200)},
          {"Embedding", Embedding(500, 40, {.padding_idx = 0})},
          {"Conv1d", Conv1d(32, 200, 5)},
          {"Conv2d", Conv2d(32, 200, {3, 5}, {.groups = 2})},
          {"BatchNorm2d", BatchNorm2d(200)},
          {"LayerNorm", LayerNorm(200)},
          {"GroupNorm", GroupNorm(2, 200)},
          {"InstanceNorm1d", InstanceNorm1d(200, {.affine = true})},
          {"PReLU", PReLU({.num_parameters = 200})},
          {"MultiheadAttention", MultiheadAttention(200, 2)},
          {"RNN", RNN(50, 200)},
          {"GRU", GRU(50, 100)},
          {"LSTM", LSTM(50, 100, {.num_layers = 2})},
          {"LSTMCell", LSTMCell(50, 100)}};
}

}  // namespace retrace::testing
