// Sizes, strides, indices and int64 elements at the ends of their range.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

#include <limits>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

Tensor whole(const std::vector<std::int64_t>& values) { return from_vector(values); }

}  // namespace

TEST_CASE("int64 arithmetic wraps around") {
  const Tensor most = whole({kMost, kMost}), least = whole({kLeast, kLeast}), two = whole({2, 2});
  CHECK((most + whole({1, 1})).equal(least));
  CHECK((least - whole({1, 1})).equal(most));
  CHECK((most * two).equal(whole({-2, -2})));
  CHECK(add(most, two, kMost).equal(most + whole({-2, -2})));
  CHECK(sub(most, two, kMost).equal(most + two));
  CHECK((most + 1).equal(least));
  CHECK((least - 1).equal(most));
  CHECK((most * 2).equal(whole({-2, -2})));
  CHECK(rsub(least, 0).equal(least));
  CHECK(neg(least).equal(least));
  CHECK(least.abs().equal(least));
  CHECK(most.square().equal(whole({1, 1})));
  CHECK(most.sum().item<std::int64_t>() == -2);
  CHECK(most.prod().item<std::int64_t>() == 1);
  CHECK(most.cumsum(0).equal(whole({kMost, -2})));
  CHECK(cumprod(most, 0).equal(whole({kMost, 1})));
  CHECK(most.matmul(most).item<std::int64_t>() == 2);
  CHECK(most.reshape({1, 2}).matmul(most.reshape({2, 1})).item<std::int64_t>() == 2);
  CHECK(einsum("i,i->i", {most, two}).equal(whole({-2, -2})));
  CHECK(scatter_add(most, 0, whole({0, 1}), two).equal(most + two));
  CHECK(index_add(most, 0, whole({0, 0}), two, kMost).equal(whole({kMost - 4, kMost})));
  Tensor x = most.clone();
  x.add_(two).sub_(least).mul_(most).add_(kMost).sub_(kLeast).mul_(kMost);
  x.add_(two, kMost).sub_(two, kMost);
}

TEST_CASE("int64 division of the smallest by -1 wraps around") {
  const Tensor least = whole({kLeast, 7}), minus = whole({-1, -1});
  CHECK(div(least, minus).equal(whole({kLeast, -7})));
  CHECK(div(least, -1).equal(whole({kLeast, -7})));
  CHECK(rdiv(minus, kLeast).equal(whole({kLeast, kLeast})));
  CHECK(remainder(least, minus).equal(whole({0, 0})));
  CHECK(remainder(least, -1).equal(whole({0, 0})));
  CHECK(fmod(least, minus).equal(whole({0, 0})));
  CHECK(remainder(whole({kMost, kLeast}), whole({kLeast, kMost})).equal(whole({-1, kMost - 1})));
}

TEST_CASE("fractions that int64 cannot hold become the smallest, as the processor has it") {
  const double infinity = std::numeric_limits<double>::infinity();
  const Tensor x =
      tensor({std::numeric_limits<double>::quiet_NaN(), infinity, -infinity, 1e300, -1e300, 0x1p63},
             kFloat64);
  CHECK(x.to(kInt64).equal(full({6}, kLeast, kInt64)));
  CHECK(x.to(kFloat32).to(kInt64).equal(full({6}, kLeast, kInt64)));
  CHECK(tensor({-0x1p63, 0x1.fffffffffffffp62, -1.5, 1.5}, kFloat64)
            .to(kInt64)
            .equal(whole({kLeast, kMost - 1023, -1, 1})));
}

TEST_CASE("a mean over more places than int64 counts") {
  const Tensor x = ones({1, 1, 1, 1}).requires_grad_();
  const std::int64_t window = std::int64_t{1} << 32;
  const Tensor y = avg_pool2d(x, {window, window}, {.stride = window, .padding = window / 2});
  CHECK(y.flatten()[0].item<double>() == 0x1p-64);
  y.sum().backward();
  CHECK(x.grad().item<double>() == static_cast<double>(y.numel()) * 0x1p-64);
}

TEST_CASE("steps, offsets and lengths as large as they come") {
  const Tensor x = arange(6).reshape({2, 3});
  CHECK(x.slice(1, 0, kMost, kMost).equal(whole({0, 3}).reshape({2, 1})));
  CHECK(x.slice(0, kLeast, kMost, kMost).equal(x.narrow(0, 0, 1)));
  CHECK(x.slice(1, kMost, kLeast).numel() == 0);
  CHECK(x.unfold(1, 2, kMost).equal(whole({0, 1, 3, 4}).reshape({2, 1, 2})));
  CHECK(x.diagonal(kMost).numel() == 0);
  CHECK(x.diagonal(kLeast).numel() == 0);
  CHECK(x.chunk(kMost, 1).size() == 3);
  CHECK(x.split(kMost, 1).size() == 1);
  CHECK(tril(x, kLeast).equal(zeros_like(x)));
  CHECK(triu(x, kLeast).equal(x));
  CHECK(roll(x, kLeast, 1).equal(roll(x, kLeast % 3, 1)));
  const Tensor nothing = zeros({0, kMost});
  CHECK(nothing.slice(1, {}, {}, kMost / 2).narrow(1, 3, 0).sizes() == Shape({0, 0}));
  CHECK(nothing.unfold(1, 2, kMost / 2).diagonal(-2, 1, 2).sizes() == Shape({0, 0}));
  const Tensor leaf = zeros({0, kMost / 2}).requires_grad_();
  leaf.unfold(1, kMost / 2, 1).sum().backward();  // one window, of 2^62 places
  CHECK(leaf.grad().sizes() == leaf.sizes());
  CHECK(zeros({0, 1, 1, kMost}).diagonal(0, 1, 2).sizes() == Shape({0, kMost, 1}));
  CHECK(zeros({0, kMost - 1}).unfold(1, 0, 1).sizes() == Shape({0, kMost, 0}));
  CHECK(says(message_of<ShapeError>([&] { zeros({0, kMost}).unfold(1, 0, 1); }), "unfold"));
  CHECK(says(message_of<ShapeError>([&] { x.split(Shape{kMost, kMost, 5}, 1); }), "split"));
  CHECK(says(message_of<IndexError>([&] { x.narrow(1, kMost, kMost); }), "narrow"));
  CHECK(says(message_of<IndexError>([&] { x.narrow(1, kLeast, 1); }), "narrow"));
  CHECK(says(message_of<IndexError>([&] { x.select(1, kLeast); }), "select"));
  CHECK(says(message_of<ShapeError>([&] { pad(x, {kMost, kMost}); }), "add fewer"));
  CHECK(says(message_of<ShapeError>([&] { pad(x, {kLeast, kLeast}); }), "cut off less"));
  CHECK(says(message_of<Error>([&] { pad(x, {kLeast, 0}); }), "pad"));
  CHECK(says(message_of<Error>([&] { x.topk(kMost); }), "topk"));
}

TEST_CASE("dims of 2^40 and more around one of 0") {
  const std::int64_t large = std::int64_t{1} << 40;
  const Tensor x = zeros({large, 0, 1 << 20});
  CHECK(x.numel() == 0);
  CHECK(x.transpose(0, 2).contiguous().numel() == 0);
  CHECK(x.select(0, large - 1).sizes() == Shape{0, 1 << 20});
  CHECK(x.slice(0, large / 2).sizes() == Shape{large / 2, 0, 1 << 20});
  CHECK(x.select(2, (1 << 20) - 1).sizes() == Shape{large, 0});
  CHECK(zeros({std::int64_t{1} << 62, 0}).select(0, std::int64_t{1} << 61).sizes() == Shape{0});
  CHECK((x + x).sum().item<float>() == 0.0f);
  CHECK(says(message_of<ShapeError>([&] { x.sum(1); }), "[1099511627776, 1048576]"));
}

TEST_CASE("products of sizes that do not fit are refused with the sizes") {
  const std::int64_t half = std::int64_t{1} << 61;
  const auto refused = [](auto f, std::string_view words) {
    const std::string message = message_of<Error>(f);
    CHECK_MESSAGE(says(message, words), message);
  };
  refused([&] { ones({2, 2, 1, half}); }, "[2, 2, 1, 2305843009213693952]");
  refused([&] { zeros({half, half, 0}); }, "[2305843009213693952, 2305843009213693952, 0]");
  refused([&] { zeros({half}); }, "2305843009213693952");
  refused([&] { zeros({half}, kBool); }, "2305843009213693952");
  refused([&] { arange(kMost); }, "9223372036854775807");
  refused([&] { arange(kLeast, kMost, 1); }, "2^63 - 1");
  refused([&] { linspace(0, 1, kMost); }, "9223372036854775807");
  refused([&] { eye(std::int64_t{1} << 32); }, "4294967296");
  refused([&] { randperm(kMost); }, "9223372036854775807");
  refused([&] { one_hot(whole({kMost - 1})); }, "9223372036854775807");
  refused([&] { one_hot(whole({kMost})); }, "one_hot");
  refused([&] { ones({1}).expand({half, half}); }, "2305843009213693952");
  refused([&] { ones({1}).expand({half}).contiguous(); }, "2305843009213693952");
  refused([&] { repeat(ones({2}), {half}); }, "2305843009213693952");
  refused([&] { repeat_interleave(ones({2}), kMost, 0); }, "9223372036854775807");
  refused([&] { repeat_interleave(ones({2}), whole({kMost, kMost}), 0); }, "repeat_interleave");
  refused([&] { repeat_interleave(ones({2}), whole({half, 1}), 0); }, "2305843009213693953");
  refused([&] { outer(ones({1}).expand({half}), ones({1}).expand({half})); },
          "[2305843009213693952, 2305843009213693952]");
  refused([&] { pad(ones({2}), {half - 1, half - 1}); }, "461168601842738790");
  refused([&] { cat({zeros({half * 2, 0}), zeros({half * 2, 0}), zeros({half * 2, 0})}); }, "cat");
  refused([&] { multinomial(ones({2}), kMost, true); }, "9223372036854775807");
  refused([&] { nn::Linear(half, half); }, "2305843009213693952");
  refused([&] { nn::Embedding(half, half); }, "2305843009213693952");
  refused([&] { randint(0, 2, {half, half}); }, "2305843009213693952");
}

TEST_CASE("draws from the whole range of int64") {
  const Tensor x = randint(kLeast, kMost, {1000});
  CHECK(x.min().item<std::int64_t>() < kLeast / 2);
  CHECK(x.max().item<std::int64_t>() > kMost / 2);
}

TEST_CASE("convolutions and pools with options as large as they come") {
  const Tensor x = arange(8, kFloat32).reshape({1, 1, 8}), filter = ones({1, 1, 5});
  const auto refused = [](auto f, std::string_view words) {
    const std::string message = message_of<Error>(f);
    CHECK_MESSAGE(says(message, words), message);
  };
  for (const std::int64_t size : {std::int64_t{1} << 61, std::int64_t{1} << 62, kMost}) {
    refused([&] { conv1d(x, filter, {}, {.dilation = size}); }, "conv1d: ");
    refused([&] { conv1d(x, filter, {}, {.padding = size}); }, std::to_string(size));
    refused([&] { conv1d(x, filter, {}, {.groups = size}); }, "conv1d: ");
    refused([&] { conv1d(x, zeros({0, 4, 5}), {}, {.groups = size}); }, "conv1d: ");
    CHECK(conv1d(x, filter, {}, {.stride = size, .padding = 1}).item<float>() == 6.0f);
    CHECK(max_pool1d(x, 2, {.stride = size, .padding = 1}).item<float>() == 0.0f);
    CHECK(avg_pool1d(x, 2, {.stride = size}).item<float>() == 0.5f);
    refused([&] { max_pool1d(x, 2, {.padding = size}); }, "max_pool1d: ");
    refused([&] { max_pool1d(x, size); }, "max_pool1d: ");
    CHECK(max_pool1d(x, size, {.padding = size / 2}).item<float>() == 7.0f);
    refused([&] { adaptive_avg_pool2d(x, size); }, "adaptive_avg_pool2d: ");
  }
  refused([&] { adaptive_avg_pool2d(x, std::int64_t{1} << 40); }, "adaptive_avg_pool2d: ");
}
