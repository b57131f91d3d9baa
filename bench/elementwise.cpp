#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

// W6: forward and backward of one op.

namespace retrace::bench {
namespace {

/// Times y = f() and its backward from `g`, over the elements of leaves[0].
template <class F>
void time_op(const Run& run, const std::string& name, const std::vector<Tensor>& leaves,
             const Tensor& g, F f) {
  const double per_element = 1e9 / static_cast<double>(leaves[0].numel());
  report_time(run, "ew_" + name, "ns/element", per_element, [&] {
    for (const Tensor& leaf : leaves) leaf.zero_grad();
    f().backward(g);
  });
}

Tensor leaf(const Shape& sizes) { return randn(sizes).requires_grad_(); }

/// f(x, leaves) at both sizes; further leaves are rows of x's width.
template <class F>
void at_both_sizes(const Run& run, const std::string& op, int more_leaves, F f) {
  manual_seed(0);
  for (const std::int64_t rows : {64, 1024}) {
    std::vector<Tensor> leaves = {leaf({rows, 1024})};
    for (int i = 0; i < more_leaves; ++i) leaves.push_back(leaf({1024}));
    time_op(run, op + (rows == 64 ? "_64k" : "_1m"), leaves, randn({rows, 1024}),
            [&] { return f(leaves); });
  }
}

void cross_entropy(const Run& run) {
  manual_seed(0);
  for (const auto& [rows, classes] : {std::pair{64, 1024}, std::pair{1024, 10000}}) {
    const Tensor logits = leaf({rows, classes}), labels = randint(0, classes, {rows});
    time_op(run, rows == 64 ? "cross_entropy_64k" : "cross_entropy_10m", {logits}, {},
            [&] { return losses::cross_entropy(logits, labels); });
  }
}

struct Op {
  const char* name;
  Tensor (*y)(const Tensor& x);
};
constexpr Op kOps[] = {
    {"relu", relu},
    {"sigmoid", sigmoid},
    {"tanh", tanh},
    {"gelu_erf", [](const Tensor& x) { return gelu(x); }},
    {"gelu_tanh", [](const Tensor& x) { return gelu(x, Approximate::tanh); }},
    {"silu", silu},
    {"mish", mish},
    {"softplus", [](const Tensor& x) { return softplus(x); }},
    {"elu", [](const Tensor& x) { return elu(x); }},
    {"softmax", [](const Tensor& x) { return softmax(x, -1); }},
    {"log_softmax", [](const Tensor& x) { return log_softmax(x, -1); }},
};

}  // namespace

std::vector<Workload> elementwise() {
  std::vector<Workload> ops;
  for (const Op& op : kOps)
    ops.push_back({std::string("ew:") + op.name, [op](const Run& run) {
                     at_both_sizes(run, op.name, 0,
                                   [op](const auto& leaves) { return op.y(leaves[0]); });
                   }});
  ops.push_back({"ew:layer_norm", [](const Run& run) {
                   at_both_sizes(run, "layer_norm", 2, [](const auto& leaves) {
                     return layer_norm(leaves[0], {1024}, leaves[1], leaves[2]);
                   });
                 }});
  ops.push_back({"ew:cross_entropy", cross_entropy});
  std::vector<Workload> all = {{"elementwise", [ops](const Run& run) {
                                  for (const Workload& op : ops) op.run(run);
                                }}};
  all.insert(all.end(), ops.begin(), ops.end());
  return all;
}

}  // namespace retrace::bench
