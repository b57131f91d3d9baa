#pragma once

// Recurrent layers. Formulas, gradients and errors: see the functions in
// autograd/ops/recurrent.h.
//
// Parameters of all of them: weight_ih [G · hidden, inputs], weight_hh [G · hidden, hidden] and,
// with bias, bias_ih and bias_hh [G · hidden], G being the number of gates (RNN 1, GRU 3, LSTM 4);
// uniform in ±1/√hidden_size at first, as in PyTorch. Layers of several append _l0, _l1, ... to the
// names; the inputs of all but the first are the outputs of the layer below.
//
// States that are not given are 0. ValueError for sizes below 1, DTypeError unless floating.

#include <retrace/autograd/ops/recurrent.h>
#include <retrace/nn/module.h>

namespace retrace::nn {

/// Parameters of one layer.
struct RecurrentWeights {
  Tensor weight_ih, weight_hh, bias_ih, bias_hh;
};

struct RNNCellOptions {
  bool bias = true;
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;
  DType dtype = kFloat32;
};

/// One step of an RNN.  x: [B, input_size]; h and the result: [B, hidden_size].
class RNNCell : public Module, public RecurrentWeights {
 public:
  RNNCell(std::int64_t input_size, std::int64_t hidden_size, const RNNCellOptions& options = {});
  Tensor forward(const Tensor& x, const Tensor& h = {}) const;
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const { return forward(x, h); }

 private:
  RnnNonlinearity nonlinearity_;
};

struct GRUCellOptions {
  bool bias = true;
  DType dtype = kFloat32;
};

/// One step of a GRU.  x: [B, input_size]; h and the result: [B, hidden_size].
class GRUCell : public Module, public RecurrentWeights {
 public:
  GRUCell(std::int64_t input_size, std::int64_t hidden_size, const GRUCellOptions& options = {});
  Tensor forward(const Tensor& x, const Tensor& h = {}) const;
  Tensor operator()(const Tensor& x, const Tensor& h = {}) const { return forward(x, h); }
};

struct LSTMCellOptions {
  bool bias = true;
  DType dtype = kFloat32;
};

/// One step of an LSTM.  x: [B, input_size]; h and c, before and after: [B, hidden_size].
class LSTMCell : public Module, public RecurrentWeights {
 public:
  LSTMCell(std::int64_t input_size, std::int64_t hidden_size, const LSTMCellOptions& options = {});
  LstmState forward(const Tensor& x, const LstmState& state = {}) const;
  LstmState operator()(const Tensor& x, const LstmState& state = {}) const {
    return forward(x, state);
  }
};

/// Of GRU and LSTM; RNNOptions has the nonlinearity, too.
struct RecurrentOptions {
  std::int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;  ///< x and the output are [B, T, ...], not [T, B, ...]
  /// In training, of the output of each layer but the last: with one layer it does nothing.
  double dropout = 0;
  DType dtype = kFloat32;
};
using GRUOptions = RecurrentOptions;
using LSTMOptions = RecurrentOptions;

struct RNNOptions {
  std::int64_t num_layers = 1;
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;
  bool bias = true;
  bool batch_first = false;
  double dropout = 0;
  DType dtype = kFloat32;
};

/// Layers of one kind, one on top of the other: base of RNN, GRU and LSTM.
class RecurrentLayers : public Module {
 protected:
  RecurrentLayers(std::int64_t gates, std::int64_t input_size, std::int64_t hidden_size,
                  const RecurrentOptions& options);
  /// run(x, first state of the layer, its weights) for each layer; states are [num_layers, B, H],
  /// undefined for zeros.
  template <class Run>
  LstmOutput run_layers(const Tensor& x, const LstmState& first, Run run) const;

 private:
  RecurrentOptions options_;
  std::int64_t hidden_size_;
  std::vector<RecurrentWeights> layers_;
};

/// x: [T, B, input_size]; output: [T, B, hidden_size], the states of the last layer; h, before and
/// after all steps: [num_layers, B, hidden_size]. In a Sequential the output goes on.
class RNN : public RecurrentLayers {
 public:
  RNN(std::int64_t input_size, std::int64_t hidden_size, const RNNOptions& options = {});
  RnnOutput forward(const Tensor& x, const Tensor& h = {}) const;
  RnnOutput operator()(const Tensor& x, const Tensor& h = {}) const { return forward(x, h); }

 private:
  RnnNonlinearity nonlinearity_;
};

/// As RNN.
class GRU : public RecurrentLayers {
 public:
  GRU(std::int64_t input_size, std::int64_t hidden_size, const GRUOptions& options = {});
  RnnOutput forward(const Tensor& x, const Tensor& h = {}) const;
  RnnOutput operator()(const Tensor& x, const Tensor& h = {}) const { return forward(x, h); }
};

/// As RNN, with c beside h.
class LSTM : public RecurrentLayers {
 public:
  LSTM(std::int64_t input_size, std::int64_t hidden_size, const LSTMOptions& options = {});
  LstmOutput forward(const Tensor& x, const LstmState& state = {}) const;
  LstmOutput operator()(const Tensor& x, const LstmState& state = {}) const {
    return forward(x, state);
  }
};

}  // namespace retrace::nn
