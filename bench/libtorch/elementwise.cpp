#include <torch/torch.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

using torch::Tensor;

/// Times y = f() and its backward from `g`, over the elements of leaves[0].
template <class F>
void time_op(const Run& run, const std::string& name, const std::vector<Tensor>& leaves,
             const Tensor& g, F f) {
  const double per_element = 1e9 / static_cast<double>(leaves[0].numel());
  report_time(run, "ew_" + name, "ns/element", per_element, [&] {
    for (const Tensor& leaf : leaves) leaf.mutable_grad().reset();
    f().backward(g);
  });
}

Tensor leaf(at::IntArrayRef sizes) { return torch::randn(sizes).requires_grad_(); }

/// f(x, leaves) at both sizes; further leaves are rows of x's width.
template <class F>
void at_both_sizes(const Run& run, const std::string& op, int more_leaves, F f) {
  torch::manual_seed(0);
  for (const int64_t rows : {64, 1024}) {
    std::vector<Tensor> leaves = {leaf({rows, 1024})};
    for (int i = 0; i < more_leaves; ++i) leaves.push_back(leaf({1024}));
    time_op(run, op + (rows == 64 ? "_64k" : "_1m"), leaves, torch::randn({rows, 1024}),
            [&] { return f(leaves); });
  }
}

void cross_entropy(const Run& run) {
  torch::manual_seed(0);
  for (const auto& [rows, classes] : {std::pair<int64_t, int64_t>{64, 1024}, {1024, 10000}}) {
    const Tensor logits = leaf({rows, classes}),
                 labels = torch::randint(classes, {rows}, torch::kInt64);
    time_op(run, rows == 64 ? "cross_entropy_64k" : "cross_entropy_10m", {logits}, {},
            [&] { return torch::nn::functional::cross_entropy(logits, labels); });
  }
}

struct Op {
  const char* name;
  Tensor (*y)(const Tensor& x);
};
const Op kOps[] = {
    {"relu", torch::relu},
    {"sigmoid", torch::sigmoid},
    {"tanh", torch::tanh},
    {"gelu_erf", [](const Tensor& x) { return torch::gelu(x); }},
    {"gelu_tanh", [](const Tensor& x) { return torch::gelu(x, "tanh"); }},
    {"silu", torch::silu},
    {"mish", torch::mish},
    {"softplus", [](const Tensor& x) { return torch::softplus(x); }},
    {"elu", [](const Tensor& x) { return torch::elu(x); }},
    {"softmax", [](const Tensor& x) { return torch::softmax(x, -1); }},
    {"log_softmax", [](const Tensor& x) { return torch::log_softmax(x, -1); }},
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
                     return torch::layer_norm(leaves[0], {1024}, leaves[1], leaves[2]);
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
