// Every op given a dim of 2^40 beside one of 0: it returns what that makes, or says why it cannot.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>
#include <retrace/tensor/check.h>
#include <retrace/tests/figures.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>

using namespace retrace;
using catalogue::Call;
using catalogue::Row;
using catalogue::Sample;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// They end a program that asks malloc for a TiB; for so much the pool asks nobody.
constexpr std::int64_t kLarge = std::int64_t{1} << 50;
#else
constexpr std::int64_t kLarge = std::int64_t{1} << 40;
#endif

struct Counts {
  std::int64_t handled = 0, refused = 0, other = 0;
};

void run(Counts& counts, const std::string& what, const std::function<void()>& call) {
  INFO(what);
  try {
    call();
    ++counts.handled;
  } catch (const Error& error) {
    ++counts.refused;
    const std::string message = error.what();
    CHECK_MESSAGE(message.find(": ") != std::string::npos, message);
    CHECK_MESSAGE(message.find("; ") != std::string::npos, message);
  } catch (const std::exception& error) {
    ++counts.other;
    FAIL_CHECK("not an Error: " << error.what());
  }
}

/// All sizes of a call's tensors.
std::set<std::int64_t> sizes_in(const Call& call) {
  std::set<std::int64_t> sizes;
  for (const auto& [name, tensor] : call.tensors())
    sizes.insert(tensor.sizes().begin(), tensor.sizes().end());
  return sizes;
}

/// The sizes with each `one` become `large` and each `other` become 0.
Shape stretched(Shape sizes, std::int64_t one, std::int64_t other, std::int64_t large) {
  for (int d = 0; d < sizes.size(); ++d)
    sizes[d] = sizes[d] == one ? large : sizes[d] == other ? 0 : sizes[d];
  return sizes;
}

// 2^40 elements, which no test has the memory for; more than 63 bits can say count as such.
bool is_too_large(const Shape& sizes, std::int64_t large) {
  return std::count(sizes.begin(), sizes.end(), 0) == 0 &&
         std::count(sizes.begin(), sizes.end(), large) > 0;
}

/// The row's call with its sizes stretched; nothing when a tensor would be too large.
std::vector<Tensor> stretched(const Call& call, std::int64_t one, std::int64_t other,
                              std::int64_t large = kLarge) {
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : call.tensors()) {
    const Shape sizes = stretched(tensor.sizes(), one, other, large);
    if (is_too_large(sizes, large)) return {};
    // Strides of two dims of 2^40 do not fit beside a 0: refused as it is made.
    if (std::count(sizes.begin(), sizes.end(), large) > 1) return {};
    tensors.push_back(sizes == tensor.sizes() ? tensor : zeros(sizes, tensor.dtype()));
    if (tensors.back().is_floating_point()) tensors.back().requires_grad_();
  }
  return tensors;
}

std::vector<Shape> sizes_of(const std::vector<Tensor>& tensors) {
  std::vector<Shape> sizes;
  for (const Tensor& tensor : tensors) sizes.push_back(tensor.sizes());
  return sizes;
}

// Sizes that are no more than hundreds of thousands say what they must be at 2^40: they grow in
// proportion, by whole windows too, as all leave the same rest by any window of up to 12.
constexpr std::int64_t kStep = 27720, kNear = kLarge % kStep + kStep, kNext = kNear + kStep;

std::vector<Shape> extrapolated(std::vector<Shape> near, const std::vector<Shape>& next) {
  REQUIRE(near.size() == next.size());
  for (std::size_t i = 0; i < near.size(); ++i) {
    REQUIRE(near[i].size() == next[i].size());
    for (int d = 0; d < near[i].size(); ++d)
      near[i][d] += (next[i][d] - near[i][d]) * ((kLarge - kNear) / kStep);
  }
  return near;
}

void go_back(const std::vector<Tensor>& outputs) {
  for (const Tensor& output : outputs) {
    if (output.requires_grad() && output.is_floating_point())
      output.backward(zeros_like(output), /*retain_graph=*/true);
  }
}

}  // namespace

TEST_CASE("every op with sizes of 2^40 beside one of 0, forward and back") {
  Counts counts;
  std::set<std::string> ops, families;
  for (const Row& row : catalogue::rows()) {
    for (const Sample& sample : row.samples) {
      const Call call = catalogue::make_call(row, sample, 1);
      const std::set<std::int64_t> sizes = sizes_in(call);
      for (const std::int64_t one : sizes) {
        for (const std::int64_t other : sizes) {
          if (one == other) continue;
          const std::vector<Tensor> tensors = stretched(call, one, other);
          if (tensors.empty()) continue;
          ops.insert(row.name);
          families.insert(row.family);
          run(counts,
              row.name + call.str() + " " + std::to_string(one) + " " + std::to_string(other), [&] {
                const auto run_with = [&](const std::vector<Tensor>& given) {
                  return row.run(call.with(given)).tensors();
                };
                const std::vector<Tensor> results = run_with(tensors);
                CHECK(sizes_of(results) ==
                      extrapolated(sizes_of(run_with(stretched(call, one, other, kNear))),
                                   sizes_of(run_with(stretched(call, one, other, kNext)))));
                go_back(results);
              });
        }
      }
    }
  }
  CHECK(counts.handled > 0);
  CHECK(counts.refused > 0);
  testing::figure("R61", "ops with a dim of 2^40 beside one of 0, forward and back",
                  std::to_string(counts.handled) + " calls handled, " +
                      std::to_string(counts.refused) + " refused, " + std::to_string(counts.other) +
                      " neither; " + std::to_string(ops.size()) + " ops of " +
                      std::to_string(families.size()) + " families",
                  counts.other == 0);
}

// Sizes that leave no room for one more: what adds to them, or multiplies, must look first. Only
// the sanitizers see an overflow, elsewhere it becomes a size below 0 at best.
TEST_CASE("every op with sizes near the largest beside one of 0, forward and back") {
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  Counts counts;
  std::set<std::string> ops, families;
  const auto try_call = [&](const Row& row, const Call& call, std::int64_t one, std::int64_t other,
                            std::int64_t large) {
    std::vector<Tensor> tensors;
    try {
      tensors = stretched(call, one, other, large);
    } catch (const ShapeError&) {  // beside the other sizes it is too large for a tensor
    }
    if (tensors.empty()) return;
    ops.insert(row.name);
    families.insert(row.family);
    run(counts, fmt::format("{}{} {} {} {}", row.name, call.str(), one, other, large), [&] {
      const std::vector<Tensor> results = row.run(call.with(tensors)).tensors();
      for (const Tensor& result : results)
        for (const std::int64_t size : result.sizes()) CHECK(size >= 0);
      go_back(results);
    });
  };
  for (const Row& row : catalogue::rows()) {
    for (const Sample& sample : row.samples) {
      const Call call = catalogue::make_call(row, sample, 1);
      const std::set<std::int64_t> sizes = sizes_in(call);
      for (const std::int64_t large : {largest, largest / 2 + 1, largest / 3, largest / 32})
        for (const std::int64_t one : sizes)
          for (const std::int64_t other : sizes)
            if (one != other) try_call(row, call, one, other, large);
    }
  }
  CHECK(ops.size() > 200);
  testing::figure(
      "R61", "ops with a dim of 2^63 - 1, 2^62, 2^63 / 3 or / 32 beside one of 0",
      fmt::format("{} calls handled, {} refused, {} neither; {} ops of {} families", counts.handled,
                  counts.refused, counts.other, ops.size(), families.size()),
      counts.other == 0);
}

TEST_CASE("attention over queries and keys without numbers") {
  Counts counts;
  for (const std::int64_t many : {kLarge, std::int64_t{1} << 56, std::int64_t{1} << 58,
                                  std::numeric_limits<std::int64_t>::max()}) {
    for (const std::int64_t few : {std::int64_t{0}, std::int64_t{8}, many}) {
      const Tensor q = zeros({few, 0}), k = zeros({many, 0});
      for (const double dropout : {0.0, 0.5}) {
        const auto attend = [&](const Tensor& queries, const Tensor& keys) {
          Generator generator(1), before(1);
          run(counts, fmt::format("{} {} {}", queries.sizes(), keys.sizes(), dropout), [&] {
            try {
              scaled_dot_product_attention(queries, keys, keys,
                                           {.dropout_p = dropout, .generator = &generator});
            } catch (const ShapeError&) {
              CHECK(generator.reserve(0) == before.reserve(0));
              throw;
            }
          });
        };
        attend(q, k);
        attend(k, q);
      }
    }
  }
  CHECK(counts.handled > 0);
  CHECK(counts.refused > 0);
  CHECK(counts.other == 0);
}

TEST_CASE("views, joins, indices, products and creation with 2^40") {
  Counts counts;
  const Tensor x = zeros({kLarge, 0}), y = zeros({0, kLarge}), one = ones({1}), few = ones({2, 3});
  const Tensor index = zeros({0}, kInt64), last = full({1}, kLarge - 1, kInt64);
  const std::pair<const char*, std::function<void()>> calls[] = {
      {"zeros", [] { zeros({kLarge}); }},
      {"zeros of two",
       [] {
         zeros({kLarge, kLarge});
       }},
      {"zeros of two and 0",
       [] {
         zeros({kLarge, kLarge, 0});
       }},
      {"ones beside 0",
       [] {
         ones({0, kLarge, 3});
       }},
      {"full", [] { full({kLarge}, 1.5); }},
      {"randn",
       [] {
         randn({kLarge, 0});
       }},
      {"randint",
       [] {
         randint(0, kLarge, {0, kLarge});
       }},
      {"randint from a wide range", [] { randint(-kLarge, kLarge, {3}); }},
      {"arange", [] { arange(kLarge); }},
      {"arange far away", [] { arange(kLarge, kLarge + 3); }},
      {"linspace", [] { linspace(0, 1, kLarge); }},
      {"eye", [] { eye(kLarge); }},
      {"randperm", [] { randperm(kLarge); }},
      {"transpose", [&] { x.transpose(0, 1).contiguous(); }},
      {"permute",
       [&] {
         x.permute({1, 0});
       }},
      {"reshape",
       [&] {
         x.reshape({0, kLarge, 3});
       }},
      {"view",
       [&] {
         x.view({kLarge, 0, 1});
       }},
      {"flatten", [&] { x.flatten(); }},
      {"expand", [&] { one.expand({kLarge}); }},
      {"expand and sum",
       [&] {
         one.expand({0, kLarge}).sum();
       }},
      {"expand and copy", [&] { one.expand({kLarge}).contiguous(); }},
      {"expand twice",
       [&] {
         one.expand({kLarge, kLarge});
       }},
      {"select", [&] { x.select(0, kLarge - 1); }},
      {"select too far", [&] { x.select(0, kLarge); }},
      {"slice", [&] { x.slice(0, 1, kLarge, kLarge - 1); }},
      {"narrow", [&] { x.narrow(0, kLarge - 2, 2); }},
      {"unfold", [&] { x.unfold(0, kLarge, 1); }},
      {"diagonal", [&] { x.diagonal(kLarge); }},
      {"split", [&] { x.split(kLarge / 2); }},
      {"chunk", [&] { x.chunk(3); }},
      {"squeeze", [&] { x.unsqueeze(1).squeeze(); }},
      {"cat",
       [&] {
         cat({x, x}, 0);
       }},
      {"cat of nothing",
       [&] {
         cat({y, y, y}, 0);
       }},
      {"stack",
       [&] {
         stack({x, x});
       }},
      {"repeat",
       [&] {
         repeat(few, {kLarge, 0});
       }},
      {"repeat too often",
       [&] {
         repeat(few, {kLarge, 1});
       }},
      {"repeat_interleave", [&] { repeat_interleave(few, kLarge, 0); }},
      {"index_select", [&] { x.index_select(0, last); }},
      {"index_select of nothing", [&] { x.index_select(0, index); }},
      {"gather",
       [&] {
         x.gather(0, zeros({1, 0}, kInt64));
       }},
      {"one_hot", [&] { one_hot(index, kLarge); }},
      {"one_hot of one", [&] { one_hot(last); }},
      {"embedding",
       [&] {
         embedding(zeros({kLarge, 0}), last);
       }},
      {"masked_fill",
       [&] {
         x.masked_fill(zeros({1, 0}, kBool), 1.0);
       }},
      {"where", [&] { where(x > 0, x, 1.0); }},
      {"add", [&] { x + x; }},
      {"add that broadcasts",
       [&] {
         x + zeros({kLarge, 1, 0});
       }},
      {"exp", [&] { x.exp(); }},
      {"in place",
       [&] {
         zeros({kLarge, 0}).add_(1.0).exp();
       }},
      {"sum", [&] { x.sum(); }},
      {"sum to 2^40", [&] { x.sum(1); }},
      {"sum away", [&] { x.sum(0); }},
      {"mean", [&] { x.mean(0); }},
      {"max", [&] { x.max(0); }},
      {"argmax", [&] { x.argmax(1); }},
      {"norm", [&] { x.norm(); }},
      {"softmax", [&] { x.softmax(0); }},
      {"log_softmax", [&] { x.log_softmax(1); }},
      {"logsumexp", [&] { x.logsumexp(1); }},
      {"cumsum", [&] { x.cumsum(0); }},
      {"sort", [&] { x.sort(0); }},
      {"topk", [&] { x.topk(0, 0); }},
      {"inner product", [&] { y.matmul(x); }},
      {"outer product", [&] { x.matmul(y); }},
      {"mm",
       [&] {
         mm(x, zeros({0, 2}));
       }},
      {"bmm",
       [&] {
         bmm(zeros({kLarge, 0, 2}), zeros({kLarge, 2, 0}));
       }},
      {"bmm of nothing",
       [&] {
         bmm(zeros({0, kLarge, 2}), zeros({0, 2, 3}));
       }},
      {"linear",
       [&] {
         linear(zeros({0, kLarge}), zeros({0, kLarge}));
       }},
      {"Linear", [&] { nn::Linear(kLarge, 0); }},
      {"Linear of 2^80", [&] { nn::Linear(kLarge, kLarge); }},
      {"Embedding", [&] { nn::Embedding(kLarge, 0); }},
      {"LayerNorm", [&] { nn::LayerNorm(Shape{kLarge}); }},
      {"conv1d",
       [&] {
         conv1d(zeros({0, 1, kLarge}), ones({1, 1, 3}));
       }},
      {"conv1d without channels",
       [&] {
         conv1d(zeros({1, 0, kLarge}), zeros({1, 0, 3}));
       }},
      {"conv2d",
       [&] {
         conv2d(zeros({0, 1, kLarge, 3}), ones({1, 1, 3, 3}));
       }},
      {"conv2d of many",
       [&] {
         conv2d(zeros({kLarge, 0, 3, 3}), zeros({0, 0, 3, 3}));
       }},
      {"max_pool2d",
       [&] {
         max_pool2d(zeros({0, 1, kLarge, 4}), 2);
       }},
      {"avg_pool1d",
       [&] {
         avg_pool1d(zeros({0, 1, kLarge}), 2);
       }},
      {"pad",
       [&] {
         pad(x, {kLarge, kLarge});
       }},
      {"mse_loss", [&] { losses::mse_loss(x, x); }},
      {"cross_entropy",
       [&] {
         losses::cross_entropy(zeros({0, kLarge}), index);
       }},
      {"str", [&] { CHECK(x.str().size() < 200); }},
      {"equal", [&] { CHECK(x.equal(x)); }},
      {"to", [&] { x.to(kFloat64); }},
      {"clone", [&] { x.clone(); }},
      {"to_vector", [&] { CHECK(x.to_vector<float>().empty()); }},
  };
  for (const auto& [what, call] : calls) run(counts, what, call);
  CHECK(counts.handled > 40);
  CHECK(counts.refused > 10);
  testing::figure("R61", "views, joins, indices, products, layers and creation with 2^40",
                  std::to_string(counts.handled) + " calls handled, " +
                      std::to_string(counts.refused) + " refused, " + std::to_string(counts.other) +
                      " neither",
                  counts.other == 0);
}
