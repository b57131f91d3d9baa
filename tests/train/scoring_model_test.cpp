// Reward models in files, and the scores of responses.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <retrace/autograd/grad_mode.h>
#include <retrace/data/tasks/rewarded_responses.h>
#include <retrace/nn/init.h>
#include <retrace/nn/mlp.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>
#include <retrace/train/language_model.h>
#include <retrace/train/reward_model.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;
using retrace::testing::TemporaryFolder;

namespace {

nn::TransformerOptions small(bool tied = false) {
  return {.context = 4, .layers = 1, .heads = 2, .embed_dim = 8, .tied_head = tied, .dropout = 0.2};
}

}  // namespace

TEST_CASE("a reward model comes back from its file with the same scores and its words") {
  manual_seed(1);
  const TemporaryFolder folder;
  const data::RewardedResponses task;
  const nn::RewardModel model(task.vocab_size(), small());
  nn::init::normal_(model.head.weight);
  const data::Tokenizer tokenizer = data::Tokenizer::characters("abcd");
  Metadata metadata = train::describe(task.vocab_size(), small(), &tokenizer);
  metadata["task"] = "responses";
  save_safetensors(folder / "model.safetensors", model.state_dict(), metadata);
  for (const std::string& path : {folder.path(), folder / "model.safetensors"}) {
    const train::ScoringModel back = train::load_reward_model(path);
    CHECK(back.metadata.at("task") == "responses");
    CHECK(back.tokenizer->encode("ca") == tokenizer.encode("ca"));
    const Tensor scores = train::score_responses(back.model, task.responses());
    CHECK(scores.sizes() == Shape{256});
    CHECK(scores.equal(train::score_responses(model, task.responses())));
    CHECK(back.model.is_training());
    CHECK_FALSE(scores.requires_grad());
  }
}

TEST_CASE("a response's score is that of its last token") {
  manual_seed(2);
  const nn::RewardModel model(5, small());
  nn::init::normal_(model.head.weight);
  const data::Responses responses = {
      .tokens = tensor({{4, 1, 0, 0}, {4, 1, 2, 3}}),
      .mask = tensor({{false, true, false, false}, {false, true, true, true}})};
  const Tensor scores = train::score_responses(model, responses);
  nn::RewardModel reader = model;
  reader.eval();
  const NoGradGuard no_grad;
  CHECK(scores[0].item<float>() ==
        doctest::Approx(reader.scores(tensor({{4, 1}}))[0][1].item<float>()).epsilon(1e-5));
  CHECK(scores[1].item<float>() ==
        doctest::Approx(reader.scores(responses.tokens)[1][3].item<float>()).epsilon(1e-5));
}

TEST_CASE("files of other models are refused by name, and scores that are not finite") {
  manual_seed(3);
  const TemporaryFolder folder;
  for (const bool tied : {false, true}) {
    const nn::Gpt gpt(5, small(tied));
    save_safetensors(folder / "model.safetensors", gpt.state_dict(),
                     train::describe(5, gpt.options()));
    const auto refused = message_of<IoError>([&] { train::load_reward_model(folder.path()); });
    CHECK(says(refused, folder / "model.safetensors"));
    CHECK(says(refused, "another kind of model"));
    CHECK(says(refused, "missing: head.bias"));
  }
  save_safetensors(folder / "mlp.safetensors", nn::Mlp(3, 1).state_dict());
  CHECK(says(message_of<IoError>([&] { train::load_reward_model(folder / "mlp.safetensors"); }),
             "says nothing of transformer"));
  CHECK_THROWS_AS(train::load_reward_model(folder / "none"), IoError);

  const nn::RewardModel model(5, small());
  save_safetensors(folder / "model.safetensors", model.state_dict(),
                   train::describe(5, model.options()));
  CHECK(says(message_of<IoError>([&] { train::load_language_model(folder.path()); }),
             "another kind of model"));

  model.head.bias.detach().fill_(std::numeric_limits<double>::quiet_NaN());
  const data::Responses one = {tensor({{1, 2}}), tensor({{false, true}})};
  CHECK(says(message_of<ValueError>([&] { train::score_responses(model, one); }),
             "score_responses: of 1 responses one has a score that is not finite; train"));
}
