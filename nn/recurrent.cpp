#include <retrace/nn/recurrent.h>

#include <cmath>

#include <retrace/autograd/ops/dropout.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

void check(std::int64_t input_size, std::int64_t hidden_size, DType dtype) {
  require<ValueError>(input_size > 0 && hidden_size > 0,
                      "recurrent layer: input_size is {}, hidden_size {}; give at least 1",
                      input_size, hidden_size);
  require<DTypeError>(is_floating(dtype), "recurrent layer: cannot be {}; use float32 or float64",
                      dtype);
}

RecurrentWeights new_weights(std::int64_t gates, std::int64_t inputs, std::int64_t hidden,
                             bool bias, DType dtype) {
  const std::int64_t width = gates * hidden;
  RecurrentWeights weights = {empty({width, inputs}, dtype), empty({width, hidden}, dtype),
                              bias ? empty({width}, dtype) : Tensor(),
                              bias ? empty({width}, dtype) : Tensor()};
  const double bound = 1 / std::sqrt(static_cast<double>(hidden));
  for (const Tensor* tensor :
       {&weights.weight_ih, &weights.weight_hh, &weights.bias_ih, &weights.bias_hh}) {
    if (tensor->defined()) init::uniform_(*tensor, -bound, bound);
  }
  return weights;
}

// Under their names, with `suffix` behind.
void register_weights(Module& module, const RecurrentWeights& weights, const std::string& suffix) {
  module.register_parameter("weight_ih" + suffix, weights.weight_ih);
  module.register_parameter("weight_hh" + suffix, weights.weight_hh);
  if (!weights.bias_ih.defined()) return;
  module.register_parameter("bias_ih" + suffix, weights.bias_ih);
  module.register_parameter("bias_hh" + suffix, weights.bias_hh);
}

// Of a new cell, whose weights it registers.
RecurrentWeights weights_of_cell(Module& cell, std::int64_t gates, std::int64_t inputs,
                                 std::int64_t hidden, bool bias, DType dtype) {
  check(inputs, hidden, dtype);
  const RecurrentWeights weights = new_weights(gates, inputs, hidden, bias, dtype);
  register_weights(cell, weights, "");
  return weights;
}

std::string details_of(std::int64_t inputs, std::int64_t hidden, bool bias) {
  return fmt::format("{}, {}{}", inputs, hidden, bias ? "" : ", bias=false");
}

// The state, or zeros for a batch like x [B, I].
Tensor state_or_zeros(const Tensor& state, const Tensor& x, const Tensor& weight_hh) {
  if (state.defined() || !x.defined() || x.dim() == 0) return state;
  return zeros({x.size(0), weight_hh.size(1)}, weight_hh.dtype());
}

}  // namespace

RNNCell::RNNCell(std::int64_t input_size, std::int64_t hidden_size, const RNNCellOptions& options)
    : nonlinearity_(options.nonlinearity) {
  static_cast<RecurrentWeights&>(*this) =
      weights_of_cell(*this, 1, input_size, hidden_size, options.bias, options.dtype);
  describe(details_of(input_size, hidden_size, options.bias));
}
Tensor RNNCell::forward(const Tensor& x, const Tensor& h) const {
  const PlaceScope scope(*this);
  return rnn_cell(x, state_or_zeros(h, x, weight_hh), weight_ih, weight_hh, bias_ih, bias_hh,
                  nonlinearity_);
}

GRUCell::GRUCell(std::int64_t input_size, std::int64_t hidden_size, const GRUCellOptions& options) {
  static_cast<RecurrentWeights&>(*this) =
      weights_of_cell(*this, 3, input_size, hidden_size, options.bias, options.dtype);
  describe(details_of(input_size, hidden_size, options.bias));
}
Tensor GRUCell::forward(const Tensor& x, const Tensor& h) const {
  const PlaceScope scope(*this);
  return gru_cell(x, state_or_zeros(h, x, weight_hh), weight_ih, weight_hh, bias_ih, bias_hh);
}

LSTMCell::LSTMCell(std::int64_t input_size, std::int64_t hidden_size,
                   const LSTMCellOptions& options) {
  static_cast<RecurrentWeights&>(*this) =
      weights_of_cell(*this, 4, input_size, hidden_size, options.bias, options.dtype);
  describe(details_of(input_size, hidden_size, options.bias));
}
LstmState LSTMCell::forward(const Tensor& x, const LstmState& state) const {
  const PlaceScope scope(*this);
  return lstm_cell(x,
                   {state_or_zeros(state.h, x, weight_hh), state_or_zeros(state.c, x, weight_hh)},
                   weight_ih, weight_hh, bias_ih, bias_hh);
}

RecurrentLayers::RecurrentLayers(std::int64_t gates, std::int64_t input_size,
                                 std::int64_t hidden_size, const RecurrentOptions& options)
    : options_(options), hidden_size_(hidden_size) {
  check(input_size, hidden_size, options.dtype);
  require<ValueError>(options.num_layers > 0 && options.dropout >= 0 && options.dropout <= 1,
                      "recurrent layer: num_layers is {}, dropout {}; give at least 1, and a "
                      "probability in [0, 1]",
                      options.num_layers, options.dropout);
  for (std::int64_t layer = 0; layer < options.num_layers; ++layer) {
    layers_.push_back(new_weights(gates, layer == 0 ? input_size : hidden_size, hidden_size,
                                  options.bias, options.dtype));
    register_weights(*this, layers_.back(), "_l" + std::to_string(layer));
  }
  std::string details = details_of(input_size, hidden_size, options.bias);
  if (options.num_layers > 1) details += fmt::format(", num_layers={}", options.num_layers);
  if (options.batch_first) details += ", batch_first=true";
  if (options.dropout > 0) details += fmt::format(", dropout={}", options.dropout);
  describe(details);
}

template <class Run>
LstmOutput RecurrentLayers::run_layers(const Tensor& x, const LstmState& first, Run run) const {
  const PlaceScope scope(*this);
  const auto count = static_cast<std::int64_t>(layers_.size());
  require<ShapeError>(x.defined() && x.dim() == 3, "{}: x is {}; it must be [{}, {}]", type_name(),
                      x.defined() ? x.sizes().str() : "undefined",
                      options_.batch_first ? "B, T" : "T, B", layers_[0].weight_ih.size(1));
  const Shape of_states = {count, x.size(options_.batch_first ? 0 : 1), hidden_size_};
  for (const Tensor* state : {&first.h, &first.c})
    require<ShapeError>(!state->defined() || state->sizes() == of_states,
                        "{}: x is {}, a state {}; it must be {}", type_name(), x.sizes(),
                        state->defined() ? state->sizes() : Shape(), of_states);
  const Tensor nothing = zeros({of_states[1], hidden_size_}, layers_[0].weight_ih.dtype());
  const auto of_layer = [&](const Tensor& states, std::int64_t layer) {
    return states.defined() ? states.select(0, layer) : nothing;
  };
  LstmOutput result = {x, {}, {}};
  std::vector<Tensor> h, c;
  for (std::int64_t layer = 0; layer < count; ++layer) {
    if (layer > 0) result.output = dropout(result.output, options_.dropout, is_training());
    result = run(result.output, LstmState{of_layer(first.h, layer), of_layer(first.c, layer)},
                 layers_[static_cast<std::size_t>(layer)], options_.batch_first);
    h.push_back(result.h);
    if (result.c.defined()) c.push_back(result.c);
  }
  return {result.output, stack(h), c.empty() ? Tensor() : stack(c)};
}

RNN::RNN(std::int64_t input_size, std::int64_t hidden_size, const RNNOptions& options)
    : RecurrentLayers(1, input_size, hidden_size,
                      {.num_layers = options.num_layers,
                       .bias = options.bias,
                       .batch_first = options.batch_first,
                       .dropout = options.dropout,
                       .dtype = options.dtype}),
      nonlinearity_(options.nonlinearity) {}
RnnOutput RNN::forward(const Tensor& x, const Tensor& h) const {
  const auto run = [this](const Tensor& in, const LstmState& state, const RecurrentWeights& w,
                          bool batch_first) -> LstmOutput {
    const RnnOutput out = rnn(in, state.h, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh,
                              nonlinearity_, batch_first);
    return {out.output, out.h, {}};
  };
  const LstmOutput out = run_layers(x, {h, {}}, run);
  return {out.output, out.h};
}

GRU::GRU(std::int64_t input_size, std::int64_t hidden_size, const GRUOptions& options)
    : RecurrentLayers(3, input_size, hidden_size, options) {}
RnnOutput GRU::forward(const Tensor& x, const Tensor& h) const {
  const auto run = [](const Tensor& in, const LstmState& state, const RecurrentWeights& w,
                      bool batch_first) -> LstmOutput {
    const RnnOutput out =
        gru(in, state.h, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, batch_first);
    return {out.output, out.h, {}};
  };
  const LstmOutput out = run_layers(x, {h, {}}, run);
  return {out.output, out.h};
}

LSTM::LSTM(std::int64_t input_size, std::int64_t hidden_size, const LSTMOptions& options)
    : RecurrentLayers(4, input_size, hidden_size, options) {}
LstmOutput LSTM::forward(const Tensor& x, const LstmState& state) const {
  return run_layers(
      x, state,
      [](const Tensor& in, const LstmState& first, const RecurrentWeights& w, bool batch_first) {
        return lstm(in, first, w.weight_ih, w.weight_hh, w.bias_ih, w.bias_hh, batch_first);
      });
}

}  // namespace retrace::nn
