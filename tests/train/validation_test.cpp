#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <limits>

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

TEST_CASE("a validation loss that is never finite leaves the model as training ended") {
  Session session({});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Watched watched({nan, nan, nan, nan, nan, nan});
  watched.train(*session.run);
  CHECK(watched.bias() == watched.biases[5]);
}
