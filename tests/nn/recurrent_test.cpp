#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

// The mean squared error, after training, of a model that says what it was shown first.
template <class Layer>
double error_after_recall(Layer layer) {
  constexpr std::int64_t kSteps = 8, kBatch = 32;
  Generator generator(5);
  nn::Linear head(16, 1);
  std::vector<Tensor> parameters = layer.parameters();
  for (const Tensor& p : head.parameters()) parameters.push_back(p);
  optim::Adam optimizer(parameters, {.lr = 1e-2});
  double error = 0;
  for (int step = 0; step < 400; ++step) {
    const Tensor x = randn({kBatch, kSteps, 1}, kFloat32, &generator);
    optimizer.zero_grad();
    const Tensor last = layer(x).output.select(1, -1);
    const Tensor loss = losses::mse_loss(head(last), x.select(1, 0));
    loss.backward();
    nn::utils::clip_grad_norm_(parameters, 1.0);
    optimizer.step();
    if (step >= 390) error += loss.item<double>() / 10;
  }
  return error;
}

}  // namespace

TEST_CASE("an LSTM and a GRU learn to recall what they saw first") {
  manual_seed(6);
  CHECK(error_after_recall(nn::LSTM(1, 16, {.batch_first = true})) < 0.15);
  CHECK(error_after_recall(nn::GRU(1, 16, {.batch_first = true})) < 0.15);
}

TEST_CASE("layers are stacked, with states for each") {
  const nn::LSTM lstm_(3, 4, {.num_layers = 2, .batch_first = true});
  NamedTensors p = lstm_.named_parameters();
  CHECK(p.size() == 8);
  CHECK(p["weight_ih_l0"].sizes() == Shape({16, 3}));
  CHECK(p["weight_ih_l1"].sizes() == Shape({16, 4}));
  CHECK(p["bias_hh_l1"].sizes() == Shape({16}));
  CHECK(p["weight_hh_l0"].abs().max().item<double>() <= 0.5);
  const Tensor x = randn({2, 5, 3}), h = randn({2, 2, 4}), c = randn({2, 2, 4});
  const LstmOutput out = lstm_(x, {h, c});
  const LstmOutput first = lstm(x, {h[0], c[0]}, p["weight_ih_l0"], p["weight_hh_l0"],
                                p["bias_ih_l0"], p["bias_hh_l0"], true);
  const LstmOutput second = lstm(first.output, {h[1], c[1]}, p["weight_ih_l1"], p["weight_hh_l1"],
                                 p["bias_ih_l1"], p["bias_hh_l1"], true);
  CHECK(out.output.equal(second.output));
  CHECK(out.h.equal(stack({first.h, second.h})));
  CHECK(out.c.equal(stack({first.c, second.c})));
  CHECK(lstm_(x).output.equal(lstm_(x, {zeros({2, 2, 4}), zeros({2, 2, 4})}).output));
}

TEST_CASE("cells go step by step as layers do") {
  const nn::GRU layer(3, 4);
  nn::GRUCell cell(3, 4);
  cell.load_state_dict({{"weight_ih", layer.named_parameters()["weight_ih_l0"].detach()},
                        {"weight_hh", layer.named_parameters()["weight_hh_l0"].detach()},
                        {"bias_ih", layer.named_parameters()["bias_ih_l0"].detach()},
                        {"bias_hh", layer.named_parameters()["bias_hh_l0"].detach()}});
  const Tensor x = randn({5, 2, 3});
  const RnnOutput out = layer(x);
  Tensor h;
  for (std::int64_t t = 0; t < 5; ++t) {
    h = cell(x[t], h);
    CHECK(largest_difference(h, out.output[t]) < 1e-6);
  }
  CHECK(largest_difference(h, out.h[0]) < 1e-6);
  const nn::RNNCell relu_cell(3, 4, {.bias = false, .nonlinearity = RnnNonlinearity::relu});
  CHECK(relu_cell.parameters().size() == 2);
  CHECK(relu_cell(x[0]).min().item<double>() >= 0);
  const LstmState state = nn::LSTMCell(3, 4)(x[0]);
  CHECK(state.h.sizes() == Shape({2, 4}));
  CHECK(state.c.sizes() == Shape({2, 4}));
}

TEST_CASE("dropout between layers acts in training only") {
  manual_seed(8);
  nn::GRU layer(2, 8, {.num_layers = 2, .dropout = 0.5});
  const Tensor x = randn({4, 3, 2});
  CHECK(!layer(x).output.equal(layer(x).output));
  layer.eval();
  CHECK(layer(x).output.equal(layer(x).output));
  nn::GRU single(2, 8, {.dropout = 0.5});
  CHECK(single(x).output.equal(single(x).output));  // there is no layer above
}

TEST_CASE("recurrent layers in Sequential, clones, other dtypes") {
  nn::Sequential net{nn::Embedding(7, 3), nn::LSTM(3, 4), nn::RNN(4, 5), nn::Linear(5, 2)};
  const Tensor tokens = tensor({{1, 2}, {3, 4}, {5, 6}});
  CHECK(net(tokens).sizes() == Shape({3, 2, 2}));
  nn::Sequential copy = nn::clone(net);
  CHECK(copy(tokens).equal(net(tokens)));
  copy.to(kFloat64);
  CHECK(copy(tokens).dtype() == kFloat64);
  net.parameters()[1].detach().fill_(0);
  CHECK(copy.parameters()[1].abs().max().item<double>() > 0);
  CHECK(says(net.summary(), "(1): LSTM(3, 4)"));
}

TEST_CASE("bad recurrent layers") {
  CHECK(says(message_of<ValueError>([] { nn::LSTM(0, 4); }), "input_size is 0"));
  CHECK(says(message_of<ValueError>([] { nn::GRU(3, 4, {.num_layers = 0}); }), "num_layers is 0"));
  CHECK(says(message_of<ValueError>([] { nn::GRU(3, 4, {.dropout = 2}); }), "dropout 2"));
  const nn::GRU layer(3, 4, {.num_layers = 2});
  CHECK(says(message_of<ShapeError>([&] { layer(zeros({2, 3})); }), "GRU: x is [2, 3]"));
  CHECK(says(message_of<ShapeError>([&] { layer({}); }), "undefined"));
  CHECK(says(message_of<ShapeError>([&] {
               layer(zeros({2, 5, 3}), zeros({1, 5, 4}));
             }),
             "a state [1, 5, 4]; it must be [2, 5, 4]"));
}
