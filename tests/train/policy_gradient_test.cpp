#include <doctest/doctest.h>

#include <cmath>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/tests/train/session.h>

using namespace retrace;
using namespace retrace::train;
using testing::contents_of;
using testing::message_of;
using testing::says;
using testing::Session;
using testing::TemporaryFolder;

namespace {

using losses::KlEstimator;

const Recipe kRecipe = {.steps = 240, .batch_size = 256, .lr = 1e-2, .weight_decay = 0};

// Two prompts with nine responses each, and a reference that knows nothing of them.
struct World {
  data::RewardedResponses task{{.prompts = 2, .symbols = 3, .length = 2}};
  nn::Gpt reference{3, {.context = 3, .layers = 1, .heads = 2, .embed_dim = 16}};
  Tensor start = policy_table(reference, task);

  RewardedPrompts prompts() const {
    return {
        .prompts =
            [](std::int64_t count, std::int64_t group) {
              Prompts all;
              for (std::int64_t i = 0; i < count; ++i) all.push_back({i / group % 2});
              return all;
            },
        .rewards =
            [this](const data::Responses& responses) {
              return task.rewards().flatten().index({task.numbers(responses.tokens)}).to(kFloat32);
            },
        .generate = {.max_new_tokens = 2},
        .group = 64};
  }
  PolicyScore score(const PolicyGradient& learner) const {
    const Tensor end = learner.end_policy(start, task.rewards(), 2).value();
    return score_policy(policy_table(learner.policy(), task), end, start, task.rewards(),
                        learner.beta());
  }
};

}  // namespace

TEST_CASE("policy gradient ends at the policy that theory gives, whatever the algorithm") {
  struct Case {
    PolicyGradientOptions options;
    bool is_best;
  };
  for (const Case& c :
       {Case{{.algorithm = "ppo"}, true}, Case{{.algorithm = "grpo"}, true},
        Case{{.algorithm = "rloo"}, true}, Case{{.algorithm = "grpo", .loss_type = "cispo"}, true},
        Case{{.algorithm = "rloo", .kl = "k2", .kl_in = "loss"}, true},
        Case{{.algorithm = "rloo", .kl = "k3", .kl_in = "loss"}, false},
        Case{{.algorithm = "ppo", .kl = "k2", .kl_in = "loss"}, false},
        Case{{.algorithm = "grpo", .kl = "k3", .kl_in = "loss"}, false},
        Case{{.algorithm = "grpo", .kl = "k3", .kl_in = "loss", .loss_type = "cispo"}, false}}) {
    CAPTURE(c.options.algorithm);
    CAPTURE(c.options.kl);
    CAPTURE(c.options.kl_in);
    Session session({"--seed", "3"});
    const World world;
    PolicyGradient learner(c.options, world.prompts(), world.reference);
    const PolicyScore before = world.score(learner);
    CHECK(before.kl > 0.1);
    learner.learn(*session.run, kRecipe);
    const PolicyScore after = world.score(learner);
    CHECK(after.kl < 0.01);
    const Tensor best = optimal_policy(world.start, world.task.rewards(), 1);
    const Tensor end = learner.end_policy(world.start, world.task.rewards(), 2).value();
    CHECK(allclose(end, best, 1e-12, 1e-12) == c.is_best);
    const double most = score_policy(best, best, world.start, world.task.rewards(), 1).objective;
    CHECK(after.objective < most);
    if (c.is_best) CHECK(after.objective > 0.98 * most);
  }
}

TEST_CASE("beta follows the KL to its target") {
  Session session({"--seed", "1"});
  const World world;
  PolicyGradient learner({.beta = 0.3, .kl_target = 0.1}, world.prompts(), world.reference);
  learner.learn(*session.run, kRecipe);
  // So much KL was not wanted: leaving the reference has become dearer.
  CHECK(learner.beta() > 0.3);
  CHECK(world.score(learner).kl < 0.02);
}

TEST_CASE("a run of policy gradient that was interrupted ends in the same bits") {
  const TemporaryFolder folder;
  for (const int last : {3, 4, 5}) {  // after the last pass, and in between
    const auto train = [&](const char* how, const std::string& where) {
      Session session({how, where, "--seed", "5", "--steps", "8", "--save-every",
                       std::to_string(last), "--json", folder / "steps"});
      const World world;
      PolicyGradient learner({.kl_target = 0.2, .passes = 3}, world.prompts(), world.reference);
      learner.learn(*session.run, kRecipe);
    };
    train("--save", folder / "whole");
    train("--save", folder / "parts");
    std::filesystem::remove(folder / "parts/model.safetensors");
    for (int step = last + 1; step <= 8; ++step)
      std::filesystem::remove(folder /
                              ("parts/checkpoint-" + std::to_string(step) + ".safetensors"));
    std::filesystem::remove(folder / "steps");
    train("--resume", folder / "parts");
    // One that began anew would end in the same bits.
    CHECK(contents_of(folder / "steps")
              .starts_with(fmt::format(R"({{"event":"step","step":{},)", last + 1)));
    CHECK(contents_of(folder / "parts/model.safetensors") ==
          contents_of(folder / "whole/model.safetensors"));
  }
  // The critic stays behind.
  const SafetensorsFile file = load_safetensors_file(folder / "whole/model.safetensors");
  CHECK(file.tensors.contains("head.weight"));
  CHECK(file.tensors.size() == World().reference.state_dict().size());
}

TEST_CASE("dropout of the model that is tuned makes no noise in the KL") {
  const TemporaryFolder folder;
  Session session({"--steps", "1", "--json", folder / "steps"});
  World world;
  world.reference =
      nn::Gpt(3, {.context = 3, .layers = 1, .heads = 2, .embed_dim = 16, .dropout = 0.5});
  world.reference.train();
  PolicyGradient learner({}, world.prompts(), world.reference);
  learner.learn(*session.run, kRecipe);
  session.run.reset();
  CHECK(says(contents_of(folder / "steps"), "\"kl_to_reference\":0,"));
  CHECK(world.reference.is_training());
}

TEST_CASE("where policy gradient ends is known for some, and said to be unknown for others") {
  const World world;
  const auto knows = [&](const PolicyGradientOptions& options) {
    return PolicyGradient(options, world.prompts(), world.reference)
        .end_policy(world.start, world.task.rewards(), 2)
        .has_value();
  };
  CHECK(knows({}));
  CHECK(knows({.entropy_coef = 0}));
  CHECK_FALSE(knows({.entropy_coef = 0.1}));
  CHECK_FALSE(knows({.gamma = 0.9}));
  CHECK_FALSE(knows({.kl = "k3"}));
  CHECK_FALSE(knows({.kl = "k1", .kl_in = "loss"}));
  CHECK_FALSE(knows({.algorithm = "grpo", .kl = "k3", .kl_in = "loss", .scale = "group"}));
  CHECK(knows({.algorithm = "grpo", .kl = "k3", .kl_in = "loss"}));
}

TEST_CASE("policy gradient refuses what makes no sense") {
  const World world;
  const auto refuses = [&](const PolicyGradientOptions& options) {
    return message_of<ValueError>(
        [&] { PolicyGradient(options, world.prompts(), world.reference); });
  };
  CHECK(says(refuses({.algorithm = "dpo"}), "ppo, grpo and rloo"));
  CHECK(says(refuses({.kl = "k4"}), "k4"));
  CHECK(says(refuses({.kl_in = "both"}), "reward or loss"));
  CHECK(says(refuses({.scale = "group"}), "ppo does not divide"));
  CHECK(says(refuses({.algorithm = "rloo", .scale = "batch"}), "rloo does not divide"));
  CHECK(says(refuses({.passes = 0}), "at least 1"));
  CHECK(says(refuses({.algorithm = "grpo", .group = 1}), "group must be at least 2"));
  CHECK(
      says(refuses({.algorithm = "grpo", .kl = "k2", .kl_in = "loss"}), "the loss of grpo has k3"));
  CHECK(says(refuses({.beta = 0}), "above 0"));

  Session session({"--steps", "1"});
  RewardedPrompts broken = world.prompts();
  broken.rewards = [](const data::Responses& r) { return full({r.size()}, NAN); };
  PolicyGradient learner({}, broken, world.reference);
  CHECK(says(message_of<ValueError>([&] { learner.learn(*session.run, kRecipe); }),
             "a reward is not finite"));
  RewardedPrompts long_ones = world.prompts();
  long_ones.generate.max_new_tokens = 3;
  PolicyGradient other({}, long_ones, world.reference);
  CHECK(says(message_of<ValueError>([&] { other.learn(*session.run, kRecipe); }),
             "more than the 3 that the model reads"));
}

TEST_CASE("rollouts: log-probabilities of tokens are those of the response, and survive a file") {
  manual_seed(2);
  const nn::Gpt model(5, {.context = 8, .layers = 1, .heads = 1, .embed_dim = 8});
  Generator generator(1);
  const data::Responses responses =
      sample_responses(model, {{1, 2, 3}, {4}},
                       {.max_new_tokens = 4, .stop = 0, .sampling = {.generator = &generator}});
  CHECK(responses.prompt(0) == std::vector<std::int64_t>{1, 2, 3});
  CHECK(responses.prompt(1) == std::vector<std::int64_t>{4});
  const NoGradGuard no_grad;
  const Tensor logps = token_logps(model(responses.tokens), responses);
  CHECK(logps.sizes() == Shape{2, responses.tokens.size(1) - 1});
  CHECK(allclose(logps.sum(1), response_logps(model, responses), 1e-6, 1e-6));
  const Tensor outside = logical_not(responses.mask.narrow(1, 1, logps.size(1)));
  CHECK(masked_select(logps, outside).abs().sum().item<double>() == 0);

  Rollouts rollouts;
  rollouts.responses = responses;
  rollouts.logps = logps;
  rollouts.passes = 3;
  Rollouts same;
  same.load_state_dict(rollouts.state_dict());
  CHECK(same.passes == 3);
  CHECK(same.responses.tokens.equal(responses.tokens));
  CHECK(same.logps.equal(logps));
  CHECK_FALSE(same.values.defined());
  CHECK_THROWS_AS(same.load_state_dict({}), ValueError);
}
