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

// Calls f(n, o, i, j, c, a, b, p, q) for all places (i, j) of the output, and all elements (a, b)
// of the filter, at which it touches element (p, q) of channel c of image n.
template <class F>
void for_each_touch(const Shape& x, const Shape& w, const Shape& y, const Conv2dFuncOptions& s,
                    F f) {
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t o = 0; o < y[1]; ++o)
      for (std::int64_t i = 0; i < y[2]; ++i)
        for (std::int64_t j = 0; j < y[3]; ++j)
          for (std::int64_t c = 0; c < w[1]; ++c)
            for (std::int64_t a = 0; a < w[2]; ++a)
              for (std::int64_t b = 0; b < w[3]; ++b) {
                const std::int64_t p =
                    i * s.stride.height + a * s.dilation.height - s.padding.height;
                const std::int64_t q = j * s.stride.width + b * s.dilation.width - s.padding.width;
                if (p < 0 || q < 0 || p >= x[2] || q >= x[3]) continue;
                f(n, o, i, j, o / (w[0] / s.groups) * w[1] + c, c, a, b, p, q);
              }
}

struct Naive {
  Tensor y, dx, dw, db;
};

// By the definition, of float64; g is the gradient of y.
Naive naive(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& g,
            const Conv2dFuncOptions& options) {
  const auto at = [](const Tensor& t, std::int64_t a, std::int64_t b, std::int64_t c,
                     std::int64_t d) -> double& {
    return t.data_ptr<double>()[((a * t.size(1) + b) * t.size(2) + c) * t.size(3) + d];
  };
  Naive result = {bias.view({1, -1, 1, 1}).expand(g.sizes()).clone(), zeros_like(x), zeros_like(w),
                  g.sum(Shape{0, 2, 3})};
  for_each_touch(
      x.sizes(), w.sizes(), g.sizes(), options,
      [&](auto n, auto o, auto i, auto j, auto channel, auto c, auto a, auto b, auto p, auto q) {
        at(result.y, n, o, i, j) += at(w, o, c, a, b) * at(x, n, channel, p, q);
        at(result.dx, n, channel, p, q) += at(w, o, c, a, b) * at(g, n, o, i, j);
        at(result.dw, o, c, a, b) += at(x, n, channel, p, q) * at(g, n, o, i, j);
      });
  return result;
}

struct Case {
  Shape x, w;
  Conv2dFuncOptions options;
};

const std::vector<Case> kCases = {
    {{2, 3, 7, 6}, {4, 3, 3, 3}, {}},
    {{1, 1, 5, 9}, {2, 1, 1, 4}, {}},                   // 1 x k
    {{2, 2, 9, 5}, {3, 2, 4, 1}, {.stride = {2, 1}}},   // k x 1
    {{2, 3, 4, 5}, {5, 3, 1, 1}, {}},                   // a product of channels
    {{2, 3, 4, 5}, {5, 3, 1, 1}, {.stride = 2}},        // that skips places
    {{2, 3, 2, 2}, {4, 3, 1, 1}, {.stride = 2}},        // all but one
    {{1, 2, 2, 3}, {1, 2, 1, 1}, {.stride = {1, 3}}},   // or all but one of each row
    {{2, 3, 4, 5}, {5, 3, 1, 1}, {.padding = 1}},       // and one beside the image
    {{1, 2, 8, 11}, {2, 2, 2, 2}, {.stride = {3, 5}}},  // stride > kernel
    {{2, 2, 7, 7}, {3, 2, 3, 2}, {.padding = {2, 3}, .dilation = {2, 3}}},
    {{2, 6, 5, 5}, {6, 1, 3, 3}, {.padding = 1, .groups = 6}},  // groups = channels
    {{2, 4, 5, 5}, {6, 2, 2, 3}, {.stride = {1, 2}, .groups = 2}},
    {{1, 1, 2, 2}, {1, 1, 3, 3}, {.padding = 4}},   // filters outside the image
    {{40, 2, 4, 4}, {3, 2, 3, 3}, {.padding = 1}},  // several blocks of images
    {{1, 1, 3, 3}, {2, 1, 3, 3}, {}},               // one place
    {{0, 2, 4, 4}, {3, 2, 3, 3}, {}},
};

}  // namespace

TEST_CASE("conv2d and its gradients are what the plain loops give") {
  for (const Case& c : kCases) {
    CAPTURE(c.x.str());
    CAPTURE(c.w.str());
    const Tensor x0 = random(c.x), w0 = random(c.w), b0 = random({c.w[0]});
    const Tensor g = random(conv2d(x0, w0, b0, c.options).sizes());
    const Naive expected = naive(x0, w0, b0, g, c.options);
    for (const DType dtype : {kFloat64, kFloat32}) {
      const double tolerance = dtype == kFloat64 ? 1e-12 : 3e-4;
      Tensor x = x0.clone().to(dtype).requires_grad_(), w = w0.clone().to(dtype).requires_grad_(),
             b = b0.clone().to(dtype).requires_grad_();
      const Tensor y = conv2d(x, w, b, c.options);
      CHECK(largest_difference(y.to(kFloat64), expected.y) <= tolerance);
      CHECK(largest_difference(conv2d(x, w, {}, c.options) + b.view({1, -1, 1, 1}), y) <=
            tolerance);
      y.backward(g.to(dtype));
      CHECK(largest_difference(x.grad().to(kFloat64), expected.dx) <= tolerance);
      CHECK(largest_difference(w.grad().to(kFloat64), expected.dw) <= tolerance);
      CHECK(largest_difference(b.grad().to(kFloat64), expected.db) <= tolerance);
      // Once more: gradients add up, and each comes alone, too.
      conv2d(x.detach(), w, {}, c.options).backward(g.to(dtype));
      CHECK(largest_difference(w.grad().to(kFloat64), expected.dw * 2.0) <= 2 * tolerance);
      conv2d(x, w.detach(), {}, c.options).backward(g.to(dtype));
      CHECK(largest_difference(x.grad().to(kFloat64), expected.dx * 2.0) <= 2 * tolerance);
    }
  }
}

TEST_CASE("conv2d is right for every small size, stride, padding and dilation of a dim") {
  int tried = 0;
  for (std::int64_t in = 1; in <= 5; ++in)
    for (std::int64_t kernel = 1; kernel <= 3; ++kernel)
      for (std::int64_t stride = 1; stride <= 6; ++stride)
        for (std::int64_t padding = 0; padding <= 2; ++padding)
          for (std::int64_t dilation = 1; dilation <= 2; ++dilation) {
            if (dilation * (kernel - 1) >= in + 2 * padding) continue;
            for (const bool high : {true, false}) {
              const auto along = [high](std::int64_t along_it, std::int64_t across) {
                return high ? Shape{along_it, across} : Shape{across, along_it};
              };
              const Shape size = along(in, 2), filter = along(kernel, 1);
              const auto both = [&](std::int64_t n, std::int64_t other) {
                const Shape s = along(n, other);
                return Size2d{s[0], s[1]};
              };
              const Conv2dFuncOptions options = {.stride = both(stride, 1),
                                                 .padding = both(padding, 0),
                                                 .dilation = both(dilation, 1)};
              Tensor x = random({2, 2, size[0], size[1]}).requires_grad_(),
                     w = random({3, 2, filter[0], filter[1]}).requires_grad_();
              const Tensor y = conv2d(x, w, {}, options), g = random(y.sizes());
              const Naive expected =
                  naive(x.detach(), w.detach(), zeros({3}, kFloat64), g, options);
              y.backward(g);
              CAPTURE(in);
              CAPTURE(kernel);
              CAPTURE(stride);
              CAPTURE(padding);
              CAPTURE(dilation);
              REQUIRE(largest_difference(y.detach(), expected.y) <= 1e-13);
              REQUIRE(largest_difference(x.grad(), expected.dx) <= 1e-13);
              REQUIRE(largest_difference(w.grad(), expected.dw) <= 1e-13);
              ++tried;
            }
          }
  CHECK(tried > 700);
}

TEST_CASE("conv1d is conv2d of height 1") {
  const Tensor x = random({2, 4, 9}), w = random({6, 2, 3}), b = random({6});
  const Tensor y = conv1d(x, w, b, {.stride = 2, .padding = 2, .dilation = 2, .groups = 2});
  const Tensor same =
      conv2d(x.unsqueeze(2), w.unsqueeze(2), b,
             {.stride = {1, 2}, .padding = {0, 2}, .dilation = {1, 2}, .groups = 2});
  CHECK(y.sizes() == Shape({2, 6, 5}));
  CHECK(y.equal(same.squeeze(2)));
}

TEST_CASE("any number of threads gives the same bits in conv2d") {
  const int before = num_threads();
  const Tensor x0 = random({50, 3, 12, 12}, kFloat32), w0 = random({8, 3, 3, 3}, kFloat32);
  const Tensor g = random({50, 8, 12, 12}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor x = x0.clone().requires_grad_(), w = w0.clone().requires_grad_(),
           b = zeros({8}).requires_grad_();
    const Tensor y = conv2d(x, w, b, {.padding = 1});
    y.backward(g);
    results[threads - 1] = {y.detach(), x.grad(), w.grad(), b.grad()};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < 4; ++i) CHECK(results[0][i].equal(results[1][i]));
}

TEST_CASE("convolutions refuse what does not fit") {
  const Tensor x = zeros({1, 4, 5, 5}), w = zeros({2, 4, 3, 3});
  const auto refusal = [&](const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const Conv2dFuncOptions& options) {
    return message_of<Error>([&] { conv2d(input, weight, bias, options); });
  };
  CHECK(refusal(zeros({1, 3, 5, 5}), w, {}, {})
            .starts_with("conv2d: x is [1, 3, 5, 5] with 3 channels, weight [2, 4, 3, 3] with 4"));
  CHECK(says(refusal(x, zeros({3, 2, 3, 3}), {}, {.groups = 2}), "groups that divide the filters"));
  CHECK(says(refusal(x, w, {}, {.groups = 0}), "groups is 0"));
  CHECK(says(refusal(x, w, {}, {.stride = 0}), "stride is 0"));
  CHECK(says(refusal(x, w, {}, {.padding = -1}), "padding -1"));
  CHECK(says(refusal(x, w, {}, {.dilation = 3}), "fits into the padded input"));
  CHECK(says(refusal(x, zeros({2, 4, 0, 3}), {}, {}), "a filter that has elements"));
  CHECK(says(refusal(x, w, zeros({3}), {}), "bias is [3]"));
  CHECK(says(refusal(zeros({4, 5, 5}), w, {}, {}), "[N, C, H, W]"));
  CHECK(says(refusal(x, zeros({2, 4, 3, 3}, kFloat64), {}, {}), "weight float64"));
  CHECK(says(refusal(x, w, zeros({2}, kFloat64), {}), "bias is float64"));
  CHECK(says(message_of<ShapeError>([] {
               conv1d(zeros({1, 2, 3}), zeros({1, 2, 4}));
             }),
             "conv1d: x is [1, 2, 3], weight [1, 2, 4]"));
}
