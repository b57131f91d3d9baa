#include <retrace/autograd/ops/gated.h>
#include <retrace/catalogue/samples.h>
#include <retrace/catalogue/scenes.h>

namespace retrace::catalogue {
namespace {

Gate gate_of(const Call& c) {
  return one_of<Gate>(c, "gate", {{"second", Gate::second}, {"first", Gate::first}});
}

template <Tensor (*op)(const Tensor&, std::int64_t, Gate)>
Results call_gated(const Call& c) {
  return op(c["x"], c.integer("dim", -1), gate_of(c));
}
template <Approximate approximate>
Results call_geglu(const Call& c) {
  return geglu(c["x"], c.integer("dim", -1), gate_of(c), approximate);
}

GatedWeights weights_of(const Call& c) {
  return {.gate = c["w_gate"],
          .up = c["w_up"],
          .down = c["w_down"],
          .gate_bias = c.optional("b_gate"),
          .up_bias = c.optional("b_up"),
          .down_bias = c.optional("b_down")};
}

template <Tensor (*op)(const Tensor&, const GatedWeights&)>
Results call_block(const Call& c) {
  return op(c["x"], weights_of(c));
}
// A gate that only passes or stops has a kink at 0.
std::vector<Sample> halved(const Domain& domain = {}) {
  const std::string first = "first";
  return {shaped({3, 4}, {}, domain),
          shaped({4, 3}, {{"dim", 0}, {"gate", first}}, domain),
          shaped({2, 6, 3}, {{"dim", 1}}, domain),
          shaped({2}, {{"gate", first}}, domain),
          shaped({2, 0}, {}, domain),
          shaped({0, 4}, {}, domain)};
}

Scene along_gate() {
  return {.inputs = {{"x", {2}, {1, 0}}},
          .moved = "x",
          .element = 1,
          .axis = {.symbol = "a", .label = "gate a"},
          .arguments = {{"gate", "second"}},
          .watched = {{"v", 0}}};
}

std::vector<Sample> blocks() {
  const auto block = [](const Shape& x, bool biases) {
    const std::int64_t d = x.back(), hidden = 5;
    Sample sample{{{"x", x},
                   {"w_gate", {hidden, d}, between(0.1, 1)},
                   {"w_up", {hidden, d}},
                   {"w_down", {d, hidden}}}};
    if (biases) {
      sample.inputs.insert(sample.inputs.end(),
                           {{"b_gate", {hidden}}, {"b_up", {hidden}}, {"b_down", {d}}});
    }
    return sample;
  };
  return {block({3, 2}, false), block({2, 1, 3}, true), block({3}, true), block({0, 2}, true)};
}

// No gate is at the kink of relu.
bool gates_are_open_or_shut(const Call& c) {
  const Tensor& x = c["x"];
  if (x.numel() == 0) return true;
  Tensor gate = x.matmul(c["w_gate"].t());
  if (c.optional("b_gate").defined()) gate = gate.add(c.optional("b_gate"));
  return gate.abs().min().item<double>() > 0.01;
}

}  // namespace

void add_gated(std::vector<Row>& rows) {
  rows.insert(
      rows.end(),
      {
          {.name = "glu",
           .family = "gated",
           .question = "What is left of one half when the sigmoid of the other lets it through?",
           .run = call_gated<glu>,
           .samples = halved(),
           .card =
               {.topic = 11,
                .about = "The network learns what to pass: a gate near 0 shuts its partner off, "
                         "one near 1 lets it through.",
                .range = "between 0 and v",
                .slope =
                    "To the gate v σ(a) σ(-a), which vanishes on both sides; to the value σ(a).",
                .call = "glu(x, -1, Gate::second)",
                .trap = "Which half is the gate differs: the second in PyTorch's glu, the first in "
                        "LLaMA's fused projections. The argument says it.",
                .scene = along_gate()}},
          {.name = "swiglu",
           .family = "gated",
           .question = "What is one half times the silu of the other?",
           .run = call_gated<swiglu>,
           .samples = halved(),
           .card =
               {.topic = 11,
                .about = "The gate is a silu. Usual in the feed-forward blocks of language models.",
                .range = "(-∞, ∞)",
                .slope =
                    "To the gate v silu'(a); to the value silu(a): what is shut learns nothing.",
                .call = "swiglu(x, -1, Gate::second)",
                .trap = "Which half is the gate differs: the second in PyTorch's glu, the first in "
                        "LLaMA's fused projections. The argument says it. Three matrices at ⅔ of "
                        "the width have as many weights as two.",
                .scene = along_gate()}},
          {.name = "geglu",
           .family = "gated",
           .question = "What is one half times the gelu of the other?",
           .run = call_geglu<Approximate::none>,
           .samples = halved(),
           .card = {.topic = 11,
                    .about = "The gate is a gelu. The exact form, with erf.",
                    .range = "(-∞, ∞)",
                    .slope = "To the gate v gelu'(a); to the value gelu(a).",
                    .call = "geglu(x, -1, Gate::second)",
                    .trap = "Which half is the gate differs: the second in PyTorch's glu, the "
                            "first in LLaMA's fused projections. The argument says it.",
                    .scene = along_gate()}},
          {.name = "geglu_tanh",
           .family = "gated",
           .question = "What is one half times the gelu of the other, gelu in its tanh form?",
           .run = call_geglu<Approximate::tanh>,
           .samples = halved(),
           .function = "geglu",
           .card =
               {.topic = 11,
                .about =
                    "The gate is a gelu in its tanh form, as models derived from GPT-2 have it.",
                .range = "(-∞, ∞)",
                .slope = "To the gate v gelu'(a); to the value gelu(a).",
                .call = "geglu(x, -1, Gate::second, Approximate::tanh)",
                .trap = "Which half is the gate differs: the second in PyTorch's glu, the "
                        "first in LLaMA's fused projections. The argument says it.",
                .scene = along_gate()}},
          {.name = "reglu",
           .family = "gated",
           .question = "What is left of one half where the other is above 0, times that?",
           .run = call_gated<reglu>,
           .samples = halved(away_from({0})),
           .card = {.topic = 11,
                    .about = "The gate is a relu: what is below 0 shuts its partner off.",
                    .range = "[0, ∞) for v > 0",
                    .slope = "0 to both halves where the gate is below 0; jumps at 0.",
                    .call = "reglu(x, -1, Gate::second)",
                    .trap = "Which half is the gate differs: the second in PyTorch's glu, the "
                            "first in LLaMA's fused projections. The argument says it.",
                    .scene = along_gate()}},
          {.name = "bilinear_glu",
           .family = "gated",
           .question = "What is one half times the other?",
           .run = call_gated<bilinear_glu>,
           .samples = halved(),
           .card = {.topic = 11,
                    .about = "A gate without an activation: a product of two linear maps, which "
                             "already is no longer linear.",
                    .range = "(-∞, ∞)",
                    .slope = "To the gate v, to the value a: never bounded.",
                    .call = "bilinear_glu(x, -1, Gate::second)",
                    .trap = "Which half is the gate differs: the second in PyTorch's glu, the "
                            "first in LLaMA's fused projections. The argument says it.",
                    .scene = along_gate()}},
          {.name = "glu_ffn",
           .family = "composition",
           .question = "What does a feed-forward block gated by a sigmoid give?",
           .run = call_block<glu_ffn>,
           .samples = blocks()},
          {.name = "swiglu_ffn",
           .family = "composition",
           .question = "What does a feed-forward block gated by silu give?",
           .run = call_block<swiglu_ffn>,
           .samples = blocks()},
          {.name = "geglu_ffn",
           .family = "composition",
           .question = "What does a feed-forward block gated by gelu give?",
           .run = call_block<geglu_ffn>,
           .samples = blocks()},
          {.name = "geglu_tanh_ffn",
           .family = "composition",
           .question = "What does a feed-forward block gated by gelu in its tanh form give?",
           .run = call_block<geglu_tanh_ffn>,
           .samples = blocks()},
          {.name = "reglu_ffn",
           .family = "composition",
           .question = "What does a feed-forward block gated by relu give?",
           .run = call_block<reglu_ffn>,
           .samples = blocks(),
           .smooth = gates_are_open_or_shut},
          {.name = "bilinear_glu_ffn",
           .family = "composition",
           .question = "What does a feed-forward block of two multiplied layers give?",
           .run = call_block<bilinear_glu_ffn>,
           .samples = blocks()},
      });
}

}  // namespace retrace::catalogue
