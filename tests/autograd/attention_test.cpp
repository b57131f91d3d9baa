#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/numbers.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/random.h>

using namespace retrace;
using retrace::testing::holds;
using retrace::testing::kNan;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

// The definition in ops that are tested on their own. `visible` is bool [T, S].
Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& visible,
             double scale) {
  const Tensor scores = matmul(q, k.transpose(-1, -2)) * scale;
  return matmul(softmax(scores.masked_fill(logical_not(visible), -1e300), -1), v);
}

// True where query t of T sees key s of S.
Tensor causal_mask(std::int64_t queries, std::int64_t keys) {
  return tril(ones({queries, keys}, kFloat64), keys - queries) > 0.5;
}

struct Case {
  std::int64_t queries, keys, width, value_width;
};

}  // namespace

TEST_CASE("attention and its gradients are what the plain ops give") {
  for (const Case& c : {Case{3, 5, 4, 4}, Case{1, 7, 2, 3}, Case{64, 64, 8, 8}, Case{65, 65, 4, 4},
                        Case{130, 200, 4, 6}, Case{200, 200, 3, 3}}) {
    for (const bool causal : {false, true}) {
      CAPTURE(c.queries);
      CAPTURE(causal);
      Tensor q = random({2, 3, c.queries, c.width}).requires_grad_();
      Tensor k = random({2, 3, c.keys, c.width}).requires_grad_();
      Tensor v = random({2, 3, c.keys, c.value_width}).requires_grad_();
      const Tensor g = random({2, 3, c.queries, c.value_width});
      const Tensor visible =
          causal ? causal_mask(c.queries, c.keys) : ones({c.queries, c.keys}, kFloat64) > 0.5;
      const Tensor expected = plain(q, k, v, visible, 1 / std::sqrt(static_cast<double>(c.width)));
      const auto wanted = grad({expected}, {q, k, v}, {g});
      AttentionOptions with_mask;
      with_mask.attn_mask = visible;
      for (const AttentionOptions& options : {AttentionOptions{.is_causal = causal}, with_mask}) {
        const Tensor y = scaled_dot_product_attention(q, k, v, options);
        CHECK(largest_difference(y, expected) <= 1e-13);
        const auto got = grad({y}, {q, k, v}, {g});
        for (std::size_t i = 0; i < 3; ++i) CHECK(largest_difference(got[i], wanted[i]) <= 1e-12);
      }
      Tensor single = q.detach().to(kFloat32).requires_grad_();
      const Tensor y = scaled_dot_product_attention(single, k.detach().to(kFloat32),
                                                    v.detach().to(kFloat32), {.is_causal = causal});
      CHECK(largest_difference(y.to(kFloat64), expected) <= 1e-5);
      y.backward(g.to(kFloat32));
      CHECK(largest_difference(single.grad().to(kFloat64), wanted[0]) <= 1e-4);
    }
  }
}

TEST_CASE("packed_attention is attention of the three parts") {
  Tensor qkv = random({2, 70, 24}).requires_grad_();
  const Tensor g = random({2, 70, 8});
  const auto part = [&](std::int64_t k) {
    return qkv.slice(-1, 8 * k, 8 * k + 8).reshape({2, 70, 2, 4}).transpose(1, 2);
  };
  const Tensor padding = tensor({false, true}).view({2, 1, 1, 1}).expand({2, 1, 1, 70});
  for (const bool masked : {false, true}) {
    AttentionOptions options = {.is_causal = true};
    if (masked) options.attn_mask = logical_not(padding);
    const Tensor y = packed_attention(qkv, 2, options);
    const Tensor expected = scaled_dot_product_attention(part(0), part(1), part(2), options)
                                .transpose(1, 2)
                                .reshape({2, 70, 8});
    CHECK(largest_difference(y, expected) <= 1e-14);
    CHECK(largest_difference(grad({y}, {qkv}, {g})[0], grad({expected}, {qkv}, {g})[0]) <= 1e-13);
  }
}

TEST_CASE("a query that sees nothing gives 0 and no gradient") {
  Tensor q = random({3, 2}).requires_grad_(), k = random({2, 2}).requires_grad_(),
         v = random({2, 2}).requires_grad_();
  // Three queries at the end of two keys: the first sees none.
  const Tensor y = scaled_dot_product_attention(q, k, v, {.is_causal = true});
  CHECK(y[0].equal(zeros({2}, kFloat64)));
  CHECK(largest_difference(y[1], v[0]) <= 1e-15);
  y.sum().backward();
  CHECK(q.grad()[0].equal(zeros({2}, kFloat64)));
  for (const double d : k.grad().to_vector<double>()) CHECK(std::isfinite(d));
  AttentionOptions none;
  none.attn_mask = tensor({false});
  CHECK(scaled_dot_product_attention(q, k, v, none).equal(zeros({3, 2}, kFloat64)));
  CHECK(scaled_dot_product_attention(q, zeros({0, 2}, kFloat64), zeros({0, 5}, kFloat64))
            .equal(zeros({3, 5}, kFloat64)));
}

TEST_CASE("attention agrees with differences, whatever its shape and mask") {
  const Tensor row_of_none =
      tensor({{true, false, true}, {false, false, false}, {true, true, true}});
  for (const Shape& sizes : {Shape{1, 1, 3, 4}, Shape{2, 4, 3, 2}, Shape{2, 2, 1, 3}}) {
    const std::int64_t heads = sizes[1], steps = sizes[2];
    Tensor q = random(sizes).requires_grad_(), k = random(sizes).requires_grad_(),
           v = random(sizes).requires_grad_();
    Tensor qkv = random({sizes[0], steps, 3 * heads * sizes[3]}).requires_grad_();
    std::vector<AttentionOptions> kinds = {{}, {.is_causal = true}, {}};
    kinds[2].attn_mask = row_of_none.slice(0, 0, steps).slice(1, 0, steps);
    if (steps == 1) kinds.back().attn_mask = zeros({1, 1}, kBool);
    for (const AttentionOptions& options : kinds) {
      CHECK(gradcheck(
          [&](const std::vector<Tensor>& x) {
            return scaled_dot_product_attention(x[0], x[1], x[2], options);
          },
          {q, k, v}));
      CHECK(gradcheck(
          [&](const std::vector<Tensor>& x) { return packed_attention(x[0], heads, options); },
          {qkv}));
    }
  }
}

TEST_CASE("one query after another, with the keys so far, gives what all at once give") {
  const Tensor q = random({2, 9, 4}), k = random({2, 9, 4}), v = random({2, 9, 4});
  const Tensor all = scaled_dot_product_attention(q, k, v, {.is_causal = true});
  for (std::int64_t t = 0; t < 9; ++t) {
    const Tensor y = scaled_dot_product_attention(q.narrow(1, t, 1), k.narrow(1, 0, t + 1),
                                                  v.narrow(1, 0, t + 1), {.is_causal = true});
    CHECK(largest_difference(y, all.narrow(1, t, 1)) <= 1e-14);
  }
}

TEST_CASE("large scores neither overflow nor lose the answer") {
  const Tensor q = tensor({{1e4, 0.0}}), k = tensor({{1e4, 0.0}, {-1e4, 0.0}, {9e3, 0.0}});
  const Tensor v = tensor({{1.0}, {2.0}, {3.0}});
  CHECK(scaled_dot_product_attention(q, k, v).equal(tensor({{1.0}})));
}

TEST_CASE("the gradient of attention is exact however large the scores are") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const double score : {0.0, 1e4, -1e6, 0x1p23, dtype == kFloat32 ? 1e8 : 1e17}) {
      CAPTURE(score);
      const Tensor q = tensor({{1.0}}, dtype);
      Tensor k = tensor({{score}, {score}, {score - 1}}, dtype).requires_grad_();
      Tensor v = tensor({{1.0}, {2.0}, {4.0}}, dtype).requires_grad_();
      const Tensor y = scaled_dot_product_attention(q, k, v);
      y.sum().backward();
      const double last =
          score - 1 == score || (dtype == kFloat32 && score == 1e8) ? 1 : std::exp(-1.0);
      const double sum = 2 + last, mean = (3 + 4 * last) / sum;
      const double ulp = dtype == kFloat32 ? 0x1p-23 : 0x1p-52;
      CHECK(holds(v.grad(), {3, 1}, {1 / sum, 1 / sum, last / sum}, ulp));
      CHECK(holds(k.grad(), {3, 1}, {(1 - mean) / sum, (2 - mean) / sum, last * (4 - mean) / sum},
                  4 * ulp));
    }
  }
}

TEST_CASE("scores that are all -infinity give NaN, as softmax of them, where the mask hides less") {
  const Tensor q = tensor({{1e30}, {1.0}}), k = tensor({{-1e30}, {-1e30}}), v = ones({2, 1});
  AttentionOptions first;
  first.attn_mask = tensor({{true, false}, {true, false}});
  for (const AttentionOptions& options : {AttentionOptions(), first})
    CHECK(holds(scaled_dot_product_attention(q, k, v, options), {2, 1}, {kNan, 1}));
  first.attn_mask = tensor({{false, false}, {true, false}});
  CHECK(holds(scaled_dot_product_attention(q, k, v, first), {2, 1}, {0, 1}));
}

TEST_CASE("dropped weights are 0, the others grow, as often as asked for") {
  // Equal scores and an identity for values: y is P itself.
  const std::int64_t n = 64;
  const Tensor q = zeros({4, n, 2}), v = eye(n).expand({4, n, n});
  Generator generator(3);
  AttentionOptions options = {.dropout_p = 0.25, .generator = &generator};
  const Tensor y = scaled_dot_product_attention(q, q, v, options);
  const double kept = 1.0 / static_cast<double>(n) / 0.75;
  std::int64_t dropped = 0;
  for (const double p : y.to_vector<double>()) {
    CHECK((p == 0 || p == doctest::Approx(kept)));
    dropped += p == 0;
  }
  const double count = 4 * n * n;
  CHECK(std::abs(static_cast<double>(dropped) - 0.25 * count) < 5 * std::sqrt(count * 0.25 * 0.75));
  CHECK(!scaled_dot_product_attention(q, q, v, options).equal(y));
  Generator same(3);
  options.generator = &same;
  CHECK(scaled_dot_product_attention(q, q, v, options).equal(y));
  options.dropout_p = 1;
  CHECK(scaled_dot_product_attention(q, q, v, options).equal(zeros_like(y)));
  options.dropout_p = 1.5;
  CHECK(says(message_of<ValueError>([&] { scaled_dot_product_attention(q, q, v, options); }),
             "dropout_p is 1.5"));
}

TEST_CASE("any number of threads gives the same bits in attention") {
  const int before = num_threads();
  const Tensor x = random({4, 100, 96}, kFloat32), g = random({4, 100, 32}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor qkv = x.clone().requires_grad_();
    const Tensor y = packed_attention(qkv, 4, {.is_causal = true});
    y.backward(g);
    results[threads - 1] = {y.detach(), qkv.grad()};
  }
  set_num_threads(before);
  CHECK(results[0][0].equal(results[1][0]));
  CHECK(results[0][1].equal(results[1][1]));
}

TEST_CASE("attention refuses what does not fit") {
  const Tensor x = zeros({2, 3, 4});
  const auto refusal = [&](const Tensor& q, const Tensor& k, const Tensor& v,
                           const Tensor& mask = {}) {
    AttentionOptions options;
    options.attn_mask = mask;
    return message_of<Error>([&] { scaled_dot_product_attention(q, k, v, options); });
  };
  CHECK(refusal(x, zeros({2, 3, 5}), x)
            .starts_with("scaled_dot_product_attention: query is [2, 3, 4]"));
  CHECK(says(refusal(x, x, zeros({2, 2, 4})), "[2, 2, 4]"));
  CHECK(says(refusal(x, zeros({1, 3, 4}), zeros({1, 3, 4})), "equal leading dims"));
  CHECK(says(refusal(x, x, zeros({2, 3, 4}, kFloat64)), "float64"));
  CHECK(says(refusal(x, x, x, zeros({3, 3})), "attn_mask is float32"));
  CHECK(says(refusal(x, x, x, zeros({3, 2}, kBool)), "must broadcast to [2, 3, 3]"));
  CHECK(says(message_of<ShapeError>([&] {
               packed_attention(zeros({2, 3, 10}), 2);
             }),
             "num_heads 2"));
  CHECK(says(message_of<ShapeError>([&] { packed_attention(zeros({3, 12}), 2); }), "[B, T, 3 E]"));
}

TEST_CASE("rope turns pairs of channels by an angle that grows with the position") {
  const Tensor x = random({2, 5, 6});
  const Tensor y = rope(x, {.base = 100, .offset = 3});
  for (std::int64_t t = 0; t < 5; ++t) {
    for (std::int64_t i = 0; i < 3; ++i) {
      const double angle =
          static_cast<double>(t + 3) * std::pow(100.0, -static_cast<double>(i) / 3);
      const double a = x[1][t][i].item<double>(), b = x[1][t][i + 3].item<double>();
      CHECK(std::abs(y[1][t][i].item<double>() - (a * std::cos(angle) - b * std::sin(angle))) <
            1e-14);
      CHECK(std::abs(y[1][t][i + 3].item<double>() - (b * std::cos(angle) + a * std::sin(angle))) <
            1e-14);
    }
  }
  // Row by row with an offset, as with a cache of keys.
  const Tensor all = rope(x);
  for (std::int64_t t = 0; t < 5; ++t)
    CHECK(rope(x.narrow(1, t, 1), {.offset = t}).equal(all.narrow(1, t, 1)));
  CHECK(says(message_of<ShapeError>([] { rope(zeros({2, 3})); }), "an even D"));
  CHECK(says(message_of<ValueError>([] { rope(zeros({2, 4}), {.base = 0}); }), "base is 0"));
}
