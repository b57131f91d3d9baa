#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using retrace::testing::holds;
using retrace::testing::kNan;
using retrace::testing::leaf;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

// Largest and mean of every window of x [N, C, H, W], by plain loops.
struct Naive {
  std::vector<double> largest, mean, mean_of_real;
};
Naive naive(const Tensor& x, Size2d kernel, Size2d stride, Size2d padding) {
  Naive result;
  const auto v = x.to_vector<double>();
  const std::int64_t h = x.size(2), w = x.size(3);
  for (std::int64_t plane = 0; plane < x.size(0) * x.size(1); ++plane)
    for (std::int64_t i = -padding.height; i + kernel.height <= h + padding.height;
         i += stride.height)
      for (std::int64_t j = -padding.width; j + kernel.width <= w + padding.width;
           j += stride.width) {
        double largest = -1e300, sum = 0, real = 0;
        for (std::int64_t p = i; p < i + kernel.height; ++p)
          for (std::int64_t q = j; q < j + kernel.width; ++q) {
            if (p < 0 || q < 0 || p >= h || q >= w) continue;
            const double value = v[static_cast<std::size_t>((plane * h + p) * w + q)];
            largest = std::max(largest, value);
            sum += value;
            ++real;
          }
        result.largest.push_back(largest);
        result.mean.push_back(sum / static_cast<double>(kernel.height * kernel.width));
        result.mean_of_real.push_back(sum / real);
      }
  return result;
}

}  // namespace

TEST_CASE("pools are what the plain loops give") {
  Generator generator(3);
  struct Case {
    Shape x;
    Size2d kernel, stride, padding;
  };
  for (const Case& c :
       {Case{{2, 3, 7, 6}, 2, 2, 0}, Case{{1, 2, 5, 5}, 3, 1, 1},
        Case{{1, 1, 9, 8}, {1, 4}, {3, 1}, {0, 2}}, Case{{2, 1, 4, 9}, {4, 1}, 5, {2, 0}},
        Case{{1, 1, 1, 1}, 1, 1, 0}, Case{{40, 40, 6, 6}, 3, 3, 0}}) {
    const Tensor x = randn(c.x, kFloat64, &generator);
    const Naive expected = naive(x, c.kernel, c.stride, c.padding);
    const Tensor largest = max_pool2d(x, c.kernel, {.stride = c.stride, .padding = c.padding});
    CHECK(holds(largest, largest.sizes(), expected.largest));
    const Tensor mean = avg_pool2d(x, c.kernel, {.stride = c.stride, .padding = c.padding});
    CHECK(holds(mean, largest.sizes(), expected.mean, 1e-14));
    const Tensor real = avg_pool2d(
        x, c.kernel, {.stride = c.stride, .padding = c.padding, .count_include_pad = false});
    CHECK(holds(real, largest.sizes(), expected.mean_of_real, 1e-14));
    // A sequence is an image of height 1.
    const Tensor line = x.flatten(1, 2);
    const std::int64_t k = c.kernel.width, s = c.stride.width, p = c.padding.width;
    CHECK(max_pool1d(line, k, {.stride = s, .padding = p})
              .equal(
                  max_pool2d(line.unsqueeze(2), {1, k}, {.stride = Size2d{1, s}, .padding = {0, p}})
                      .squeeze(2)));
    CHECK(avg_pool1d(line, k, {.stride = s, .padding = p, .count_include_pad = false})
              .equal(avg_pool2d(
                         line.unsqueeze(2), {1, k},
                         {.stride = Size2d{1, s}, .padding = {0, p}, .count_include_pad = false})
                         .squeeze(2)));
  }
}

TEST_CASE("the gradient of a maximum goes to the first of equals; windows that overlap add up") {
  const Tensor x = leaf({1, 3, 3, 2, 3}, {1, 1, 5});
  max_pool1d(x, 3, {.stride = 1}).backward(tensor({{{1.0, 10.0, 100.0}}}, kFloat64));
  CHECK(holds(x.grad(), {1, 1, 5}, {0, 11, 100, 0, 0}));
  const Tensor with_nan = leaf({1, kNan, 5, kNan}, {1, 1, 4});
  const Tensor y = max_pool1d(with_nan, 4);
  CHECK(holds(y, {1, 1, 1}, {kNan}));
  y.backward(ones({1, 1, 1}, kFloat64));
  CHECK(holds(with_nan.grad(), {1, 1, 4}, {0, 1, 0, 0}));
  // Padding is never the largest, even of negative numbers.
  CHECK(
      holds(max_pool1d(leaf({-5, -6}, {1, 2}), 2, {.stride = 2, .padding = 1}), {1, 2}, {-5, -6}));
}

TEST_CASE("adaptive_avg_pool2d has the size that is asked for") {
  const Tensor x = arange(20, kFloat64).view({1, 1, 4, 5});
  CHECK(holds(adaptive_avg_pool2d(x, 1), {1, 1, 1, 1}, {9.5}));
  CHECK(holds(adaptive_avg_pool2d(x, {2, 1}), {1, 1, 2, 1}, {4.5, 14.5}));
  // Five columns in two parts share the middle one.
  CHECK(holds(adaptive_avg_pool2d(x, {1, 2}), {1, 1, 1, 2}, {8.5, 10.5}));
  CHECK(adaptive_avg_pool2d(x, {4, 5}).equal(x));
  CHECK(adaptive_avg_pool2d(zeros({0, 3, 4, 4}), 2).sizes() == Shape({0, 3, 2, 2}));
}

TEST_CASE("pools refuse what does not fit") {
  const Tensor x = zeros({1, 2, 4, 4});
  CHECK(says(message_of<ShapeError>([&] { max_pool2d(x, 5); }), "max_pool2d: a dim of 4"));
  CHECK(says(message_of<ValueError>([&] { max_pool2d(x, 2, {.padding = 2}); }), "half a window"));
  CHECK(says(message_of<ValueError>([&] { avg_pool2d(x, 0); }), "kernel_size is 0"));
  CHECK(says(message_of<ValueError>([&] { avg_pool2d(x, 2, {.stride = 0}); }), "stride 0"));
  CHECK(says(message_of<ShapeError>([&] { max_pool1d(zeros({4}), 2); }), "[N, C, L]"));
  CHECK(says(message_of<ShapeError>([&] {
               adaptive_avg_pool2d(zeros({1, 2, 0, 4}), 1);
             }),
             "empty"));
  CHECK(says(message_of<ValueError>([&] { adaptive_avg_pool2d(x, 0); }), "output_size is 0"));
  CHECK(says(message_of<DTypeError>([&] { max_pool2d(zeros({1, 1, 4, 4}, kInt64), 2); }), "int64"));
}
