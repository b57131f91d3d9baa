// What theory says of preferences and policies, and the losses that follow it.
#include <doctest/doctest.h>

#include <cmath>

#include <retrace/retrace.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::train;

namespace {

const data::RewardedResponses& task() {
  static const data::RewardedResponses all;
  return all;
}
const Tensor& reference() { return task().demonstration_logps(); }
const Tensor& rewards() { return task().rewards(); }

ExactPreferenceLoss exact(const PreferenceOptions& options, double flips = 0) {
  return {PreferenceObjective(options), data::TablePreferences(reference(), rewards(), flips), 3};
}

// Of few responses, for what takes many steps.
ExactPreferenceLoss small(const PreferenceOptions& options) {
  static const data::RewardedResponses few({.prompts = 2, .symbols = 3, .length = 2});
  return {PreferenceObjective(options),
          data::TablePreferences(few.demonstration_logps(), few.rewards()), 2};
}

double at(const ExactPreferenceLoss& loss, const Tensor& table) {
  return loss(table).item<double>();
}

// How far a step in any direction is from lowering the loss.
double slope(const ExactPreferenceLoss& loss, const Tensor& table) {
  Tensor logits = table.clone();
  logits.requires_grad_();
  loss(logits.log_softmax(1)).backward();
  return logits.grad().abs().max().item<double>();
}

PolicyScore score(const Tensor& policy, const Tensor& optimum, double beta) {
  return score_policy(policy, optimum, reference(), rewards(), beta);
}

}  // namespace

TEST_CASE("the best policy is the one known, for every price of a nat") {
  struct Known {
    double beta, objective, reward, kl, ipo, k3;
  };
  // Of the exact instance; the last columns are IPO's attainable loss and J where k3 ends.
  for (const Known& known :
       {Known{1, 0.450863469, 0.845517280, 0.394653810, 0.180628022, 0.183570},
        Known{0.5, 0.783896989, 1.330953390, 1.094112800, 0.722512088, 0.433202},
        Known{0.2, 1.273775553, 1.747027637, 2.366260416, 4.515700548, 1.103792},
        Known{0.1, 1.550294631, 1.876551723, 3.262570923, 18.062802191, 1.471405}}) {
    CAPTURE(known.beta);
    const Tensor best = optimal_policy(reference(), rewards(), known.beta);
    const PolicyScore s = score(best, best, known.beta);
    CHECK(matches(s.objective, known.objective, 9));
    CHECK(matches(s.expected_reward, known.reward, 9));
    CHECK(matches(s.kl_to_reference, known.kl, 9));
    CHECK(std::abs(s.kl) < 1e-14);
    const auto ipo = exact({.loss = "ipo", .beta = known.beta});
    CHECK(at(ipo, reference()) == doctest::Approx(0.25 / known.beta / known.beta));
    CHECK(matches(at(ipo, ipo_optimal_policy(reference(), rewards(), known.beta)), known.ipo, 9));
    const Tensor k3 =
        kl_in_loss_policy(reference(), rewards(), known.beta, losses::KlEstimator::k3);
    CHECK(matches(score(k3, best, known.beta).objective, known.k3, 6));
    // J is second order in the distance: exactly beta KL below its maximum.
    const PolicyScore far = score(reference(), best, known.beta);
    CHECK(far.objective == doctest::Approx(0).epsilon(1e-12));
    CHECK(known.objective - far.objective == doctest::Approx(known.beta * far.kl).epsilon(1e-8));
  }
}

TEST_CASE("dpo's loss is least at the best policy, and there it is the floor of the pairs") {
  for (const double beta : {1.0, 0.1}) {
    const auto loss = exact({.loss = "sigmoid", .beta = beta});
    CHECK(at(loss, reference()) == doctest::Approx(std::log(2.0)).epsilon(1e-14));
    const Tensor best = loss.optimum();
    CHECK(at(loss, best) == doctest::Approx(0.533026920).epsilon(1e-9));
    CHECK(slope(loss, best) < 1e-15);
    CHECK(value_of(loss.metrics(best), "accuracy") == doctest::Approx(0.729320068).epsilon(1e-9));
  }
  // Labels that are wrong as often as it is thought change nothing.
  const auto robust = exact({.loss = "robust", .beta = 1, .label_smoothing = 0.1}, 0.1);
  CHECK(slope(robust, robust.optimum()) < 1e-15);
  CHECK(at(robust, robust.optimum()) == doctest::Approx(0.533026920).epsilon(1e-9));
}

TEST_CASE("descent on the table finds what is known in closed form") {
  for (const char* name : {"sigmoid", "ipo"}) {
    CAPTURE(name);
    const auto loss = small({.loss = name, .beta = 0.5});
    CHECK(allclose(loss.descend(), loss.optimum(), 1e-10, 1e-10));
  }
}

TEST_CASE("every loss has the start that its formula says, and an optimum or none") {
  const double ln2 = std::log(2.0);
  struct Known {
    PreferenceOptions options;
    double start;
    bool has_optimum;
  };
  for (const Known& known : {
           Known{{.loss = "sigmoid", .beta = 0.7}, ln2, true},
           Known{{.loss = "hinge", .beta = 0.7}, 1, true},
           Known{{.loss = "robust", .beta = 0.7, .label_smoothing = 0.2}, ln2, false},
           Known{{.loss = "exo_pair", .beta = 0.7, .label_smoothing = 0.1},
                 0.5 * (std::log(0.5 / 0.9) + std::log(0.5 / 0.1)),
                 true},
           Known{{.loss = "nca_pair", .beta = 0.7}, 2 * ln2, true},
           Known{{.loss = "bco_pair", .beta = 0.7}, 2 * ln2, true},
           Known{{.loss = "sppo_hard", .beta = 0.7}, 0.5 / 0.49, true},
           Known{{.loss = "apo_zero", .beta = 0.7}, 1, false},
           Known{{.loss = "apo_down", .beta = 0.7}, 1, false},
           Known{{.loss = "kto", .beta = 0.7}, 0.5, false},
       }) {
    CAPTURE(known.options.loss);
    const auto loss = exact(known.options);
    CHECK(at(loss, reference()) == doctest::Approx(known.start).epsilon(1e-12));
    CHECK(loss.has_optimum() == known.has_optimum);
    if (!known.has_optimum) {
      CHECK_THROWS_AS(loss.descend(), ValueError);
      // However unlikely the worst response is made, less likely is better.
      Tensor logits = reference().clone();
      double before = at(loss, reference());
      for (int times = 0; times < 5; ++times) {
        for (std::int64_t x = 0; x < 4; ++x)
          logits[x][rewards()[x].argmin().item<std::int64_t>()].sub_(3);
        const double after = at(loss, logits.log_softmax(1));
        CHECK(after < before);
        before = after;
      }
    }
  }
  CHECK_THROWS_AS(PreferenceObjective({.loss = "dpo"}), ValueError);
  CHECK_THROWS_AS(PreferenceObjective({.loss = "sigmoid", .beta = 0}), ValueError);
  CHECK_THROWS_AS(PreferenceObjective({.loss = "hinge", .label_smoothing = 0.3}), ValueError);
  CHECK_THROWS_AS(PreferenceObjective({.loss = "exo_pair"}), ValueError);
}

TEST_CASE("descent ends where nothing is left to gain") {
  for (const char* name :
       {"exo_pair", "nca_pair", "bco_pair", "sppo_hard", "orpo", "simpo", "cpo"}) {
    CAPTURE(name);
    const auto loss = small(
        {.loss = name, .beta = 1, .label_smoothing = name == std::string("exo_pair") ? 0.1 : 0});
    CHECK(slope(loss, loss.descend()) < 1e-12);
  }
}

TEST_CASE("a model's loss on pairs is that of its table") {
  manual_seed(3);
  const nn::TransformerOptions size = {.context = 4, .layers = 1, .heads = 2, .embed_dim = 8};
  nn::Gpt model(task().vocab_size(), size), other(task().vocab_size(), size);
  const Tensor table = policy_table(model, task()), start = policy_table(other, task());
  // Whatever the model can say is a response of the task.
  const Tensor raw = response_logps(model, task().responses()).to(kFloat64).view({4, 64});
  CHECK(allclose(raw.exp().sum(1), ones({4}, kFloat64), 1e-5, 1e-5));
  const data::TablePreferences preferences(start, rewards());
  // All pairs of one prompt, those of a response with itself included.
  std::vector<std::int64_t> pairs;
  for (std::int64_t x = 0; x < 4; ++x)
    for (std::int64_t i = 0; i < 64; ++i)
      for (std::int64_t j = 0; j < 64; ++j) pairs.insert(pairs.end(), {64 * x + i, 64 * x + j});
  const Tensor numbers = tensor(pairs).view({-1, 2});
  for (const std::string& name : PreferenceObjective::names()) {
    CAPTURE(name);
    const bool smooth = name == "robust" || name == "exo_pair";
    const PreferenceObjective objective(
        {.loss = name, .beta = 2, .label_smoothing = smooth ? 0.1 : 0.0});
    const PreferenceLoss loss(objective, task().responses(), other);
    const ExactPreferenceLoss expected(objective, preferences, 3);
    // kto's KL depends on the batch, but at the start, where it is 0.
    if (objective.has_reference())
      CHECK(loss.score(other, numbers)[0].second ==
            doctest::Approx(at(expected, start)).epsilon(1e-5));
    if (objective.needs_kl()) continue;  // of which each batch makes an estimate
    Generator generator(5);
    const Tensor drawn = preferences.sample(4000, generator);
    CHECK(loss.score(model, drawn)[0].second == doctest::Approx(at(expected, table)).epsilon(0.02));
    BatchLoss batch = loss(model, drawn.narrow(0, 0, 64));
    batch.loss.backward();
    CHECK(model.parameters()[0].grad().abs().max().item<double>() > 0);
    model.zero_grad();
  }
}

TEST_CASE("where policy gradient ends with the KL in its loss: the gradient there is 0") {
  using losses::KlEstimator;
  const double beta = 0.7;
  const auto of_responses = [&](KlEstimator kl) {
    return kl_in_loss_policy(reference(), rewards(), beta, kl);
  };
  CHECK(of_responses(KlEstimator::k2).equal(optimal_policy(reference(), rewards(), beta)));
  CHECK_THROWS_AS(of_responses(KlEstimator::k1), ValueError);
  for (const KlEstimator kl : {KlEstimator::k2, KlEstimator::k3}) {
    // Of one token a response is what its token is.
    CHECK(allclose(kl_of_tokens_in_loss_policy(reference(), rewards(), beta, kl, 1),
                   of_responses(kl), 1e-12, 1e-12));
    // The expected gradient of -r log π + β k, each response as often as it is sampled.
    const auto slope_of = [&](const Tensor& policy, bool of_tokens) {
      Tensor logits = policy.view({4, 4, 4, 4}).clone();
      logits.requires_grad_();
      // ln π of each token given those before it.
      const auto tokens = [](const Tensor& joint) {
        const Tensor all = joint.log_softmax(3), two = joint.logsumexp(3), one = two.logsumexp(2);
        const Shape shape = {4, 4, 4, 4};
        return std::vector<Tensor>{one.log_softmax(1).view({4, 4, 1, 1}).expand(shape),
                                   two.log_softmax(2).view({4, 4, 4, 1}).expand(shape), all};
      };
      const std::vector<Tensor> logps = tokens(logits),
                                known = tokens(reference().view({4, 4, 4, 4}));
      const Tensor sum = logps[0] + logps[1] + logps[2];
      Tensor loss = -rewards().view({4, 4, 4, 4}) * sum;
      if (of_tokens) {
        for (std::size_t t = 0; t < 3; ++t)
          loss = loss + beta * losses::kl_estimate(logps[t], known[t], kl);
      } else {
        loss = loss + beta * losses::kl_estimate(sum, known[0] + known[1] + known[2], kl);
      }
      (loss * sum.detach().exp()).sum().backward();
      return logits.grad().abs().max().item<double>();
    };
    const Tensor of_tokens = kl_of_tokens_in_loss_policy(reference(), rewards(), beta, kl, 3);
    CHECK(slope_of(of_responses(kl), false) < 1e-12);
    CHECK(slope_of(of_tokens, true) < 1e-12);
    CHECK(slope_of(of_tokens, false) > 1e-3);  // they are different policies
  }
  CHECK_THROWS_AS(kl_of_tokens_in_loss_policy(reference(), rewards(), beta, KlEstimator::k2, 5),
                  ShapeError);
}

TEST_CASE("metrics compare what the loss compares: simpo's and orpo's are means over tokens") {
  const Tensor one = ones({1}, kFloat64);
  // Six tokens of -1 each are more probable than one of -2, token by token.
  const PairLogps pair = {-6 * one, -2 * one, {}, {}, full({1}, 6, kInt64), full({1}, 1, kInt64)};
  const auto accuracy = [&](const char* loss) {
    return value_of(PreferenceObjective({.loss = loss}).metrics(pair), "accuracy");
  };
  CHECK(accuracy("simpo") == 1);
  CHECK(accuracy("orpo") == 1);
  CHECK(accuracy("cpo") == 0);
}

TEST_CASE("a robust loss that thinks more labels wrong than are has no optimum") {
  const PreferenceOptions options = {.loss = "robust", .beta = 1, .label_smoothing = 0.2};
  CHECK(exact(options, 0.2).has_optimum());
  CHECK_FALSE(exact(options, 0.1).has_optimum());
}

TEST_CASE("kto's responses stand behind other prompts") {
  const data::Responses elsewhere = data::mispaired(task().responses());
  CHECK(elsewhere.tokens[5].to_vector<std::int64_t>() == std::vector<std::int64_t>{2, 0, 1, 1});
  CHECK(elsewhere.tokens[64 * 3].to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{1, 0, 0, 0});
}

TEST_CASE("tables that make no sense are refused") {
  const Tensor narrow = zeros({4, 3}, kFloat64);
  CHECK_THROWS_AS(optimal_policy(reference(), rewards(), 0), ValueError);
  CHECK_THROWS_AS(optimal_policy(reference(), rewards(), -1), ValueError);
  CHECK_THROWS_AS(optimal_policy(reference(), narrow, 1), ShapeError);
  CHECK_THROWS_AS(optimal_policy(reference().to(kFloat32), rewards(), 1), DTypeError);
  Tensor broken = rewards().clone();
  broken[1][2].fill_(INFINITY);
  CHECK_THROWS_AS(kl_in_loss_policy(reference(), broken, 1, losses::KlEstimator::k3), ValueError);
  CHECK_THROWS_AS(ipo_optimal_policy(reference(), broken, 1), ValueError);
  CHECK_THROWS_AS(score_policy(reference(), reference(), narrow, rewards(), 1), ShapeError);
}

TEST_CASE("a step of dpo can be stepped through: every node says what it is") {
  manual_seed(1);
  const nn::Gpt policy(task().vocab_size(),
                       {.context = 4, .layers = 1, .heads = 2, .embed_dim = 8});
  const PreferenceLoss loss(PreferenceObjective({.loss = "sigmoid", .beta = 0.1}),
                            task().responses(), nn::clone(policy));
  const BatchLoss batch = loss(policy, tensor({{0, 1}, {70, 65}}));
  std::vector<std::string> seen;
  for (Backprop pass(batch.loss); !pass.done();) {
    const Step step = pass.step();
    CHECK_FALSE(step.node->formula_text().empty());
    CHECK_FALSE(step.node->gradient_text().empty());
    seen.emplace_back(step.node->name());
  }
  for (const char* name : {"dpo_loss", "sequence_logps", "attention", "embedding"}) {
    CAPTURE(name);
    CHECK(std::any_of(seen.begin(), seen.end(), [&](const std::string& node) {
      return node.find(name) != std::string::npos;
    }));
  }
}
