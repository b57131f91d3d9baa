#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/autograd/numbers.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/random.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

struct Weights {
  Tensor w_ih, w_hh, b_ih, b_hh;
  Weights(std::int64_t gates, std::int64_t inputs, std::int64_t hidden)
      : w_ih(random({gates * hidden, inputs}).requires_grad_()),
        w_hh(random({gates * hidden, hidden}).requires_grad_()),
        b_ih(random({gates * hidden}).requires_grad_()),
        b_hh(random({gates * hidden}).requires_grad_()) {}
};

// One step by the definition, in ops that are tested on their own.
LstmState step(int gates, const Tensor& x, const LstmState& s, const Weights& w) {
  const Tensor a = linear(x, w.w_ih, w.b_ih), u = linear(s.h, w.w_hh, w.b_hh);
  const auto as = a.chunk(gates, 1), us = u.chunk(gates, 1);
  if (gates == 1) return {tanh(a + u), s.c};
  if (gates == 3) {
    const Tensor r = sigmoid(as[0] + us[0]), z = sigmoid(as[1] + us[1]);
    const Tensor n = tanh(as[2] + r * us[2]);
    return {(1.0 - z) * n + z * s.h, s.c};
  }
  const Tensor c = sigmoid(as[1] + us[1]) * s.c + sigmoid(as[0] + us[0]) * tanh(as[2] + us[2]);
  return {sigmoid(as[3] + us[3]) * tanh(c), c};
}

LstmOutput sequence(int gates, const Tensor& x, const LstmState& s, const Weights& w) {
  if (gates == 1) {
    const RnnOutput out = rnn(x, s.h, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
    return {out.output, out.h, s.c};
  }
  if (gates == 3) {
    const RnnOutput out = gru(x, s.h, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
    return {out.output, out.h, s.c};
  }
  return lstm(x, s, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
}

}  // namespace

TEST_CASE("a sequence and its gradients are what steps of plain ops give") {
  for (const int gates : {1, 3, 4}) {
    CAPTURE(gates);
    const Weights w(gates, 3, 20);
    Tensor x = random({6, 4, 3}).requires_grad_();
    const LstmState first = {random({4, 20}).requires_grad_(), random({4, 20}).requires_grad_()};
    const Tensor g = random({6, 4, 20}), g_h = random({4, 20}), g_c = random({4, 20});
    LstmState state = first;
    std::vector<Tensor> states;
    for (std::int64_t t = 0; t < 6; ++t) {
      state = step(gates, x[t], state, w);
      states.push_back(state.h);
    }
    const LstmOutput out = sequence(gates, x, first, w);
    CHECK(largest_difference(out.output, stack(states)) <= 1e-14);
    CHECK(largest_difference(out.h, state.h) <= 1e-14);
    CHECK(largest_difference(out.c, state.c) <= 1e-14);
    const std::vector<Tensor> inputs = {x, first.h, first.c, w.w_ih, w.w_hh, w.b_ih, w.b_hh};
    const auto loss = [&](const Tensor& y, const Tensor& h, const Tensor& c) {
      return sum(y * g) + sum(h * g_h) + sum(c * g_c);
    };
    const auto got = grad({loss(out.output, out.h, out.c)}, inputs);
    const auto wanted = grad({loss(stack(states), state.h, state.c)}, inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      CHECK(largest_difference(got[i], wanted[i]) <= 1e-12);
  }
}

TEST_CASE("only one of an LSTM's results may be used") {
  const Weights w(4, 2, 3);
  Tensor x = random({3, 2, 2}).requires_grad_();
  const LstmState zero = {zeros({2, 3}, kFloat64), zeros({2, 3}, kFloat64)};
  const LstmOutput out = lstm(x, zero, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
  const Tensor of_c = grad({sum(out.c)}, {x}, {}, /*retain_graph=*/true)[0];
  CHECK(of_c[0].abs().max().item<double>() > 0);
  const Tensor of_last = grad({sum(out.h)}, {x}, {}, /*retain_graph=*/true)[0];
  const Tensor of_output = grad({sum(out.output[2])}, {x})[0];
  CHECK(of_last.equal(of_output));
  CHECK(!of_last.equal(of_c));
}

TEST_CASE("a sequence is its cells, batch first or not") {
  const Weights w(4, 2, 3);
  const Tensor x = random({4, 2, 2});
  LstmState state = {random({2, 3}), random({2, 3})};
  const LstmOutput out = lstm(x, state, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
  const LstmOutput turned =
      lstm(x.transpose(0, 1), state, w.w_ih, w.w_hh, w.b_ih, w.b_hh, /*batch_first=*/true);
  CHECK(turned.output.equal(out.output.transpose(0, 1)));
  for (std::int64_t t = 0; t < 4; ++t) {
    state = lstm_cell(x[t], state, w.w_ih, w.w_hh, w.b_ih, w.b_hh);
    CHECK(largest_difference(state.h, out.output[t]) <= 1e-15);
  }
  CHECK(largest_difference(state.c, out.c) <= 1e-15);
}

TEST_CASE("any number of threads gives the same bits in recurrent layers") {
  const int before = num_threads();
  const Tensor x = random({5, 64, 20}, kFloat32), w_ih = random({400, 20}, kFloat32),
               w_hh = random({400, 100}, kFloat32) * 0.1f;
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor a = w_ih.clone().requires_grad_(), b = w_hh.detach().clone().requires_grad_();
    const LstmOutput out = lstm(x, {zeros({64, 100}), zeros({64, 100})}, a, b);
    (sum(out.output) + sum(out.c)).backward();
    results[threads - 1] = {out.output.detach(), a.grad(), b.grad()};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < 3; ++i) CHECK(results[0][i].equal(results[1][i]));
}

TEST_CASE("recurrent layers refuse what does not fit") {
  const Tensor x = zeros({3, 2, 4}), h = zeros({2, 5}), w_ih = zeros({15, 4}),
               w_hh = zeros({15, 5});
  const auto refusal = [](auto&& call) { return message_of<Error>(call); };
  CHECK(says(refusal([&] { gru(x, zeros({3, 5}), w_ih, w_hh); }), "gru: x is [3, 2, 4], h [3, 5]"));
  CHECK(says(refusal([&] { gru(x, h, zeros({15, 3}), w_hh); }), "must be [15, 4] and [15, 5]"));
  CHECK(says(refusal([&] { gru(x, h, w_ih, w_hh, zeros({5})); }), "a bias [5]"));
  CHECK(says(refusal([&] { gru(zeros({0, 2, 4}), h, w_ih, w_hh); }), "at least one step"));
  CHECK(says(refusal([&] { gru_cell(x, h, w_ih, w_hh); }), "gru_cell: x is [3, 2, 4]"));
  CHECK(says(refusal([&] { gru(x, h, w_ih, zeros({15, 5}, kFloat64)); }), "float64"));
  CHECK(says(refusal([&] {
               lstm(x, {h, zeros({2, 4})}, zeros({20, 4}), zeros({20, 5}));
             }),
             "h is [2, 5], c [2, 4]"));
  CHECK(says(refusal([&] { lstm(x, {h, {}}, zeros({20, 4}), zeros({20, 5})); }), "undefined"));
}
