#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include <nlohmann/json.hpp>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/tests/train/session.h>

using namespace retrace;
using testing::contents_of;
using testing::message_of;
using testing::Session;
using testing::TemporaryFolder;

namespace {

data::TensorDataset regression(std::int64_t rows) {
  Generator generator(11);
  Tensor inputs = randn({rows, 3}, kFloat32, &generator);
  return {inputs, (inputs * inputs).sum(1, true)};
}

// Everything that a run needs, made from the seed.
struct Task {
  explicit Task(std::int64_t width = 6)
      : net{nn::Linear(3, width), nn::Tanh(), nn::Dropout(0.1), nn::Linear(width, 1)} {}
  nn::Sequential net;
  optim::AdamW optimizer{net.parameters(), {.lr = 0.02}};
  optim::WarmupCosineLR schedule{optimizer, {.warmup_steps = 3, .total_steps = 30}};
  data::DataLoader loader{regression(37), {.batch_size = 5, .shuffle = true}};

  Tensor loss() {
    const auto [x, y] = loader.next();
    return losses::mse_loss(net(x), y);
  }
};

// Trains as the arguments say; `before_step` is called before each batch with its number from 1 on.
template <class F>
void train_task(Task& task, train::Run& run, F&& before_step) {
  train::Trainer trainer(run, task.net, task.optimizer, {.steps = 30, .clip_norm = 0.5});
  trainer.follow(task.schedule);
  trainer.keep("loader", task.loader);
  int step = 0;
  trainer.fit([&] {
    before_step(++step);
    return task.loss();
  });
}

void train_task(const std::vector<std::string>& arguments) {
  Session session(arguments);
  Task task;
  train_task(task, *session.run, [](int) {});
}

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

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

TEST_CASE("a run that was interrupted and resumed ends in the same bits") {
  const TemporaryFolder folder;
  train_task({"--seed", "3", "--save", folder / "whole", "--save-every", "7"});
  const std::string whole = contents_of(folder / "whole/model.safetensors");
  REQUIRE(!whole.empty());

  std::signal(SIGHUP, SIG_DFL);  // under nohup it is ignored, and stays so
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string path = folder / ("signal" + std::to_string(signal));
    int made = 0;  // by all: one that began anew would end in the same bits
    for (const int stop : {1, 9, 8, 100}) {  // batches of this process; then the rest
      Session session({"--seed", "3", "--resume", path});
      Task task;
      bool interrupted = false;
      try {
        train_task(task, *session.run, [&](int step) {
          ++made;
          if (step == stop) std::raise(signal);
        });
      } catch (const train::Interrupted& error) {
        interrupted = true;
        CHECK(error.signal() == signal);
        CHECK(says(error.what(), "--resume " + path));
      }
      CHECK(interrupted == (stop != 100));
      CHECK(std::filesystem::exists(path + "/model.safetensors") == !interrupted);
    }
    CHECK(made == 30);
    CHECK(contents_of(path + "/model.safetensors") == whole);
  }
}

TEST_CASE("a finished run that is resumed has nothing to do") {
  const TemporaryFolder folder;
  train_task({"--seed", "3", "--save", folder / "run"});
  const std::string model = contents_of(folder / "run/model.safetensors");
  std::filesystem::remove(folder / "run/model.safetensors");
  Session session({"--resume", folder / "run"});
  Task task;
  train_task(task, *session.run, [](int) { FAIL("a step was made"); });
  CHECK(contents_of(folder / "run/model.safetensors") == model);
}

TEST_CASE("checkpoints are written as often as was asked, and the newest three kept") {
  const TemporaryFolder folder;
  train_task({"--save", folder / "run", "--save-every", "4"});
  CHECK(train::CheckpointFolder(folder / "run").steps() == std::vector<std::int64_t>{30, 28, 24});
  // Another run in the same folder does not mix its checkpoints with those.
  train_task({"--seed", "1", "--save", folder / "run"});
  CHECK(train::CheckpointFolder(folder / "run").steps() == std::vector<std::int64_t>{30});
}

TEST_CASE("a new run that is interrupted leaves no model of the one before") {
  const TemporaryFolder folder;
  train_task({"--save", folder / "run"});
  const train::CheckpointFolder run(folder / "run");
  run.stage("sft").save(1, {{"w", tensor(1.0)}}, {});
  run.stage("sft").save_model({{"w", tensor(1.0)}}, {{"program", "program"}});
  {
    Session session({"--save", folder / "run"});
    const FolderLock other(folder / "run");
    CHECK_THROWS_AS(session.run->open_folder(), train::WriteError);
    CHECK(std::filesystem::exists(run.model_path()));  // of a run that was refused nothing is left
  }
  std::signal(SIGINT, SIG_DFL);
  Session session({"--save", folder / "run"});
  Task task;
  CHECK_THROWS_AS(train_task(task, *session.run, [](int) { std::raise(SIGINT); }),
                  train::Interrupted);
  CHECK(run.steps() == std::vector<std::int64_t>{1});
  CHECK(run.stages().empty());
  CHECK_FALSE(std::filesystem::exists(run.model_path()));
  CHECK_FALSE(std::filesystem::exists(run.stage("sft").model_path()));
}

TEST_CASE("a new run does not remove a model that no run has trained") {
  const TemporaryFolder folder;
  train_task({"--save", folder / "run"});
  const std::string model = folder / "run/model.safetensors";
  save_safetensors(model, {{"wte.weight", ones({4, 2})}}, {{"format", "pt"}});
  const std::string kept = contents_of(model);
  for (const std::string& contents : {kept, std::string("no model at all")}) {
    folder.put("run/model.safetensors", contents);
    Session session({"--save", folder / "run"});
    CHECK(says(message_of<train::WriteError>([&] { session.run->open_folder(); }),
               model + ": is there already, and is no model of a run"));
    CHECK(contents_of(model) == contents);
    CHECK(train::CheckpointFolder(folder / "run").steps() == std::vector<std::int64_t>{30});
  }
}

TEST_CASE("a model that a run begins with is not in the folder that it clears") {
  const TemporaryFolder folder;
  const train::CheckpointFolder run(folder / "run"), apart(folder / "run/apart");
  for (const train::CheckpointFolder& each : {run, run.stage("sft"), apart}) {
    each.save(1, {{"w", tensor(1.0)}}, {{"program", "program"}});
    each.save_model({{"w", tensor(1.0)}}, {});
  }
  const Session fresh({"--save", folder / "run"}), resumed({"--resume", folder / "run"}),
      elsewhere({"--save", folder / "other"}), nowhere({});
  for (const char* given : {"run", "run/model.safetensors", "run/../run/sft"}) {
    const std::string path = folder / given;
    CHECK(says(message_of<train::UsageError>([&] {
                 train::require_kept(*fresh.run, {{"--base", ""}, {"--sft", path}});
               }),
               "--sft " + path + ": a new run with --save " + (folder / "run")));
    for (const Session* other : {&resumed, &elsewhere, &nowhere})
      CHECK_NOTHROW(train::require_kept(*other->run, {{"--sft", path}}));
  }
  for (const char* given : {"run/apart", "none"})
    CHECK_NOTHROW(train::require_kept(*fresh.run, {{"--sft", folder / given}}));
  CHECK_FALSE(std::filesystem::exists(folder / "other"));
}

TEST_CASE("a checkpoint of another architecture is refused in one error and changes nothing") {
  const TemporaryFolder folder;
  train_task({"--save", folder / "run"});
  Session session({"--resume", folder / "run"});
  Task wider(7);
  const Tensor before = wider.net.parameters()[0].detach().clone();
  const std::string message =
      message_of<IoError>([&] { train_task(wider, *session.run, [](int) {}); });
  CHECK(says(message, "checkpoint-30.safetensors"));
  CHECK(says(message, "0.weight"));
  CHECK(says(message, "[6, 3]"));
  CHECK(says(message, "[7, 3]"));
  CHECK(wider.net.parameters()[0].equal(before));
}

TEST_CASE("a run is resumed by its own program, with its own options") {
  const TemporaryFolder folder;
  train_task({"--seed", "3", "--save", folder / "run"});
  CHECK(says(message_of<train::UsageError>([&] {
               Session({"--seed", "4", "--resume", folder / "run"});
             }),
             "--seed 4 (3 before)"));
  train::CommandLine other("other", "Does something else.", {"seed", "save"});
  const std::string path = folder / "run";
  const std::vector<const char*> argv = {"other", "--resume", path.c_str()};
  const train::Options* options = other.parse(3, argv.data());
  CHECK(says(message_of<train::UsageError>([&] { train::Run(other, *options); }), "program"));
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

TEST_CASE("what was learnt of the data must be the same when a run is resumed") {
  const TemporaryFolder folder;
  const auto run = [&](const std::vector<std::string>& arguments, const std::string& classes) {
    Session session(arguments);
    Task task;
    train::Trainer trainer(*session.run, task.net, task.optimizer, {.steps = 4});
    trainer.keep("loader", task.loader);
    trainer.describe({{"classes", classes}});
    trainer.fit([&] { return task.loss(); });
  };
  run({"--save", folder / "run"}, "cat, dog");
  run({"--resume", folder / "run"}, "cat, dog");
  const std::string message = message_of<IoError>([&] {
    run({"--resume", folder / "run"}, "dog, zebra");
  });
  CHECK(says(message, "checkpoint-4.safetensors: what was learnt of the data (classes)"));
}

TEST_CASE("a run that is resumed has the data and the models that it relied on at first") {
  const TemporaryFolder folder;
  const auto run = [&](const std::vector<std::string>& arguments, const Tensor& reference) {
    Session session(arguments);
    session.run->relies_on({reference});
    session.run->relies_on({ones({2})});
    Task task;
    train::Trainer trainer(*session.run, task.net, task.optimizer, {.steps = 4});
    trainer.keep("loader", task.loader);
    trainer.fit([&] { return task.loss(); });
  };
  const Tensor reference = ones({3, 2});
  run({"--save", folder / "run"}, reference);
  CHECK_NOTHROW(run({"--resume", folder / "run"}, reference.t().contiguous().t()));
  Tensor other = reference.clone();
  other.select(0, 2).fill_(std::nextafter(1.0f, 2.0f));
  for (const Tensor& wrong : {other, reference.view({2, 3}), reference.to(kFloat64)})
    CHECK(says(message_of<IoError>([&] {
                 run({"--resume", folder / "run"}, wrong);
               }),
               "checkpoint-4.safetensors: the data or the models that training relies on"));
}

TEST_CASE("checkpoints come as often in a resumed run as in the first, unless told otherwise") {
  const TemporaryFolder folder;
  const auto run = [&](const std::vector<std::string>& arguments, int killed_at) {
    Session session(arguments);
    Task task;
    CHECK_THROWS_AS(train_task(task, *session.run,
                               [&](int step) {
                                 if (step == killed_at) throw std::runtime_error("killed");
                               }),
                    std::runtime_error);
    return train::CheckpointFolder(folder / "run").steps().front();
  };
  CHECK(run({"--save", folder / "run", "--save-every", "4"}, 6) == 4);
  CHECK(run({"--resume", folder / "run"}, 6) == 8);
  CHECK(run({"--resume", folder / "run", "--save-every", "5"}, 4) == 10);
}

TEST_CASE("what a step makes of the parameters is neither saved nor called a model unless finite") {
  struct Weight : nn::Module {
    Tensor weight = register_parameter("weight", tensor({1.0}));
  };
  for (const int last : {4, 9}) {
    const TemporaryFolder folder;
    Session session({"--save", folder / "run", "--save-every", "2"});
    Weight module;
    optim::SGD optimizer(module.parameters(), {.lr = 1});
    train::Trainer trainer(*session.run, module, optimizer, {.steps = last});
    int step = 0;
    const std::string message = message_of<train::NotFiniteError>([&] {
      trainer.fit([&] {
        if (++step == 4) optimizer.set_lr(1e39);  // infinite as float32
        return (module.weight * 2).sum();
      });
    });
    CHECK(says(message, "step 4: its update made parameters that are not finite, weight"));
    CHECK(says(message, "learning rate 1e+39"));
    CHECK(train::CheckpointFolder(folder / "run").steps() == std::vector<std::int64_t>{2});
    CHECK_FALSE(std::filesystem::exists(folder / "run/model.safetensors"));
  }
}

TEST_CASE("a folder to resume from that is not there costs no other run its steps") {
  const TemporaryFolder folder;
  train_task({"--save", folder / "run", "--csv", folder / "r.csv"});
  const std::string steps = contents_of(folder / "r.csv");
  const std::vector<std::string> misspelt = {"--resume", folder / "rum", "--csv", folder / "r.csv"};
  CHECK(says(message_of<train::UsageError>([&] { Session session(misspelt); }),
             "rum: there is no such folder, and " + (folder / "r.csv") + " has steps of a run"));
  CHECK_FALSE(std::filesystem::exists(folder / "rum"));
  CHECK(contents_of(folder / "r.csv") == steps);
  // One that was killed before its first checkpoint, in a loop that resumes whatever there is.
  std::filesystem::create_directory(folder / "rum");
  CHECK_NOTHROW(train_task(misspelt));
}

TEST_CASE("steps that can no longer be reported are saved first, and so is the model") {
  const TemporaryFolder folder;
  Session session({"--json", "/dev/full", "--save", folder / "run"});
  Task task;
  const std::string message =
      message_of<train::WriteError>([&] { train_task(task, *session.run, [](int) {}); });
  CHECK(says(message, "/dev/full"));
  CHECK(train::CheckpointFolder(folder / "run").steps() == std::vector<std::int64_t>{1});
}

TEST_CASE("the model is kept where its checkpoint cannot be") {
  const TemporaryFolder folder;
  Session session({"--save", folder / "run"});
  Task task;
  const std::string message = message_of<train::WriteError>([&] {
    train_task(task, *session.run, [&](int step) {
      if (step == 30)  // a folder of that name is in its way
        std::filesystem::create_directory(folder / "run/checkpoint-30.safetensors");
    });
  });
  CHECK(says(message, "checkpoint-30.safetensors"));
  CHECK(std::filesystem::exists(folder / "run/model.safetensors"));
}

TEST_CASE("two runs do not save into one folder, nor does one that cannot write there begin") {
  const TemporaryFolder folder;
  Session session({"--save", folder / "run"});
  std::filesystem::create_directory(folder / "run");
  {
    const FolderLock other(folder / "run");
    CHECK(says(message_of<train::WriteError>([&] { session.run->open_folder(); }),
               "another process is writing there"));
  }
  std::filesystem::create_directory(folder / "run/model.safetensors");
  CHECK(says(message_of<train::WriteError>([&] { session.run->open_folder(); }),
             "model.safetensors"));
  std::filesystem::remove(folder / "run/model.safetensors");
  CHECK_NOTHROW(session.run->open_folder());
}

TEST_CASE("a kept model is loaded into its like only") {
  const TemporaryFolder folder;
  train_task({"--save", folder / "run"});
  const train::SavedModel saved(folder / "run");
  CHECK(saved.size_of("0.weight", 0) == 6);
  CHECK(saved.metadata().at("program") == "program");
  Task task, wider(7);
  saved.load_into(task.net);
  CHECK(says(message_of<IoError>([&] { saved.load_into(wider.net); }), "model.safetensors"));
  CHECK_THROWS_AS(saved.size_of("fc1.weight", 0), IoError);
  CHECK_THROWS_AS(saved.size_of("0.weight", 2), IoError);
  CHECK_THROWS_AS(train::SavedModel(folder / "nothing"), IoError);
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

namespace {

// Validation losses from a list; what the model's bias was when the k-th was asked for.
struct Watched {
  explicit Watched(std::vector<double> in_turn) : losses(std::move(in_turn)) {}
  Task task;
  std::vector<double> losses;
  std::vector<float> biases = {};
  std::function<void(std::size_t)> at_validation = [](std::size_t) {};

  void train(train::Run& run) {
    train::Trainer trainer(run, task.net, task.optimizer, {.steps = 30});
    trainer.follow(task.schedule);
    trainer.keep("loader", task.loader);
    trainer.validate(5, [&] {
      CHECK(!task.net.is_training());
      biases.push_back(bias());
      at_validation(biases.size());
      return losses[static_cast<std::size_t>(run.validations())];
    });
    trainer.fit([&] { return task.loss(); });
  }
  float bias() const { return task.net.parameters().back().item<float>(); }
};

}  // namespace

TEST_CASE("the model ends as it was at its smallest validation loss") {
  Session session({});
  Watched watched({5, 3, 1, 2, 4, 1.5});
  watched.train(*session.run);
  REQUIRE(watched.biases.size() == 6);
  CHECK(watched.bias() == watched.biases[2]);
  CHECK(watched.bias() != watched.biases[5]);
}

TEST_CASE("patience ends training, NaN is no progress, and the best model is kept") {
  const TemporaryFolder folder;
  {
    Session session({"--patience", "2", "--save", folder / "run"});
    Watched watched({5, 3, 4, std::numeric_limits<double>::quiet_NaN(), 1, 1});
    watched.train(*session.run);
    CHECK(watched.biases.size() == 4);
    CHECK(watched.bias() == watched.biases[1]);
    const train::SavedModel saved(folder / "run");
    nn::Sequential copy = nn::clone(watched.task.net);
    saved.load_into(copy);
    CHECK(copy.parameters().back().item<float>() == watched.bias());
  }
  // Resumed, it is over.
  Session session({"--patience", "2", "--resume", folder / "run"});
  Watched watched({0, 0, 0, 0, 0, 0});
  watched.train(*session.run);
  CHECK(watched.biases.empty());
}

TEST_CASE("the best model is kept where the checkpoint of the step that ends patience cannot be") {
  const TemporaryFolder folder;
  Session session({"--patience", "2", "--save", folder / "run"});
  Watched watched({5, 3, 4, 6, 1, 1});
  watched.at_validation = [&](std::size_t nth) {
    if (nth == 4) std::filesystem::create_directory(folder / "run/checkpoint-20.safetensors");
  };
  const std::string message = message_of<train::WriteError>([&] { watched.train(*session.run); });
  CHECK(says(message, "checkpoint-20.safetensors"));
  nn::Sequential copy = nn::clone(watched.task.net);
  train::SavedModel(folder / "run").load_into(copy);
  CHECK(copy.parameters().back().item<float>() == watched.biases[1]);
}

TEST_CASE("a validation that cannot be reported counts all the same") {
  std::signal(SIGPIPE, SIG_IGN);
  // Which line fills the buffer, and so is the one that fails, the length of the steps' lines says.
  for (std::size_t padding = 1500; padding < 2100; padding += 25) {
    CAPTURE(padding);
    const TemporaryFolder folder;
    const std::string pipe = folder / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(reader >= 0);
    Session session({"--json", pipe, "--save", folder / "run"});
    Task task;
    train::Trainer trainer(*session.run, task.net, task.optimizer, {.steps = 30});
    trainer.keep("loader", task.loader);
    double least = 100;
    trainer.validate(1, [&] { return --least; });
    CHECK_THROWS_AS(trainer.fit([&] {
      if (least == 99) ::close(std::exchange(reader, -1));  // in the second step
      return train::BatchLoss(task.loss(), 5, {{std::string(padding, 'x'), 0}});
    }),
                    train::WriteError);
    const train::Checkpoint kept = *train::CheckpointFolder(folder / "run").newest();
    CHECK(kept.state.at("best.loss").item<double>() == least);
    CHECK(kept.step == 100 - static_cast<std::int64_t>(least));
  }
}

TEST_CASE("a run that watches validation and is resumed ends in the same bits") {
  const TemporaryFolder folder;
  const std::vector<double> losses = {5, 1, 4, 2, 3, 6};
  Session whole({});
  Watched straight(losses);
  straight.train(*whole.run);
  {
    Session session({"--save", folder / "run", "--save-every", "5"});
    Watched watched(losses);
    try {
      train::Trainer trainer(*session.run, watched.task.net, watched.task.optimizer, {.steps = 30});
      trainer.follow(watched.task.schedule);
      trainer.keep("loader", watched.task.loader);
      int calls = 0;
      trainer.validate(5, [&] { return losses[static_cast<std::size_t>(calls++)]; });
      int step = 0;
      trainer.fit([&]() -> Tensor {
        if (++step == 18) throw std::runtime_error("stopped");
        return watched.task.loss();
      });
    } catch (const std::runtime_error&) {
    }
  }
  Session session({"--resume", folder / "run"});
  Watched watched({2, 3, 6});  // at steps 20, 25 and 30; the first three came before
  watched.train(*session.run);
  CHECK(watched.bias() == straight.bias());
}

TEST_CASE("a run that was killed and resumed has each step and validation once in its reports") {
  const TemporaryFolder folder;
  const std::vector<std::string> reports = {"--json", folder / "r.jsonl", "--csv",
                                            folder / "r.csv"};
  const auto run = [&](std::vector<std::string> arguments, std::size_t killed_at) {
    arguments.insert(arguments.end(), reports.begin(), reports.end());
    Session session(arguments);
    Task task;
    train::Trainer trainer(*session.run, task.net, task.optimizer, {.steps = 30});
    trainer.keep("loader", task.loader);
    trainer.validate(5, [&] { return 1.0; });
    std::size_t step = 0;
    trainer.fit([&]() -> Tensor {
      if (++step != killed_at) return task.loss();
      // A process that is killed has lost what it had not written.
      CHECK(contents_of(folder / "r.csv").find("\n8,") != std::string::npos);
      throw std::runtime_error("killed");
    });
    session.run->finish("squares", {});
  };
  CHECK_THROWS_AS(run({"--save", folder / "run", "--save-every", "8"}, 12), std::runtime_error);
  CHECK_THROWS_AS(run({"--resume", folder / "run", "--save-every", "8"}, 6), std::runtime_error);
  run({"--resume", folder / "run"}, 0);
  run({"--resume", folder / "run"}, 0);  // is over, and has its result once

  std::vector<int> steps, validations;
  std::vector<double> seconds;
  int results = 0;
  std::ifstream json(folder / "r.jsonl");
  for (std::string line; std::getline(json, line);) {
    const auto event = nlohmann::json::parse(line);
    results += event["event"] == "result";
    if (event["event"] == "validation") validations.push_back(event["step"]);
    if (event["event"] != "step") continue;
    steps.push_back(event["step"]);
    seconds.push_back(event["seconds"]);
  }
  REQUIRE(steps.size() == 30);
  for (int i = 0; i < 30; ++i) CHECK(steps[static_cast<std::size_t>(i)] == i + 1);
  CHECK(std::is_sorted(seconds.begin(), seconds.end()));
  CHECK(validations == std::vector<int>{5, 10, 15, 20, 25, 30});
  CHECK(results == 1);
  std::ifstream csv(folder / "r.csv");
  std::string line;
  std::getline(csv, line);
  for (int i = 1; i <= 30; ++i) {
    std::getline(csv, line);
    CHECK(line.starts_with(std::to_string(i) + ","));
  }
  CHECK_FALSE(std::getline(csv, line));
}

TEST_CASE("a page is written with the curves and the numbers of the run") {
  const TemporaryFolder folder;
  Session session({"--report", folder / "page.html"});
  Watched watched({5, 3, 1, 2, 4, 1.5});
  watched.train(*session.run);
  session.run->show(train::Table{"Table of mine", {"a"}, {{"<1>"}}, {}});
  session.run->finish("squares", {.metrics = {{"test_loss", 0.5}}, .floor = 0.25});
  const std::string page = contents_of(folder / "page.html");
  for (const char* text : {"<h1>program</h1>", "Does something.", "Loss by step", "validation",
                           "best possible on the test rows", "Table of mine", "&lt;1&gt;",
                           "0.500000", "0.250000", "squares", "</html>"})
    CHECK_MESSAGE(page.find(text) != std::string::npos, text);
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

TEST_CASE("a validation loss that is never finite leaves the model as training ended") {
  Session session({});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Watched watched({nan, nan, nan, nan, nan, nan});
  watched.train(*session.run);
  CHECK(watched.bias() == watched.biases[5]);
}
