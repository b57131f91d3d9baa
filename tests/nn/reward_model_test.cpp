#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

const nn::TransformerOptions kSmall = {.context = 6, .layers = 2, .heads = 2, .embed_dim = 8};

// With weights so large that tokens matter, of the head, too.
nn::RewardModel lively(nn::TransformerOptions options = kSmall) {
  nn::RewardModel model(7, options);
  for (const Tensor& p : model.parameters())
    if (p.dim() == 2) nn::init::normal_(p, 0, 0.5);
  return model;
}

}  // namespace

TEST_CASE("the score is that of the last token, whatever stands behind it") {
  manual_seed(1);
  const nn::RewardModel model = lively();
  const NoGradGuard no_grad;
  const Tensor ids = randint(0, 7, {3, 6}), last = tensor({2, 5, 0});
  const Tensor scores = model(ids, last), places = model.scores(ids);
  CHECK(scores.sizes() == Shape{3});
  CHECK(places.sizes() == Shape{3, 6});
  const std::vector<std::int64_t> at = last.to_vector<std::int64_t>();
  for (std::int64_t row = 0; row < 3; ++row) {
    const std::int64_t length = at[static_cast<std::size_t>(row)] + 1;
    CHECK(scores[row].item<float>() == places[row][length - 1].item<float>());
    const Tensor alone = ids.narrow(0, row, 1).narrow(1, 0, length);
    CHECK(allclose(model(alone, tensor({length - 1})), scores.narrow(0, row, 1), 1e-5, 1e-5));
  }
  Tensor padded = ids.clone();
  padded[0].narrow(0, 3, 3).fill_(0);
  CHECK(model(padded, last).equal(scores));
  padded[0][2].fill_((ids[0][2].item<std::int64_t>() + 1) % 7);
  CHECK(std::abs(model(padded, last)[0].item<float>() - scores[0].item<float>()) > 1e-3);
}

TEST_CASE("a fresh model scores all alike, so that the first loss is ln 2") {
  manual_seed(2);
  const nn::RewardModel model(7, kSmall);
  const Tensor last = full({4}, 5, kInt64);
  const Tensor chosen = model(randint(0, 7, {4, 6}), last),
               other = model(zeros({4, 6}, kInt64), last);
  CHECK(chosen.equal(zeros({4})));
  CHECK(losses::reward_loss(chosen, other).item<double>() ==
        doctest::Approx(std::log(2.0)).epsilon(1e-7));
  // Gradients come to the head at once, to what is below as soon as the head is not 0.
  losses::reward_loss(chosen, other).backward();
  CHECK(model.head.weight.grad().abs().max().item<double>() > 1e-4);
  CHECK(model.transformer.tokens.weight.grad().equal(zeros({7, 8})));
}

TEST_CASE("gradients of a reward model agree with differences") {
  manual_seed(3);
  nn::TransformerOptions options = kSmall;
  options.layers = 1;
  options.dtype = kFloat64;
  const nn::RewardModel model = lively(options);
  const Tensor ids = randint(0, 7, {3, 4}), last = tensor({3, 0, 2});
  CHECK(
      gradcheck([&](const std::vector<Tensor>&) { return model(ids, last); }, model.parameters()));
}

TEST_CASE("a reward model begins with a copy of a language model's backbone") {
  manual_seed(4);
  for (const bool tied : {false, true}) {
    nn::TransformerOptions options = kSmall;
    options.tied_head = tied;
    const nn::Gpt gpt(7, options);
    const nn::RewardModel model(gpt);
    const Tensor ids = randint(0, 7, {2, 6});
    CHECK(model.transformer(ids).equal(gpt.transformer(ids)));
    CHECK(model.scores(ids).equal(zeros({2, 6})));
    CHECK(model.options().layers == 2);
    CHECK(model.vocab_size() == 7);
    model.transformer.tokens.weight.detach().zero_();
    CHECK(gpt.transformer.tokens.weight.abs().max().item<double>() > 0);
  }
}

TEST_CASE("a reward model's state has the names of its parts; a clone is another model") {
  manual_seed(5);
  const nn::RewardModel model = lively();
  const StateDict state = model.state_dict();
  CHECK(state.contains("transformer.tokens.weight"));
  CHECK(state.contains("transformer.blocks.1.attention.qkv.weight"));
  CHECK(state.find("head.weight")->second.sizes() == Shape{1, 8});
  CHECK(state.find("head.bias")->second.sizes() == Shape{1});
  nn::RewardModel other(7, kSmall);
  const nn::RewardModel twin = nn::clone(model);
  other.load_state_dict(state);
  const Tensor ids = randint(0, 7, {2, 6});
  CHECK(other.scores(ids).equal(model.scores(ids)));
  model.head.weight.detach().zero_();
  CHECK(twin.scores(ids).equal(other.scores(ids)));
}

TEST_CASE("a reward model refuses what makes no sense") {
  const nn::RewardModel model(7, kSmall);
  const Tensor ids = zeros({2, 6}, kInt64);
  CHECK(says(message_of<ShapeError>([&] { model(ids, tensor({1})); }),
             "RewardModel: ids are [2, 6], last [1]; give [B, T] and [B]"));
  CHECK_THROWS_AS(model(ids, tensor({{1, 2}})), ShapeError);
  CHECK_THROWS_AS(model(ids[0], tensor({1})), ShapeError);
  CHECK_THROWS_AS(model(ids, Tensor()), ShapeError);
  CHECK_THROWS_AS(model.scores(ids[0]), ShapeError);
  CHECK(says(message_of<IndexError>([&] { model(ids, tensor({5, 6})); }), "6"));
  CHECK_THROWS_AS(model(ids, tensor({-1, 0})), IndexError);
  CHECK_THROWS_AS(model(ids, tensor({1.0, 2.0})), DTypeError);
  CHECK_THROWS_AS(model.scores(zeros({1, 7}, kInt64)), ValueError);
  CHECK_THROWS_AS(nn::RewardModel(0), ValueError);
}
