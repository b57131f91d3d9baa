#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

nn::Sequential small_cnn() {
  return {nn::Conv2d(1, 6, 3, {.padding = 1}),
          nn::ReLU(),
          nn::MaxPool2d(2),
          nn::Conv2d(6, 8, 3),
          nn::ReLU(),
          nn::MaxPool2d(2),
          nn::Flatten(),
          nn::Linear(8 * 2 * 2, 3)};
}

struct Batch {
  Tensor images, labels;
};

// Pictures [N, 1, 12, 12] of a horizontal bar, a vertical bar or a cross at a random place, in
// noise.
Batch pictures(std::int64_t count, Generator& generator) {
  Batch batch = {randn({count, 1, 12, 12}, kFloat32, &generator) * 0.3, empty({count}, kInt64)};
  for (std::int64_t n = 0; n < count; ++n) {
    const std::int64_t kind = generator.next_below(3);
    const std::int64_t row = 3 + generator.next_below(6), column = 3 + generator.next_below(6);
    Tensor image = batch.images[n][0];
    if (kind != 1) image[row].narrow(0, column - 3, 6).add_(1.5);
    if (kind != 0) image.select(1, column).narrow(0, row - 3, 6).add_(1.5);
    batch.labels.data_ptr<std::int64_t>()[n] = kind;
  }
  return batch;
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  return (logits.argmax(1) == labels).to(kFloat32).mean().item<double>();
}

}  // namespace

TEST_CASE("a small network of convolutions tells bars from crosses") {
  manual_seed(1);
  Generator generator(2);
  nn::Sequential net = small_cnn();
  optim::Adam optimizer(net.parameters(), {.lr = 5e-3});
  const Batch test = pictures(300, generator);
  CHECK(accuracy(net(test.images), test.labels) < 0.6);
  for (int step = 0; step < 150; ++step) {
    const Batch batch = pictures(32, generator);
    optimizer.zero_grad();
    losses::cross_entropy(net(batch.images), batch.labels).backward();
    optimizer.step();
  }
  const NoGradGuard no_grad;
  CHECK(accuracy(net(test.images), test.labels) > 0.93);
}

TEST_CASE("convolutions in Sequential: state, clone, dtype, summary") {
  const nn::Sequential net = small_cnn();
  const Tensor x = randn({2, 1, 12, 12});
  CHECK(net(x).sizes() == Shape({2, 3}));
  CHECK(net.state_dict().size() == 6);
  nn::Sequential other = small_cnn();
  CHECK(!other(x).equal(net(x)));
  other.load_state_dict(net.state_dict());
  CHECK(other(x).equal(net(x)));
  nn::Sequential copy = nn::clone(net);
  copy.to(kFloat64);
  CHECK(copy(x.to(kFloat64)).dtype() == kFloat64);
  CHECK(net(x).dtype() == kFloat32);
  const std::string summary = net.summary();
  CHECK(says(summary, "(0): Conv2d(1, 6, kernel_size=3, padding=1)"));
  CHECK(says(summary, "(2): MaxPool2d(kernel_size=2, stride=2, padding=0)"));
  CHECK(says(summary, "(6): Flatten(start_dim=1, end_dim=-1)"));
  CHECK(says(summary, std::to_string(6 * 9 + 6 + 8 * 6 * 9 + 8 + 32 * 3 + 3) + " parameters"));
}

TEST_CASE("Conv1d and Conv2d start uniform within 1 / sqrt(fan in)") {
  manual_seed(4);
  const nn::Conv2d conv(16, 32, {3, 1}, {.groups = 4});
  CHECK(conv.weight.sizes() == Shape({32, 4, 3, 1}));
  CHECK(conv.bias.sizes() == Shape({32}));
  const double bound = 1 / std::sqrt(4.0 * 3);
  const double largest = conv.weight.abs().max().item<double>();
  CHECK(largest <= bound);
  CHECK(largest > 0.98 * bound);
  CHECK(conv.bias.abs().max().item<double>() <= bound);
  CHECK(conv.bias.abs().max().item<double>() > 0.7 * bound);
  const nn::Conv1d line(2, 4, 5, {.stride = 2, .padding = 2, .bias = false});
  CHECK(!line.bias.defined());
  CHECK(line(zeros({3, 2, 9})).sizes() == Shape({3, 4, 5}));
  CHECK(line.parameters().size() == 1);
  CHECK(line(zeros({0, 2, 9})).sizes() == Shape({0, 4, 5}));
}

TEST_CASE("bad convolutions") {
  CHECK(says(message_of<ValueError>([] { nn::Conv2d(3, 4, 3, {.groups = 2}); }), "groups 2"));
  CHECK(says(message_of<ValueError>([] { nn::Conv2d(0, 4, 3); }), "in_channels is 0"));
  CHECK(says(message_of<ValueError>([] { nn::Conv2d(4, 0, 3); }), "out_channels 0"));
  CHECK(says(message_of<ValueError>([] { nn::Conv1d(1, 4, 0); }), "kernel_size is [0]"));
  CHECK(!message_of<DTypeError>([] { nn::Conv1d(1, 4, 2, {.dtype = kInt64}); }).empty());
  struct Net : nn::Module {
    nn::Conv2d first{1, 2, 3};
    Net() { register_module("first", first); }
  };
  const Net net;
  CHECK(says(message_of<ShapeError>([&] {
               net.first(zeros({1, 3, 5, 5}));
             }),
             "first: conv2d: x is"));
}

TEST_CASE("pools are the functions of their names") {
  const Tensor x = randn({2, 3, 6, 6}), line = randn({2, 3, 8});
  CHECK(nn::MaxPool2d(3, {.stride = 1, .padding = 1})(x).equal(
      max_pool2d(x, 3, {.stride = 1, .padding = 1})));
  CHECK(nn::AvgPool2d({2, 3})(x).equal(avg_pool2d(x, {2, 3})));
  CHECK(nn::MaxPool1d(2)(line).equal(max_pool1d(line, 2)));
  CHECK(nn::AvgPool1d(3, {.stride = 2, .padding = 1, .count_include_pad = false})(line).equal(
      avg_pool1d(line, 3, {.stride = 2, .padding = 1, .count_include_pad = false})));
  CHECK(nn::AdaptiveAvgPool2d(1)(x).equal(adaptive_avg_pool2d(x, 1)));
  CHECK(nn::Flatten()(x).sizes() == Shape({2, 108}));
  CHECK(nn::Flatten({.start_dim = 0, .end_dim = 1})(x).sizes() == Shape({6, 6, 6}));
  CHECK(says(nn::AvgPool2d({2, 3}).summary(), "AvgPool2d(kernel_size=2x3, stride=2x3, padding=0)"));
}
