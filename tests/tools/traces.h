#pragma once

// Traces of small runs, and the page that the tool makes of one.

#include <string>

#include <retrace/retrace.h>
#include <retrace/tests/tools/tool.h>

namespace retrace::testing {

/// Full-batch steps of a network with two inputs, on xor: fan-out, broadcasting, Adam.
inline trace::Trace xor_trace() {
  manual_seed(7);
  trace::Recorder recorder({.program = "xor"});
  nn::Linear hidden{2, 4}, out{4, 1};
  nn::Sequential model{hidden, nn::Tanh(), out};
  optim::Adam optimizer(model.parameters(), {.lr = 0.1});
  recorder.name(model.named_parameters());
  const Tensor x = tensor({{0., 0.}, {0., 1.}, {1., 0.}, {1., 1.}});
  const Tensor y = tensor({{0.}, {1.}, {1.}, {0.}});
  for (int step = 1; step <= 3; ++step) {
    recorder.training_step(step);
    optimizer.zero_grad();
    losses::bce_with_logits(model.forward(x), y).backward();
    optimizer.step();
  }
  return recorder.trace();
}

/// A step of a classifier with clipping, and a sum to which two ways lead.
inline trace::Trace mlp_trace() {
  manual_seed(8);
  trace::Recorder recorder({.program = "mlp"});
  nn::Linear up{12, 16}, down{16, 3};
  const Tensor scale = ones({3}).requires_grad_();
  recorder.name(scale, "scale");
  std::vector<Tensor> parameters = up.parameters();
  for (const Tensor& each : down.parameters()) parameters.push_back(each);
  parameters.push_back(scale);
  optim::SGD optimizer(parameters, {.lr = 0.1, .momentum = 0.9});
  const Tensor x = randn({5, 12}), target = tensor({0, 1, 2, 1, 0});
  for (int step = 1; step <= 2; ++step) {
    recorder.training_step(step);
    optimizer.zero_grad();
    const Tensor h = gelu(up(x));
    const Tensor logits = down(h) * scale + (h * h).sum(1, true) * 0.01;
    losses::cross_entropy(logits, target).backward();
    nn::utils::clip_grad_norm_(parameters, 0.5);
    optimizer.step();
  }
  return recorder.trace();
}

/// Modules within modules, and more tensors than a picture holds.
inline trace::Trace blocks_trace() {
  struct Block : nn::Module {
    nn::Linear up{2, 3}, down{3, 2};
    Block() {
      register_module("up", up);
      register_module("down", down);
    }
    Tensor forward(const Tensor& x) {
      const nn::Scope scope(*this);
      return x + down(tanh(up(x)));
    }
  };
  struct Net : nn::Module {
    nn::ModuleList<Block> blocks;
    Net() {
      register_module("blocks", blocks);
      for (int i = 0; i < 40; ++i) blocks.push_back(Block());
    }
    Tensor forward(Tensor x) {
      for (Block& block : blocks) x = block.forward(x);
      return x;
    }
  };
  manual_seed(9);
  trace::Recorder recorder({.program = "blocks"});
  Net net;
  losses::mse_loss(net.forward(randn({3, 2})), zeros({3, 2})).backward();
  return recorder.trace();
}

/// -log σ(β ((π_c - ref_c) - (π_r - ref_r))) on the log-probabilities of two pairs.
inline trace::Trace dpo_trace() {
  trace::Recorder recorder({.program = "dpo"});
  const Tensor chosen = tensor({-1.5, -2.25}).requires_grad_();
  const Tensor rejected = tensor({-1.75, -2.0}).requires_grad_();
  recorder.name(chosen, "policy_chosen");
  recorder.name(rejected, "policy_rejected");
  optim::SGD optimizer({chosen, rejected}, {.lr = 0.5});
  losses::dpo_loss(chosen, rejected, tensor({-1.6, -2.1}), tensor({-1.6, -2.1})).loss.backward();
  optimizer.step();
  return recorder.trace();
}

/// Numbers alone: a goes many ways into L, some of them of several steps.
inline trace::Trace scalar_trace() {
  trace::Recorder recorder({.program = "scalars"});
  const Tensor a = full({}, 0.3).requires_grad_(), b = full({}, -1.7).requires_grad_();
  recorder.name(a, "a");
  recorder.name(b, "b");
  const Tensor c = a * b, d = (c + a).tanh();
  (d * a + c.exp() * d).square().backward();
  (a * a * b).backward();  // adds to the gradients that are there
  return recorder.trace();
}

/// One pass from x², 5x and 2x², a gradient of 1 each: x has the gradient 6 + 5 + 12, and x² is on
/// a way as well.
inline trace::Trace roots_trace() {
  trace::Recorder recorder({.program = "roots"});
  const Tensor x = full({}, 3.0).requires_grad_(), one = full({}, 1.0);
  recorder.name(x, "x");
  const Tensor y = x.square(), z = x * 5, u = y * 2;
  Backprop({y, z, u}, {one, one, one}, nullptr, false, false).run();
  return recorder.trace();
}

/// The gradient of a is not what its ways bring.
inline trace::Trace changed_trace() {
  trace::Trace trace = scalar_trace();
  trace.program = "changed";
  for (const trace::Event& event : trace.events) {
    const auto* sum = std::get_if<trace::Accumulation>(&event);
    if (sum != nullptr && sum->in_grad && trace.nodes[sum->node].name == "a")
      trace.numbers[sum->after].values = full({}, 1000.0);
  }
  return trace;
}

/// The page has no table of the product: more cells than it shows.
inline trace::Trace large_trace() {
  manual_seed(9);
  trace::Recorder recorder({.elements = 10000, .program = "large"});
  const Tensor w = randn({3, 70}).requires_grad_();
  randn({70, 3}).matmul(w).square().sum().backward();
  return recorder.trace();
}

/// Names and numbers that a page could trip over.
inline constexpr const char* kOddName =
    "w \"q\" 'a' </script><script>alert(1)</script> & \\ süß 重み";
inline trace::Trace odd_trace() {
  trace::Recorder recorder({.program = "<b>odd</b> </script> \"run\""});
  const Tensor w =
      tensor({std::nan(""), -1.0, std::numeric_limits<double>::infinity()}).requires_grad_();
  recorder.name(w, kOddName);
  optim::SGD optimizer({w}, {.lr = 0.1});
  (w.sqrt() * w).sum().backward();
  optimizer.step();
  return recorder.trace();
}

struct TracePage {
  TemporaryFolder folder;
  std::string path = folder / "page.html", said, html;
  nlohmann::json data;

  /// Made by `retrace html`.
  explicit TracePage(const trace::Trace& trace) {
    trace.save(folder / "trace.json");
    const Outcome outcome = run_tool({"html", folder / "trace.json", "-o", path});
    said = outcome.err;
    CAPTURE(said);
    REQUIRE(outcome.code == 0);
    read();
  }
  /// Of a file that is there.
  explicit TracePage(std::string file) : path(std::move(file)) { read(); }

 private:
  void read() {
    html = contents_of(path);
    data = data_of(html);
  }
};

}  // namespace retrace::testing
