#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <optional>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/tests/train/task.h>

using namespace retrace;
using testing::contents_of;
using testing::message_of;
using testing::regression;
using testing::says;
using testing::Session;
using testing::Task;
using testing::TemporaryFolder;
using testing::train_task;

TEST_CASE("the trainer does what the loop written out does") {
  Session session({"--seed", "4"});
  Task task;
  train_task(task, *session.run, [](int) {});

  manual_seed(4);
  Task same;
  for (int step = 0; step < 30; ++step) {
    same.optimizer.zero_grad();
    same.loss().backward();
    nn::utils::clip_grad_norm_(same.net.parameters(), 0.5);
    same.optimizer.step();
    same.schedule.step();
  }
  const auto parameters = task.net.parameters(), expected = same.net.parameters();
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(parameters[i].equal(expected[i]));
}

TEST_CASE("accumulated batches of any sizes step like one batch") {
  const data::TensorDataset data = regression(10);
  const auto trained = [&data](std::vector<std::int64_t> cuts) {
    Session session({"--seed", "2"});
    nn::Sequential net{nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 1)};
    net.to(kFloat64);
    optim::SGD optimizer(net.parameters(), {.lr = 0.1});
    train::Trainer trainer(*session.run, net, optimizer,
                           {.steps = 5, .accumulate = static_cast<std::int64_t>(cuts.size()) - 1});
    std::size_t i = 0;
    trainer.fit([&] {
      const std::int64_t begin = cuts[i], size = cuts[i + 1] - begin;
      i = (i + 1) % (cuts.size() - 1);
      const Tensor x = data.inputs.narrow(0, begin, size).to(kFloat64);
      const Tensor y = data.targets.narrow(0, begin, size).to(kFloat64);
      return train::BatchLoss(losses::mse_loss(net(x), y), size);
    });
    return net;
  };
  const nn::Sequential whole = trained({0, 10});
  for (const auto& cuts : std::vector<std::vector<std::int64_t>>{{0, 5, 10}, {0, 7, 8, 10}}) {
    const nn::Sequential parts = trained(cuts);
    for (std::size_t i = 0; i < whole.parameters().size(); ++i) {
      CHECK(allclose(parts.parameters()[i], whole.parameters()[i], 1e-12, 1e-12));
    }
  }
}

TEST_CASE("accumulated batches weigh by their samples, which need not be whole; else alike") {
  using Counts = std::vector<std::optional<double>>;
  const auto stepped = [](const Counts& counts) {
    Session session({});
    const Tensor weight = tensor({0.0}).requires_grad_();
    struct One : nn::Module {
    } module;
    module.register_parameter("weight", weight);
    optim::SGD optimizer({weight}, {.lr = 1.0});
    train::Trainer trainer(*session.run, module, optimizer, {.steps = 1, .accumulate = 2});
    std::size_t i = 0;
    trainer.fit([&]() -> train::BatchLoss {
      const double slope = i == 0 ? 1 : 4;
      return {(weight * slope).sum(), counts[i++]};
    });
    return std::pair(-weight.item<double>(), session.run->training_samples());
  };
  CHECK(stepped({0.5, 1.5}) == std::pair(3.25, 2.0));
  CHECK(stepped({3.0, 1.0}) == std::pair(1.75, 4.0));
  CHECK(stepped({{}, {}}) == std::pair(2.5, 2.0));
  for (const double none : {0.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
    CHECK(says(message_of<ValueError>([&] { stepped({1.0, none}); }), "samples has no weight"));
}

TEST_CASE("a loss that is not finite ends the run, and says which op made it so") {
  const TemporaryFolder folder;
  Session session({"--json", folder / "steps"});
  Task task;
  const std::string message = message_of<train::NotFiniteError>([&] {
    train::Trainer trainer(*session.run, task.net, task.optimizer, {.steps = 9});
    trainer.keep("loader", task.loader);
    trainer.fit([&] {
      const auto [x, y] = task.loader.next();
      // The third batch has a negative number under the root.
      const Tensor shifted =
          y - (task.loader.state_dict().at("position").item<int>() == 15 ? 1e6 : -1);
      return losses::mse_loss(task.net(x), shifted.sqrt());
    });
  });
  CHECK(says(message, "step 3: the loss is nan"));
  CHECK(says(message, "sqrt"));
  session.run.reset();
  CHECK(says(contents_of(folder / "steps"), "\"step\":3,\"loss\":null"));
}

TEST_CASE("a gradient that is not finite ends the run before the step is made, clipped or not") {
  for (const double clip_norm : {1.0, 0.0}) {
    CAPTURE(clip_norm);
    const TemporaryFolder folder;
    Session session({"--save", folder / "run", "--save-every", "1"});
    Tensor weight = tensor({1.0}).requires_grad_();
    struct One : nn::Module {
    } module;
    module.register_parameter("weight", weight);
    optim::SGD optimizer({weight}, {.lr = 1.0});
    train::Trainer trainer(*session.run, module, optimizer, {.steps = 3, .clip_norm = clip_norm});
    const std::string message = message_of<train::NotFiniteError>([&] {
      trainer.fit([&] { return (weight - 1.0).sqrt().sum(); });  // d √x at 0 is infinite
    });
    CHECK(says(message, "step 1: the gradient's norm is inf"));
    CHECK(says(message, "backward of sqrt: the gradient of input 0 [1] is inf at element 0"));
    CHECK(weight.equal(tensor({1.0})));
    CHECK(train::CheckpointFolder(folder / "run").steps().empty());
    CHECK_FALSE(std::filesystem::exists(folder / "run/model.safetensors"));
  }
}

TEST_CASE("what is kept beside the model is left as it is by --trace-check") {
  const TemporaryFolder folder;
  const auto average_after = [&](const std::vector<std::string>& arguments) {
    Session session(arguments);
    Task task;
    nn::Sequential average = nn::clone(task.net);
    train::Trainer trainer(*session.run, task.net, task.optimizer, {.steps = 6});
    trainer.keep("loader", task.loader);
    trainer.keep("average", average);
    trainer.follow(task.schedule);  // whose rate rises from 0
    trainer.fit([&] {
      const NoGradGuard no_grad;
      for (std::size_t i = 0; i < average.parameters().size(); ++i) {
        Tensor mean = average.parameters()[i];
        mean.mul_(0.5).add_(task.net.parameters()[i] * 0.5);
      }
      const EnableGradGuard grad;
      return task.loss();
    });
    return average;
  };
  const nn::Sequential plain = average_after({}),
                       traced = average_after({"--trace", folder / "trace.json", "--trace-step",
                                               "4", "--trace-check"});
  for (std::size_t i = 0; i < plain.parameters().size(); ++i)
    CHECK(traced.parameters()[i].equal(plain.parameters()[i]));
}

TEST_CASE("evaluation changes neither the model's mode nor the tape") {
  nn::Sequential net{nn::Linear(3, 4), nn::Dropout(0.5)};
  const Tensor x = randn({10, 3});
  net.train();
  const Tensor first = train::predict(net, x, 3);
  CHECK(net.is_training());
  CHECK_FALSE(first.requires_grad());
  CHECK(first.sizes() == Shape({10, 4}));
  CHECK(allclose(first, train::predict(net, x, 100)));
  net.eval();
  CHECK(train::predict(net, x).sizes() == Shape({10, 4}));
  CHECK_FALSE(net.is_training());
  CHECK(train::predict(net, zeros({0, 3})).sizes() == Shape({0, 4}));
  CHECK_THROWS_AS(train::predict(net, x, 0), ValueError);
  const auto total = [](const Tensor& part) { return part.sum(); };
  CHECK_THROWS_AS(train::predict(total, x, 3), ShapeError);
}

TEST_CASE("each module has its own mode back after an evaluation") {
  const nn::Dropout inner(0.5);
  nn::Sequential net{nn::Linear(3, 4), inner};
  net.train();
  nn::Module(inner).eval();
  train::predict(net, randn({2, 3}));
  CHECK(net.is_training());
  CHECK_FALSE(inner.is_training());
  net.eval();
  nn::Module(inner).train();
  train::predict(net, randn({2, 3}));
  CHECK_FALSE(net.is_training());
  CHECK(inner.is_training());
}

TEST_CASE("a mean over batches is that over all rows") {
  const data::TensorDataset rows = {tensor({1.0, 2.0, 3.0, 4.0, 9.0}), zeros({5})};
  for (const std::int64_t batch : {1, 2, 5, 8}) {
    int calls = 0;
    const double mean =
        train::mean_over_batches(rows, batch, [&](const Tensor& x, const Tensor& y) {
          CHECK(x.size(0) == y.size(0));
          CHECK(x.size(0) <= batch);
          CHECK_FALSE(GradMode::is_enabled());
          ++calls;
          return x.mean().item<double>();
        });
    CHECK(mean == doctest::Approx(3.8));
    CHECK(calls == (5 + batch - 1) / batch);
  }
}

TEST_CASE("a mean over samples is that over all of them, or over rows if none are counted") {
  const Tensor x = tensor({1.0, 2.0, 3.0, 4.0, 9.0}), w = tensor({0.5, 0.0, 0.0, 1.0, 2.5});
  const auto weighted = [](const Tensor& values, const Tensor& weights) -> train::BatchLoss {
    const Tensor all = weights.sum();
    return {(values * weights).sum() / all, all.item<double>()};  // NaN where they are 0
  };
  const auto counted = [](const Tensor& values, const Tensor&) { return values.mean(); };
  for (const std::int64_t batch : {1, 2, 3, 5}) {
    CHECK(train::mean_over_samples({x, w}, batch, weighted) == doctest::Approx(27.0 / 4));
    CHECK(train::mean_over_samples({x, w}, batch, counted) == doctest::Approx(3.8));
  }
  CHECK(std::isnan(train::mean_over_samples({x, zeros({5})}, 2, weighted)));
  CHECK(says(message_of<ValueError>([&] {
               train::mean_over_tokens({{x, w}}, counted);
             }),
             "of how many tokens"));
}

TEST_CASE("predictions are written as CSV") {
  CHECK(train::predictions_csv(tensor({{0.25, 0.75}, {0.5, 0.5}}), {"a", "b,\"c\""}) ==
        "prediction,p(a),\"p(b,\"\"c\"\")\"\n\"b,\"\"c\"\"\",0.25,0.75\na,0.5,0.5\n");
  CHECK(train::numbers_csv(tensor({{0.25, -3.0}, {1e9, 0.1}}), {"a,b", "c"}) ==
        "\"a,b\",c\n0.25,-3\n1000000000,0.1\n");
  CHECK(train::numbers_csv(zeros({0, 1}), {"a"}) == "a\n");
  CHECK_THROWS_AS(train::numbers_csv(zeros({2}), {"a"}), ShapeError);
  CHECK_THROWS_AS(train::numbers_csv(zeros({2, 2}), {"a"}), ShapeError);
  CHECK(train::predictions_csv(zeros({0, 1}), {"a"}) == "prediction,p(a)\n");
  CHECK(train::predictions_csv(tensor({{1.0, 0.0}}), {" a", "b"}) ==
        "prediction,p( a),p(b)\n\" a\",1,0\n");
  CHECK_THROWS_AS(train::predictions_csv(zeros({1, 2}), {"a"}), ShapeError);
}

TEST_CASE("trainers that make no sense are refused") {
  Session session({});
  Task task;
  const auto make = [&](const train::TrainerOptions& options) {
    train::Trainer(*session.run, task.net, task.optimizer, options);
  };
  CHECK_THROWS_AS(make({.steps = 0}), ValueError);
  CHECK_THROWS_AS(make({.steps = 1, .accumulate = 0}), ValueError);
  CHECK_THROWS_AS(make({.steps = 1, .clip_norm = -1}), ValueError);
  CHECK_THROWS_AS(make({.steps = 1, .clip_norm = std::numeric_limits<double>::infinity()}),
                  ValueError);
}

TEST_CASE("a check judges the gap and every bound, and says all that was missed") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const train::Result good = {
      .metrics = {{"test_loss", 0.5}, {"share", 0.3}, {"unknown", nan}},
      .floor = 0.25,
      .largest_gap = 0.25,
      .bounds = {{.metric = "share", .low = 0.3}, {.metric = "share", .high = 0.3}}};
  const auto judged = [](const train::Result& result) {
    Session session({"--check"});
    return message_of<train::MissedBound>([&] { session.run->finish("task", result); });
  };
  Session({"--check"}).run->finish("task", good);
  train::Result bad = good;
  bad.largest_gap = 0.2;
  bad.bounds = {{.metric = "share", .low = 0.31, .high = 1},
                {.metric = "share", .low = 0, .high = 1},
                {.metric = "unknown"},
                {.metric = "absent"}};
  const std::string missed = judged(bad);
  CHECK(says(missed, "the gap is 0.250000, and at most 0.200000"));
  CHECK(says(missed, "share is 0.300000, and 0.31 to 1"));
  CHECK_FALSE(says(missed, "0 to 1"));
  CHECK(says(missed, "unknown is nan"));
  CHECK(says(missed, "absent is nan"));
  Session({}).run->finish("task", bad);  // not asked, not judged
}
