// Attention and what is built on it.
#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/attention.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/autograd/ops/normalization.h>
#include <retrace/catalogue/samples.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/random.h>

namespace retrace::catalogue {
namespace {

AttentionOptions options_of(const Call& c, Generator& generator) {
  AttentionOptions options = {.dropout_p = c.number("dropout_p", 0),
                              .is_causal = c.flag("causal", false),
                              .scale = c.maybe_number("scale"),
                              .generator = &generator};
  options.attn_mask = c.optional("mask");
  return options;
}

// Of x [B, T, E]; key_padding [B, T], true where a key is to be left out.
Tensor attention_of_heads(const Call& c, const Tensor& x) {
  AttentionOptions options = {.is_causal = c.flag("causal", false)};
  if (const Tensor padding = c.optional("key_padding"); padding.defined())
    options.attn_mask = logical_not(padding).view({padding.size(0), 1, 1, padding.size(1)});
  const Tensor qkv = linear(x, c["w_qkv"], c["b_qkv"]);
  return linear(packed_attention(qkv, c.integer("heads"), options), c["w_out"], c["b_out"]);
}

std::vector<Input> of_heads(const Shape& x) {
  const std::int64_t e = x[2];
  return {{"x", x}, {"w_qkv", {3 * e, e}}, {"b_qkv", {3 * e}}, {"w_out", {e, e}}, {"b_out", {e}}};
}

std::vector<Input> of_block(const Shape& x, std::int64_t hidden) {
  const std::int64_t e = x[2];
  std::vector<Input> inputs = of_heads(x);
  inputs.insert(inputs.end(), {{"ln1_w", {e}},
                               {"ln1_b", {e}},
                               {"ln2_w", {e}},
                               {"ln2_b", {e}},
                               {"w1", {hidden, e}},
                               {"b1", {hidden}},
                               {"w2", {e, hidden}},
                               {"b2", {e}}});
  return inputs;
}

Sample of_three(const Shape& q, const Shape& k, const Shape& v, Arguments arguments = {},
                const std::optional<Shape>& mask = {}) {
  Sample sample{{{"q", q}, {"k", k}, {"v", v}}, std::move(arguments)};
  if (mask) sample.inputs.push_back({"mask", *mask, truths()});
  return sample;
}

}  // namespace

void add_attention(std::vector<Row>& rows) {
  const auto packed = [](const Shape& qkv, Arguments arguments,
                         const std::optional<Shape>& mask = {}) {
    Sample sample{{{"qkv", qkv}}, std::move(arguments)};
    if (mask) sample.inputs.push_back({"mask", *mask, truths()});
    return sample;
  };
  rows.insert(
      rows.end(),
      {
          {.name = "attention",
           .family = "attention",
           .question = "What do the values say that each query asks for?",
           .run = [](const Call& c) -> Results {
             Generator generator(7);  // drops the same weights at every call
             return scaled_dot_product_attention(c["q"], c["k"], c["v"], options_of(c, generator));
           },
           .samples = {of_three({2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}),
                       of_three({2, 4, 3}, {2, 4, 3}, {2, 4, 3}, {{"causal", true}}),
                       of_three({2, 3}, {5, 3}, {5, 2}, {{"causal", true}, {"scale", 0.7}}),
                       of_three({4, 2}, {2, 2}, {2, 3}, {{"causal", true}}),
                       of_three({2, 3, 2}, {2, 4, 2}, {2, 4, 2}, {}, Shape{2, 1, 4}),
                       of_three({2, 3, 2}, {2, 3, 2}, {2, 3, 2}, {{"causal", true}}, Shape{3, 3}),
                       of_three({2, 3, 2}, {2, 5, 2}, {2, 5, 2}, {{"dropout_p", 0.4}}),
                       of_three({0, 3, 2}, {0, 3, 2}, {0, 3, 2})},
           .function = "scaled_dot_product_attention"},
          {.name = "packed_attention",
           .family = "attention",
           .question = "What does each place of a sequence learn from the others?",
           .run = [](const Call& c) -> Results {
             Generator generator(7);
             return packed_attention(c["qkv"], c.integer("heads"), options_of(c, generator));
           },
           .samples = {packed({2, 4, 12}, {{"heads", 2}, {"causal", true}}),
                       packed({1, 3, 6}, {{"heads", 1}}),
                       packed({1, 5, 6}, {{"heads", 2}, {"causal", true}, {"dropout_p", 0.3}}),
                       packed({2, 3, 6}, {{"heads", 2}}, Shape{2, 1, 1, 3}),
                       packed({2, 0, 6}, {{"heads", 2}})}},
          {.name = "multi_head_attention",
           .family = "composition",
           .question = "What do several heads learn from a sequence?",
           .run = [](const Call& c) -> Results { return attention_of_heads(c, c["x"]); },
           .samples = {{of_heads({2, 3, 4}), {{"heads", 2}, {"causal", true}}},
                       {of_heads({1, 2, 2}), {{"heads", 1}}}},
           .function = "packed_attention",
           .allows_same = false},
          {.name = "transformer_block",
           .family = "composition",
           .question = "What does one layer of a language model make of a sequence?",
           .run = [](const Call& c) -> Results {
             const double eps = c.number("eps", 1e-5);
             const auto normal = [&](const Tensor& x, std::string_view w, std::string_view b) {
               return layer_norm(x, {x.size(-1)}, c[w], c[b], eps);
             };
             const Tensor x = c["x"] + attention_of_heads(c, normal(c["x"], "ln1_w", "ln1_b"));
             const Tensor hidden = gelu(linear(normal(x, "ln2_w", "ln2_b"), c["w1"], c["b1"]));
             return x + linear(hidden, c["w2"], c["b2"]);
           },
           .samples = {{of_block({2, 3, 4}, 6), {{"heads", 2}, {"causal", true}}},
                       {of_block({1, 2, 2}, 3), {{"heads", 1}}}},
           .function = "layer_norm",
           .allows_same = false},
          {.name = "rope",
           .family = "attention",
           .question = "How are positions told to attention by turning its vectors?",
           .run = [](const Call& c) -> Results {
             const std::string layout = c.text("layout", "halves");
             require<ValueError>(layout == "halves", "rope: layout is {}; only halves is known",
                                 layout);
             return rope(c["x"],
                         {.base = c.number("base", 10000), .offset = c.integer("offset", 0)});
           },
           .samples = {shaped({1, 2, 3, 4}), shaped({3, 2}, {{"base", 100.0}}),
                       shaped({2, 3, 6}, {{"offset", 5}}), shaped({0, 3, 4}), shaped({2, 0})}},
      });
}

}  // namespace retrace::catalogue
