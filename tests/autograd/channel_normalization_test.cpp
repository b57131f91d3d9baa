#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/autograd/numbers.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/random.h>

using namespace retrace;
using retrace::testing::holds;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

// (x - mean) / sqrt(var + eps) over the dims, by ops that are tested on their own.
Tensor standardized(const Tensor& x, const Shape& dims) {
  const Tensor centered = x - x.mean(dims, /*keepdim=*/true);
  return centered / (centered.square().mean(dims, true) + 1e-5).sqrt();
}

// The same of each of `groups` groups of channels.
Tensor standardized_groups(const Tensor& x, std::int64_t groups) {
  const Tensor parts = x.reshape({x.size(0), groups, -1});
  return standardized(parts, {2}).reshape(x.sizes());
}

}  // namespace

TEST_CASE("batch_norm, group_norm and instance_norm agree with their definition in plain ops") {
  for (const Shape& sizes : {Shape{5, 4, 7}, Shape{3, 4, 5, 6}, Shape{2, 4, 2000}}) {
    CAPTURE(sizes.str());
    Tensor x = (random(sizes) * 3.0 + 2.0).detach().requires_grad_();
    Tensor w = random({4}).requires_grad_(), b = random({4}).requires_grad_();
    const Tensor g = random(sizes);
    Shape channels = Shape::filled(x.dim(), 1), over_batch = {0};
    channels[1] = 4;
    for (int d = 2; d < x.dim(); ++d) over_batch.push_back(d);
    const auto affine = [&](const Tensor& n) { return n * w.view(channels) + b.view(channels); };
    const std::pair<Tensor, Tensor> pairs[] = {
        {batch_norm(x, {}, {}, w, b, /*training=*/true), affine(standardized(x, over_batch))},
        {group_norm(x, 2, w, b), affine(standardized_groups(x, 2))},
        {group_norm(x, 1, w, b), affine(standardized_groups(x, 1))},
        {instance_norm(x, w, b), affine(standardized_groups(x, 4))},
        {group_norm(x, 4, w, b), affine(standardized_groups(x, 4))}};
    for (const auto& [y, expected] : pairs) {
      CHECK(largest_difference(y, expected) <= 1e-12);
      const auto got = grad({y}, {x, w, b}, {g}), wanted = grad({expected}, {x, w, b}, {g});
      for (std::size_t i = 0; i < 3; ++i) CHECK(largest_difference(got[i], wanted[i]) <= 1e-9);
    }
  }
}

TEST_CASE("a batch of vectors is a batch of sequences of length 1, whatever its layout") {
  const Tensor x = random({6, 3}), g = random({6, 3}), w = random({3}), b = random({3});
  const auto run = [&](const Tensor& input, bool training) {
    const Tensor mean = zeros({3}, kFloat64), var = ones({3}, kFloat64);
    Tensor leaf = input.detach().requires_grad_();
    const Tensor y = batch_norm(leaf, mean, var, w, b, training);
    return std::vector<Tensor>{y.detach().view({6, 3}),
                               grad({y}, {leaf}, {g.view(y.sizes())})[0].view({6, 3}), mean, var};
  };
  for (const bool training : {true, false}) {
    const auto flat = run(x, training), sequence = run(x.unsqueeze(2), training),
               turned = run(x.t().contiguous().t(), training);
    for (std::size_t i = 0; i < flat.size(); ++i) {
      CHECK(largest_difference(flat[i], sequence[i]) <= 1e-13);
      CHECK(largest_difference(flat[i], turned[i]) <= 1e-13);
    }
  }
}

TEST_CASE("running statistics move by momentum, the variance unbiased; evaluation leaves them") {
  const Tensor x = tensor({{1.0, 10.0}, {3.0, 10.0}}, kFloat64);
  const Tensor mean = tensor({1.0, 0.0}, kFloat64), var = tensor({1.0, 4.0}, kFloat64);
  batch_norm(x, mean, var, {}, {}, /*training=*/true, 0.25, 0.0 + 1e-5);
  CHECK(holds(mean, {1.25, 2.5}));
  CHECK(holds(var, {1.25, 3.0}));  // 3/4 · 1 + 1/4 · 2, 3/4 · 4 + 1/4 · 0
  const Tensor y = batch_norm(x, mean, var, {}, {}, /*training=*/false, 0.25, 0.0);
  CHECK(holds(mean, {1.25, 2.5}));
  CHECK(holds(
      y, {2, 2},
      {-0.25 / std::sqrt(1.25), 7.5 / std::sqrt(3.0), 1.75 / std::sqrt(1.25), 7.5 / std::sqrt(3.0)},
      1e-14));
}

TEST_CASE("running statistics move wherever they lie") {
  const Tensor x = random({4, 3}), table = zeros({3, 2}, kFloat64);
  const Tensor mean = zeros({3}, kFloat64), var = ones({3}, kFloat64), part = table.select(1, 1);
  batch_norm(x, mean, var, {}, {}, true, 0.5);
  batch_norm(x, part, ones({3}, kFloat64), {}, {}, true, 0.5);
  CHECK(part.equal(mean));
  CHECK(table.select(1, 0).equal(zeros({3}, kFloat64)));
  CHECK(table.version() == 1);
}

TEST_CASE("float32 statistics of channels stay right far from 0") {
  const Tensor x = (random({8, 2, 50}) * 10.0 + 1e6).to(kFloat32);
  const Tensor expected = standardized(x.to(kFloat64), {0, 2});
  CHECK(largest_difference(batch_norm(x, {}, {}, {}, {}, true).to(kFloat64), expected) <= 1e-5);
}

TEST_CASE("the same bits with one thread and two") {
  const int before = num_threads();
  const Tensor x0 = random({32, 8, 300}, kFloat32), g = random({32, 8, 300}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor x = x0.clone().requires_grad_(), w = ones({8}).requires_grad_(),
           b = zeros({8}).requires_grad_();
    batch_norm(x, {}, {}, w, b, true).backward(g);
    group_norm(x, 2, w, b).backward(g);
    results[threads - 1] = {x.grad(), w.grad(), b.grad()};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < 3; ++i) CHECK(results[0][i].equal(results[1][i]));
}

TEST_CASE("channel norms refuse what does not fit, and leave the running statistics") {
  const Tensor x = random({2, 3}, kFloat32), mean = zeros({3}), var = ones({3});
  const auto refusal = [](auto&& call) { return message_of<Error>(call); };
  CHECK(refusal([&] {
          batch_norm(x[0].unsqueeze(0), mean, var, {}, {}, true);
        }).starts_with("batch_norm: x is [1, 3], 1 values per channel, which have no variance"));
  CHECK(says(refusal([&] { batch_norm(zeros({0, 3}), mean, var, {}, {}, true); }), "0 values"));
  CHECK(says(refusal([&] { batch_norm(x, mean, var, zeros({2}), {}, true); }), "weight [2]"));
  CHECK(says(refusal([&] { batch_norm(x, zeros({2}), var, {}, {}, true); }), "running_mean [2]"));
  CHECK(says(refusal([&] { batch_norm(x, mean, {}, {}, {}, true); }), "undefined"));
  CHECK(says(refusal([&] { batch_norm(x, {}, {}); }), "undefined"));
  CHECK(says(refusal([&] { batch_norm(zeros({3}), mean, var); }), "[N, C, ...]"));
  CHECK(says(refusal([&] { batch_norm(x, mean, ones({3}, kFloat64), {}, {}, true); }), "float64"));
  CHECK(says(refusal([&] { batch_norm(x, mean, var, {}, {}, true, 0.1, -1.0); }), "eps is -1"));
  for (const double momentum : {-0.1, 1.5, std::nan("")})
    CHECK(says(refusal([&] { batch_norm(x, mean, var, {}, {}, true, momentum); }), "momentum is "));
  const Tensor repeated = ones({1}).expand({3});
  CHECK(refusal([&] {
          batch_norm(x, mean, repeated, {}, {}, true);
        }).starts_with("batch_norm: several elements of running_var [3] are one place"));
  CHECK(says(refusal([&] { batch_norm(x, repeated, var, {}, {}, true); }), "running_mean [3]"));
  CHECK(batch_norm(x, mean, repeated).sizes() == x.sizes());  // only read
  CHECK(mean.equal(zeros({3})));
  CHECK(var.equal(ones({3})));
  CHECK(mean.version() == 0);
  CHECK(batch_norm(zeros({0, 3}), mean, var).sizes() == Shape({0, 3}));
  CHECK(says(refusal([&] { group_norm(x, 2); }),
             "num_groups 2; give a number that divides the 3 channels"));
  CHECK(says(refusal([&] { group_norm(x, 0); }), "num_groups 0"));
  CHECK(says(refusal([&] { instance_norm(zeros({2, 3, 1})); }), "one value per channel"));
  CHECK(says(refusal([&] { instance_norm(x); }), "[N, C, L, ...]"));
}

TEST_CASE("rms_norm divides by the root mean square") {
  const Tensor x = random({3, 5}), w = random({5});
  const Tensor expected = x / (x.square().mean(-1, true) + 1e-6).sqrt() * w;
  CHECK(largest_difference(rms_norm(x, {5}, w, 1e-6), expected) <= 1e-14);
  CHECK(rms_norm(zeros({2, 3}), {3}).equal(zeros({2, 3})));
  CHECK(largest_difference(rms_norm(full({1, 4}, 1e-3f), {4}),
                           full({1, 4}, 1e-3 / std::sqrt(1e-6 + 0x1p-23), kFloat32)) <= 1e-6);
}
