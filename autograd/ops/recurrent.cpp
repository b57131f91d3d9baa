#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/autograd/ops/recurrent.h>
#include <retrace/autograd/ops/recurrent_cells.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/autograd/ops/weight_gradient.h>

#include <array>

namespace retrace {
namespace {

using namespace recurrent;
using kernels::MatrixView;
using kernels::row_major;

struct Sizes {
  std::int64_t steps, batch, inputs, hidden;

  std::int64_t rows() const { return steps * batch; }
  std::int64_t state() const { return batch * hidden; }
  /// Rows worth a thread.
  std::int64_t grain() const { return kernels::grain_of(8, hidden); }
};

template <class T>
MatrixView<const T> matrix(const Tensor& x, std::int64_t rows, std::int64_t columns) {
  return row_major<const T>(elements<T>(x), rows, columns);
}

// rows times the bias, or zeros.
template <class T>
void fill_rows(T* to, std::int64_t rows, std::int64_t columns, const Tensor& bias) {
  for (std::int64_t r = 0; r < rows; ++r) {
    if (bias.defined()) {
      std::copy_n(elements<T>(bias), columns, to + r * columns);
    } else {
      std::fill_n(to + r * columns, columns, T(0));
    }
  }
}

/// Row-major inputs of a layer.
struct Inputs {
  Tensor x, h, c, w_ih, w_hh, b_ih, b_hh;
};

/// What a layer computes: the states of all steps, and what backward needs.
struct Outputs {
  Tensor h, c, kept;
};

// Further on in what may be null.
template <class T>
T* at(T* data, std::int64_t offset) {
  return data == nullptr ? nullptr : data + offset;
}

template <class T, class Kind>
void run_forward(const Kind& kind, const Sizes& s, const Inputs& in, const Outputs& out) {
  if (s.state() == 0) return;  // of however many steps
  const std::int64_t width = Kind::gates * s.hidden;
  const Tensor from_x = empty({s.rows(), width}, in.x.dtype());
  const Tensor from_h = empty({s.batch, width}, in.x.dtype());
  T *const xs = elements<T>(from_x), *const hs = elements<T>(from_h);
  fill_rows(xs, s.rows(), width, in.b_ih);
  kernels::gemm<T>(T(1), matrix<T>(in.x, s.rows(), s.inputs),
                   matrix<T>(in.w_ih, width, s.inputs).transposed(), T(1),
                   row_major(xs, s.rows(), width));
  T *const h = elements<T>(out.h), *const c = Kind::has_cell ? elements<T>(out.c) : nullptr;
  const T* h_before = elements<T>(in.h);
  const T* c_before = Kind::has_cell ? elements<T>(in.c) : nullptr;
  for (std::int64_t t = 0; t < s.steps; ++t) {
    fill_rows(hs, s.batch, width, in.b_hh);
    kernels::gemm<T>(T(1), row_major(h_before, s.batch, s.hidden),
                     matrix<T>(in.w_hh, width, s.hidden).transposed(), T(1),
                     row_major(hs, s.batch, width));
    parallel_for(s.batch, s.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t row = t * s.batch + b, state = b * s.hidden;
        kind.forward(Row<T>{s.hidden, xs + row * width, hs + b * width,
                            elements<T>(out.kept) + row * Kind::kept * s.hidden, h_before + state,
                            at(c_before, state), h + row * s.hidden, at(c, row * s.hidden)});
      }
    });
    h_before = h + t * s.state();
    c_before = at(c, t * s.state());
  }
}

/// Gradients of the products' parts of all steps, and of the first states.
struct Back {
  Tensor from_x, from_h, h, c;
};

// dh and dc of `back` hold the gradient of the last c, and 0; dy may be undefined.
template <class T, class Kind>
void run_backward(const Kind& kind, const Sizes& s, const Inputs& in, const Outputs& out,
                  const Tensor& dy, const Back& back) {
  if (s.state() == 0) return;
  const std::int64_t width = Kind::gates * s.hidden;
  T* const dh = elements<T>(back.h);
  T* const dc = Kind::has_cell ? elements<T>(back.c) : nullptr;
  const T *const h = elements<T>(out.h), *const c = Kind::has_cell ? elements<T>(out.c) : nullptr;
  for (std::int64_t t = s.steps - 1; t >= 0; --t) {
    const T* const h_before = t == 0 ? elements<T>(in.h) : h + (t - 1) * s.state();
    const T* const c_before = !Kind::has_cell ? nullptr
                              : t == 0        ? elements<T>(in.c)
                                              : c + (t - 1) * s.state();
    const T* const g = dy.defined() ? elements<T>(dy) + t * s.state() : nullptr;
    T* const from_h = elements<T>(back.from_h) + t * s.batch * width;
    parallel_for(s.batch, s.grain(), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t b = begin; b < end; ++b) {
        const std::int64_t row = t * s.batch + b, state = b * s.hidden;
        for (std::int64_t i = 0; g != nullptr && i < s.hidden; ++i) dh[state + i] += g[state + i];
        kind.backward(RowBack<T>{s.hidden, elements<T>(out.kept) + row * Kind::kept * s.hidden,
                                 h_before + state, at(c_before, state), h + row * s.hidden,
                                 at(c, row * s.hidden), dh + state, at(dc, state),
                                 elements<T>(back.from_x) + row * width, from_h + b * width});
      }
    });
    kernels::gemm<T>(T(1), row_major<const T>(from_h, s.batch, width),
                     matrix<T>(in.w_hh, width, s.hidden), T(1), row_major(dh, s.batch, s.hidden));
  }
}

/// Inputs x, h, c (of an LSTM), w_ih, w_hh, b_ih, b_hh; outputs the states of all steps and, of an
/// LSTM, the last c.
template <class Kind, bool kIsCell>
struct RecurrentNode final : NodeOf<RecurrentNode<Kind, kIsCell>> {
  static constexpr std::string_view op = kIsCell ? Kind::cell_op : Kind::sequence_op,
                                    formula = Kind::formula, gradient = Kind::gradient;
  RecurrentNode(const Kind& k, const Sizes& sizes) : kind(k), s(sizes) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    backward_outputs(g, nullptr, gradients);
  }
  void backward_outputs(const Tensor& g, const std::vector<Tensor>* others,
                        Gradients& gradients) override {
    const Inputs in = {bounded_input(*this, 0),
                       bounded_input(*this, 1),
                       Kind::has_cell ? bounded_input(*this, 2) : Tensor(),
                       bounded_input(*this, 3),
                       bounded_input(*this, 4),
                       has_b_ih ? bounded_input(*this, 5) : Tensor(),
                       has_b_hh ? bounded_input(*this, 6) : Tensor()};
    const Outputs out = {this->saved_output(), Kind::has_cell ? this->saved_extra(1) : Tensor(),
                         this->saved_extra(0)};
    const DType dtype = in.x.dtype();
    const Tensor last_dc = others != nullptr && !others->empty() ? (*others)[0] : Tensor();
    if (GradMode::is_enabled() && s.state() > 0)
      return recorded_backward(std::array{in.x, in.h, in.c, in.w_ih, in.w_hh, in.b_ih, in.b_hh},
                               {g, last_dc}, gradients, [&] { return by_ops(in); });
    const Shape of_parts = {s.rows(), Kind::gates * s.hidden};
    Back back = {empty(of_parts, dtype), {}, zeros({s.batch, s.hidden}, dtype), {}};
    back.from_h = Kind::parts_differ ? empty(of_parts, dtype) : back.from_x;
    if (Kind::has_cell)
      back.c = last_dc.defined() ? contiguous_copy(last_dc) : zeros({s.batch, s.hidden}, dtype);
    visit_float(dtype, op, [&]<class T>() {
      run_backward<T>(kind, s, in, out, g.defined() ? as_contiguous(g) : g, back);
      give<T>(gradients, in, out, back);
    });
  }

  bool has_b_ih = false, has_b_hh = false;

 private:
  // The states of all steps and the last c.
  std::vector<Tensor> by_ops(const Inputs& in) const {
    LstmState state = {in.h, in.c};
    std::vector<Tensor> states;
    for (std::int64_t t = 0; t < s.steps; ++t) {
      const Tensor x = kIsCell ? in.x : in.x.select(0, t);
      state = kind.by_ops(linear(x, in.w_ih, in.b_ih), linear(state.h, in.w_hh, in.b_hh), state);
      states.push_back(state.h);
    }
    return {kIsCell ? state.h : stack(states), state.c};
  }

  template <class T>
  void give(Gradients& gradients, const Inputs& in, const Outputs& out, const Back& back) {
    const std::int64_t width = Kind::gates * s.hidden;
    const auto from_x = matrix<T>(back.from_x, s.rows(), width);
    const auto from_h = matrix<T>(back.from_h, s.rows(), width);
    if (gradients.wants(0))
      give_product<T>(*this, gradients, 0, from_x, matrix<T>(in.w_ih, width, s.inputs));
    if (gradients.wants(1)) gradients.give(1, back.h);
    if (gradients.wants(2)) gradients.give(2, back.c);
    if (gradients.wants(3))
      give_product<T>(*this, gradients, 3, from_x.transposed(),
                      matrix<T>(in.x, s.rows(), s.inputs));
    if (gradients.wants(4)) {
      const Tensor before = empty({s.rows(), s.hidden}, in.x.dtype());
      std::copy_n(elements<T>(in.h), s.state(), elements<T>(before));
      std::copy_n(elements<T>(out.h), (s.steps - 1) * s.state(), elements<T>(before) + s.state());
      give_product<T>(*this, gradients, 4, from_h.transposed(),
                      matrix<T>(before, s.rows(), s.hidden));
    }
    if (gradients.wants(5)) give_column_sums(gradients, 5, from_x);
    if (gradients.wants(6)) give_column_sums(gradients, 6, from_h);
  }

  Kind kind;
  Sizes s;
};

void check(std::string_view op, bool is_cell, std::int64_t gates, const Inputs& in, bool has_cell) {
  require_defined(op, {&in.x, &in.h, &in.w_ih, &in.w_hh});
  if (has_cell) require_defined(op, {&in.c});
  for (const Tensor* other : {&in.h, &in.c, &in.w_ih, &in.w_hh, &in.b_ih, &in.b_hh}) {
    require<DTypeError>(!other->defined() || (other->dtype() == in.x.dtype()),
                        "{}: x is {} {}, a state or parameter {} {}; convert one", op, in.x.dtype(),
                        in.x.sizes(), other->defined() ? other->dtype() : kFloat32,
                        other->defined() ? other->sizes() : Shape());
  }
  if (!in.x.is_floating_point()) refuse_dtype(op, in.x.dtype(), "float32 or float64");
  require<ShapeError>(in.x.dim() == (is_cell ? 2 : 3) && (is_cell || in.x.size(0) > 0),
                      "{}: x is {}; give {}", op, in.x.sizes(),
                      is_cell ? "[B, I]" : "of at least one step, [T, B, I]");
  const Shape &x = in.x.sizes(), &h = in.h.sizes();
  require<ShapeError>(h.size() == 2 && h[0] == x[x.size() - 2],
                      "{}: x is {}, h {}; h must be [B, H] with a row for each sample", op, x, h);
  require<ShapeError>(!has_cell || in.c.sizes() == h, "{}: h is {}, c {}; they must be equal", op,
                      h, has_cell ? in.c.sizes() : h);
  std::int64_t width = 0;
  require<ShapeError>(!__builtin_mul_overflow(gates, h[1], &width),
                      "{}: h is {}, whose {} gates do not fit 63 bits; use smaller sizes", op, h,
                      gates);
  require<ShapeError>(
      in.w_ih.sizes() == Shape{width, x.back()} && in.w_hh.sizes() == Shape{width, h[1]},
      "{}: x is {}, h {}, w_ih {}, w_hh {}; the weights must be [{}, {}] and [{}, "
      "{}]",
      op, x, h, in.w_ih.sizes(), in.w_hh.sizes(), width, x.back(), width, h[1]);
  for (const Tensor* bias : {&in.b_ih, &in.b_hh})
    require<ShapeError>(!bias->defined() || bias->sizes() == Shape{width},
                        "{}: w_ih is {}, a bias {}; it must be [{}]", op, in.w_ih.sizes(),
                        bias->defined() ? bias->sizes() : Shape(), width);
}

/// The states of all steps [T, B, H] ([B, H] for a cell) and the last c of an LSTM.
template <class Kind, bool kIsCell>
LstmState run(const Kind& kind, const Inputs& in) {
  using Node = RecurrentNode<Kind, kIsCell>;
  check(Node::op, kIsCell, Kind::gates, in, Kind::has_cell);
  const std::int64_t batch = in.h.size(0), hidden = in.h.size(1);
  const Sizes s = {kIsCell ? 1 : in.x.size(0), batch, in.x.size(-1), hidden};
  const auto dense = [](const Tensor& x) { return x.defined() ? as_contiguous(x) : x; };
  const Inputs rows = {dense(in.x),    dense(in.h),    dense(in.c),   dense(in.w_ih),
                       dense(in.w_hh), dense(in.b_ih), dense(in.b_hh)};
  const Shape of_states = kIsCell ? Shape{batch, hidden} : Shape{s.steps, batch, hidden};
  const DType dtype = in.x.dtype();
  const Outputs out = {empty(of_states, dtype),
                       Kind::has_cell ? empty({s.steps, batch, hidden}, dtype) : Tensor(),
                       empty({s.rows(), Kind::kept, hidden}, dtype)};
  visit_float(dtype, Node::op, [&]<class T>() { run_forward<T>(kind, s, rows, out); });
  LstmState result = {out.h, {}};
  if (Kind::has_cell) {
    const Strides strides = contiguous_strides({batch, hidden});
    result.c =
        contiguous_copy(make_view(out.c, {batch, hidden}, strides, (s.steps - 1) * s.state()));
  }
  result.h = record<Node>(
      result.h, {&in.x, &in.h, &in.c, &in.w_ih, &in.w_hh, &in.b_ih, &in.b_hh},
      [&](Node& node) {
        node.save_input(0, rows.x);
        node.save_input(1, rows.h);
        if (Kind::has_cell) node.save_input(2, rows.c);
        node.save_input(3, rows.w_ih);
        node.save_input(4, rows.w_hh);
        node.save_output(out.h);
        node.save_extra(out.kept);
        if (Kind::has_cell) node.save_extra(out.c);
        node.has_b_ih = in.b_ih.defined();
        node.has_b_hh = in.b_hh.defined();
        if (node.has_b_ih) node.save_input(5, rows.b_ih);
        if (node.has_b_hh) node.save_input(6, rows.b_hh);
      },
      kind, s);
  if (Kind::has_cell && result.h.get().producer) attach(result.c, result.h.get().producer, 1);
  return result;
}

/// A sequence, whose steps may be the second dim.
template <class Kind>
LstmOutput run_sequence(const Kind& kind, Inputs in, bool batch_first) {
  if (batch_first && in.x.defined() && in.x.dim() == 3) in.x = in.x.transpose(0, 1);
  LstmState states = run<Kind, false>(kind, in);
  const Tensor last = states.h.select(0, -1);
  return {batch_first ? states.h.transpose(0, 1) : states.h, last, states.c};
}

}  // namespace

Tensor rnn_cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& b_ih, const Tensor& b_hh, RnnNonlinearity nonlinearity) {
  return run<Rnn, true>({nonlinearity}, {x, h, {}, w_ih, w_hh, b_ih, b_hh}).h;
}

RnnOutput rnn(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
              const Tensor& b_ih, const Tensor& b_hh, RnnNonlinearity nonlinearity,
              bool batch_first) {
  const LstmOutput out =
      run_sequence<Rnn>({nonlinearity}, {x, h, {}, w_ih, w_hh, b_ih, b_hh}, batch_first);
  return {out.output, out.h};
}

Tensor gru_cell(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& b_ih, const Tensor& b_hh) {
  return run<Gru, true>({}, {x, h, {}, w_ih, w_hh, b_ih, b_hh}).h;
}

RnnOutput gru(const Tensor& x, const Tensor& h, const Tensor& w_ih, const Tensor& w_hh,
              const Tensor& b_ih, const Tensor& b_hh, bool batch_first) {
  const LstmOutput out = run_sequence<Gru>({}, {x, h, {}, w_ih, w_hh, b_ih, b_hh}, batch_first);
  return {out.output, out.h};
}

LstmState lstm_cell(const Tensor& x, const LstmState& state, const Tensor& w_ih, const Tensor& w_hh,
                    const Tensor& b_ih, const Tensor& b_hh) {
  return run<Lstm, true>({}, {x, state.h, state.c, w_ih, w_hh, b_ih, b_hh});
}

LstmOutput lstm(const Tensor& x, const LstmState& state, const Tensor& w_ih, const Tensor& w_hh,
                const Tensor& b_ih, const Tensor& b_hh, bool batch_first) {
  return run_sequence<Lstm>({}, {x, state.h, state.c, w_ih, w_hh, b_ih, b_hh}, batch_first);
}

}  // namespace retrace
