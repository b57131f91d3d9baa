#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/tests/train/task.h>

using namespace retrace;
using testing::contents_of;
using testing::message_of;
using testing::says;
using testing::Session;
using testing::Task;
using testing::TemporaryFolder;
using testing::train_task;

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
        if (++step == 4) optimizer.set_lr(3e38);  // times 2 infinite
        return (module.weight * 2).sum();
      });
    });
    CHECK(says(message, "step 4: its update made parameters that are not finite, weight"));
    CHECK(says(message, "learning rate 3e+38"));
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
