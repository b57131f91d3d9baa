#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/catalogue/catalogue.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

TEST_CASE("a TransformerBlock is the composition that the expected values are of") {
  nn::TransformerBlock block(6, 2, {.hidden = 12, .dtype = kFloat64});
  for (const Tensor& p : block.parameters()) nn::init::normal_(p);
  Tensor x = randn({2, 4, 6}, kFloat64).requires_grad_();
  const std::vector<std::pair<std::string, std::string>> names = {
      {"w_qkv", "attention.qkv.weight"},
      {"b_qkv", "attention.qkv.bias"},
      {"w_out", "attention.proj.weight"},
      {"b_out", "attention.proj.bias"},
      {"ln1_w", "ln1.weight"},
      {"ln1_b", "ln1.bias"},
      {"ln2_w", "ln2.weight"},
      {"ln2_b", "ln2.bias"},
      {"w1", "fc.weight"},
      {"b1", "fc.bias"},
      {"w2", "out.weight"},
      {"b2", "out.bias"}};
  std::vector<std::pair<std::string, Tensor>> tensors = {{"x", x}};
  std::vector<Tensor> inputs = {x};
  for (const auto& [short_name, name] : names) {
    inputs.push_back(block.named_parameters()[name]);
    tensors.emplace_back(short_name, inputs.back());
  }
  REQUIRE(inputs.size() == 1 + block.parameters().size());
  const catalogue::Call call(tensors, {{"heads", std::int64_t{2}}, {"causal", true}});
  const Tensor expected = catalogue::find("transformer_block")->run(call)["out"];
  const Tensor y = block(x), g = randn({2, 4, 6}, kFloat64);
  CHECK(largest_difference(y, expected) == 0);
  const auto got = grad({y}, inputs, {g}), wanted = grad({expected}, inputs, {g});
  for (std::size_t i = 0; i < inputs.size(); ++i) CHECK(largest_difference(got[i], wanted[i]) == 0);
}

TEST_CASE("MultiheadAttention attends to itself, to others, batch first or not, with masks") {
  nn::MultiheadAttention self(6, 2, {.batch_first = true});
  const Tensor x = randn({2, 4, 6}), memory = randn({2, 5, 6});
  // Another handle's numbers: the way for three different tensors.
  CHECK(largest_difference(self(x), self(x, x.clone(), x.clone())) < 1e-6);
  CHECK(self(x, memory, memory).sizes() == Shape({2, 4, 6}));
  nn::MultiheadAttention turned(6, 2);
  turned.load_state_dict(self.state_dict());
  CHECK(largest_difference(turned(x.transpose(0, 1)).transpose(0, 1), self(x)) < 1e-6);
  CHECK(
      largest_difference(
          turned(x.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1)).transpose(0, 1),
          self(x, memory, memory)) < 1e-6);
  // Keys that are left out do not matter; no query looks at keys behind it.
  nn::MultiheadAttentionForwardOptions padded;
  padded.key_padding_mask =
      tensor({{false, false, false, true, true}, {false, false, false, false, false}});
  Tensor other = memory.clone();
  other.select(0, 0).narrow(0, 3, 2).add_(5.0);
  CHECK(self(x, memory, memory, padded).equal(self(x, other, other, padded)));
  CHECK(!self(x, memory, memory).equal(self(x, other, other)));
  nn::MultiheadAttentionForwardOptions later;
  later.attn_mask = triu(ones({4, 4}), 1) > 0.5;
  CHECK(largest_difference(self(x, x, x, later), self(x, x, x, {.is_causal = true})) < 1e-6);
}

TEST_CASE("MultiheadAttention has PyTorch's names and first values") {
  manual_seed(9);
  const nn::MultiheadAttention attention(64, 4);
  NamedTensors p = attention.named_parameters();
  CHECK(p["in_proj_weight"].sizes() == Shape({192, 64}));
  CHECK(p["in_proj_bias"].equal(zeros({192})));
  CHECK(p["out_proj.bias"].equal(zeros({64})));
  const double bound = std::sqrt(6.0 / (64 + 192));
  CHECK(p["in_proj_weight"].abs().max().item<double>() <= bound);
  CHECK(p["in_proj_weight"].abs().max().item<double>() > 0.99 * bound);
  CHECK(p["out_proj.weight"].abs().max().item<double>() <= 0.125);
  CHECK(nn::MultiheadAttention(64, 4, {.bias = false}).parameters().size() == 2);
}

TEST_CASE("what comes later does not change what a causal block says before") {
  const nn::TransformerBlock block(8, 2);
  const Tensor x = randn({1, 6, 8});
  Tensor changed = x.clone();
  changed.narrow(1, 4, 2).add_(randn({1, 2, 8}));  // a constant is what layer norm takes out
  CHECK(block(x).narrow(1, 0, 4).equal(block(changed).narrow(1, 0, 4)));
  CHECK(!block(x).narrow(1, 4, 2).equal(block(changed).narrow(1, 4, 2)));
  const nn::TransformerBlock both_ways(8, 2, {.is_causal = false});
  CHECK(!both_ways(x).narrow(1, 0, 4).equal(both_ways(changed).narrow(1, 0, 4)));
}

TEST_CASE("dropout in attention acts in training only") {
  manual_seed(14);
  nn::CausalSelfAttention attention(8, 2, {.dropout = 0.5});
  nn::MultiheadAttention other(8, 2, {.dropout = 0.5});
  const Tensor x = randn({2, 6, 8});
  CHECK(!attention(x).equal(attention(x)));
  CHECK(!other(x).equal(other(x)));
  attention.eval();
  other.eval();
  CHECK(attention(x).equal(attention(x)));
  CHECK(other(x).equal(other(x)));
  CHECK(says(message_of<ValueError>([] { nn::CausalSelfAttention(8, 2, {.dropout = 2}); }),
             "dropout is 2"));
}

namespace {

// A language model whose head is its embedding.
struct TiedModel : nn::Module {
  nn::Embedding tokens{11, 8};
  nn::ModuleList<nn::TransformerBlock> blocks;
  nn::Linear head{tokens.weight};
  TiedModel() {
    for (int i = 0; i < 2; ++i) blocks.push_back(nn::TransformerBlock(8, 2));
    register_module("tokens", tokens);
    register_module("blocks", blocks);
    register_module("head", head);
  }
  Tensor forward(const Tensor& index) {
    Tensor x = tokens(index);
    for (auto& block : blocks) x = block(x);
    return head(x);
  }
};

}  // namespace

TEST_CASE("a tied weight is one parameter under two names") {
  manual_seed(10);
  TiedModel model;
  CHECK(model.parameters().size() == 1 + 2 * 12);
  StateDict state = model.state_dict();
  CHECK(state["tokens.weight"].is_same(state["head.weight"]));
  CHECK(state.contains("blocks.1.attention.qkv.weight"));
  TiedModel copy = nn::clone(model);
  CHECK(copy.head.weight.is_same(copy.tokens.weight));
  CHECK(!copy.head.weight.is_same(model.head.weight));
  CHECK(copy.blocks.size() == 2);
  CHECK(!copy.blocks[1].is_same(model.blocks[1]));

  // A sequence that repeats is learned, and the optimizer moves the tied weight once.
  const Tensor index = tensor({{1, 2, 3, 4, 1, 2, 3, 4}}),
               target = tensor({{2, 3, 4, 1, 2, 3, 4, 1}});
  optim::SGD once(model.parameters(), {.lr = 0.5});
  const auto loss_of = [&](TiedModel& of) {
    return losses::cross_entropy(of.forward(index).flatten(0, 1), target.flatten());
  };
  const Tensor before = model.tokens.weight.detach().clone();
  loss_of(model).backward();
  const Tensor gradient = model.tokens.weight.grad().clone();
  once.step();
  CHECK(largest_difference(model.tokens.weight, before - gradient * 0.5) < 1e-6);
  CHECK(model.head.weight.is_same(model.tokens.weight));
  CHECK(copy.tokens.weight.equal(before));

  optim::AdamW optimizer(copy.parameters(), {.lr = 1e-2});
  const double first = loss_of(copy).item<double>();
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    loss_of(copy).backward();
    optimizer.step();
  }
  CHECK(first > 1.5);
  CHECK(loss_of(copy).item<double>() < 0.1);
}

TEST_CASE("ModuleList holds handles, and all copies see what is added") {
  nn::ModuleList<nn::Linear> list{nn::Linear(2, 3), nn::Linear(3, 4)};
  nn::ModuleList<nn::Linear> same = list;
  list.push_back(nn::Linear(4, 5));
  CHECK(same.size() == 3);
  CHECK(same[2].weight.is_same(list[2].weight));
  CHECK(list.named_parameters().contains("2.weight"));
  const auto twin = nn::clone(list);
  CHECK(twin.size() == 3);
  CHECK(twin[1].weight.equal(list[1].weight));
  CHECK(!twin[1].weight.is_same(list[1].weight));
  CHECK(twin.named_parameters()["1.weight"].is_same(twin[1].weight));
  CHECK(nn::ModuleList<nn::Module>{nn::Linear(1, 2), nn::ReLU()}.parameters().size() == 2);
}

TEST_CASE("bad attention") {
  CHECK(says(message_of<ValueError>([] { nn::CausalSelfAttention(6, 4); }), "num_heads 4"));
  CHECK(says(message_of<ValueError>([] { nn::MultiheadAttention(6, 0); }), "num_heads 0"));
  CHECK(says(message_of<ValueError>([] { nn::TransformerBlock(6, 2, {.hidden = -1}); }),
             "hidden is -1"));
  const nn::MultiheadAttention attention(4, 2);
  CHECK(says(message_of<ShapeError>([&] { attention(zeros({2, 4})); }), "must be [T, B, 4]"));
  nn::MultiheadAttentionForwardOptions padded;
  padded.key_padding_mask = zeros({4}, kBool);
  const Tensor x = zeros({2, 3, 4}), memory = zeros({5, 3, 4});  // [T, B, 4], [S, B, 4]
  CHECK(message_of<ShapeError>([&] { attention(x, memory, memory, padded); }) ==
        "MultiheadAttention: key_padding_mask is [4]; it must be [B, S] = [3, 5]");
  // Masks that would be spread over samples or heads, or mean something else, are not taken.
  const nn::MultiheadAttention first(4, 2, {.batch_first = true});
  for (const Shape& sizes : {Shape{1, 5}, Shape{3, 1}, Shape{5}, Shape{5, 3}, Shape{2, 5}})
    CHECK_THROWS_AS(attention(x, memory, memory, {.key_padding_mask = zeros(sizes, kBool)}),
                    ShapeError);
  for (const Shape& sizes : {Shape{5}, Shape{1, 5}, Shape{3, 2, 5}, Shape{2, 2, 5}, Shape{5, 2}})
    CHECK_THROWS_AS(attention(x, memory, memory, {.attn_mask = zeros(sizes, kBool)}), ShapeError);
  CHECK(attention(x, memory, memory,
                  {.key_padding_mask = zeros({3, 5}, kBool), .attn_mask = zeros({2, 5}, kBool)})
            .equal(attention(x, memory, memory)));
  for (const DType dtype : {kFloat32, kInt64}) {
    CHECK(says(message_of<DTypeError>([&] {
                 first(x, x, x, {.attn_mask = zeros({3, 3}, dtype)});
               }),
               "[3, 3]; it must be bool, true: not looked at"));
    CHECK_THROWS_AS(first(x, x, x, {.key_padding_mask = zeros({2, 3}, dtype)}), DTypeError);
  }
}

TEST_CASE("Bilinear") {
  manual_seed(12);
  const nn::Bilinear form(3, 4, 5);
  CHECK(form.weight.sizes() == Shape({5, 3, 4}));
  CHECK(form.weight.abs().max().item<double>() <= 1 / std::sqrt(3.0));
  const Tensor x1 = randn({2, 3}), x2 = randn({2, 4});
  CHECK(form(x1, x2).equal(bilinear(x1, x2, form.weight, form.bias)));
  CHECK(nn::Bilinear(3, 4, 5, {.bias = false}).parameters().size() == 1);
  const nn::Bilinear of_nothing(0, 4, 5);
  CHECK(of_nothing(zeros({2, 0}), x2).equal(of_nothing.bias.expand({2, 5})));
  const nn::Bilinear by_nothing(3, 0, 5);
  CHECK(by_nothing(x1, zeros({2, 0})).equal(by_nothing.bias.expand({2, 5})));
  CHECK(says(message_of<ShapeError>([&] { form(x2, x1); }), "bilinear: x1 is [2, 4]"));
  CHECK(says(message_of<ShapeError>([&] {
               form(zeros({3, 2, 3}), zeros({4, 2, 4}));
             }),
             "with equal leading dims"));
  CHECK(says(message_of<ValueError>([] { nn::Bilinear(-1, 2, 3); }), "in1_features is -1"));
}
