#pragma once

// Recurrent layers: a state is carried from step to step. Each op is one node, whether of one step
// (a cell) or of a whole sequence; a sequence multiplies all its inputs by w_ih in one product.
//
// x [B, I] for a cell, [T, B, I] for a sequence, [B, T, I] with batch_first; states h and c [B, H];
// w_ih [G · H, I], w_hh [G · H, H], b_ih and b_hh [G · H] or not given, with the G gates stacked in
// the order of the formula; float32 or float64, one dtype. σ is the sigmoid. In the gradients d
// stands for the gradient of what goes into a gate, Σ runs over batch and steps.
//
// Errors, all of them: ShapeError (also for a sequence
// without steps), DTypeError.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// State of an LSTM: what it gives, and the cell that it keeps.
struct LstmState {
  Tensor h, c;
};
/// Results of a sequence: the state after each step, and the last one. Where one tensor is wanted
/// it is the output.
struct RnnOutput {
  Tensor output, h;
  operator Tensor() const { return output; }
};
struct LstmOutput {
  Tensor output, h, c;
  operator Tensor() const { return output; }
};

/// f of an Elman net.
enum class RnnNonlinearity { tanh, relu };

/// h' = f(W_ih x + b_ih + W_hh h + b_hh), f being tanh or relu.
/// Gradient: d = g · f', dx = W_ihᵀ d, dh = W_hhᵀ d, dW_ih = Σ d xᵀ, dW_hh = Σ d hᵀ, db = Σ d.
/// Source: Elman 1990, Finding structure in time.
Tensor rnn_cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& b_ih = {}, const Tensor& b_hh = {},
                RnnNonlinearity nonlinearity = RnnNonlinearity::tanh);
/// rnn_cell step by step. Source: Elman 1990, Finding structure in time.
RnnOutput rnn(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
              const Tensor& b_ih = {}, const Tensor& b_hh = {},
              RnnNonlinearity nonlinearity = RnnNonlinearity::tanh, bool batch_first = false);

/// With a = W_ih x + b_ih and u = W_hh h + b_hh in three parts each: reset r = σ(a_r + u_r), update
/// z = σ(a_z + u_z), new n = tanh(a_n + r · u_n), h' = (1 - z) · n + z · h.
/// Gradient: d_n = g · (1 - z) · (1 - n²), d_z = g · (h - n) · z (1 - z), d_r = d_n · u_n · r (1 -
/// r), and as rnn_cell from these, the part of u_n being d_n · r; dh also gets g · z.
/// Source: Cho et al. 2014, arXiv:1406.1078, equations 5 to 8, with the reset gate behind the
/// product, as in cuDNN and PyTorch.
Tensor gru_cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& b_ih = {}, const Tensor& b_hh = {});
/// gru_cell step by step. Source: Cho et al. 2014, arXiv:1406.1078, equations 5 to 8.
RnnOutput gru(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
              const Tensor& b_ih = {}, const Tensor& b_hh = {}, bool batch_first = false);

/// With a = W_ih x + b_ih + W_hh h + b_hh in four parts: input i = σ(a_i), forget f = σ(a_f), cell
/// m = tanh(a_m), output o = σ(a_o), c' = f · c + i · m, h' = o · tanh(c').
/// Gradient: e = dc' + g · o · (1 - tanh²(c')), d_i = e · m · i (1 - i), d_f = e · c · f (1 - f),
/// d_m = e · i · (1 - m²), d_o = g · tanh(c') · o (1 - o), dc = e · f, and as rnn_cell from these.
/// Source: Hochreiter and Schmidhuber 1997, Long short-term memory; forget gate: Gers,
/// Schmidhuber, Cummins 2000, Learning to forget.
LstmState lstm_cell(const Tensor& x, const LstmState& state, const Tensor& w_ih, const Tensor& w_hh,
                    const Tensor& b_ih = {}, const Tensor& b_hh = {});
/// lstm_cell step by step. Source: Hochreiter and Schmidhuber 1997, Long short-term memory.
LstmOutput lstm(const Tensor& x, const LstmState& state, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& b_ih = {}, const Tensor& b_hh = {}, bool batch_first = false);

}  // namespace retrace
