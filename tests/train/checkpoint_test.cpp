#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>
#include <retrace/train/checkpoint.h>
#include <retrace/train/exit.h>

using namespace retrace;
using namespace retrace::train;
using testing::message_of;
using testing::TemporaryFolder;

namespace {

// Holds one tensor, and takes only one of the same shape.
struct Box {
  Tensor value;
  StateDict state_dict() const { return {{"value", value}}; }
  void load_state_dict(const StateDict& state) {
    const Tensor& other = state.at("value");
    if (other.sizes() != value.sizes()) throw ValueError("Box: another shape");
    value.copy_(other);
  }
};

std::string all_steps(const CheckpointFolder& folder) {
  std::string text;
  for (const std::int64_t step : folder.steps()) text += std::to_string(step) + " ";
  return text;
}

}  // namespace

TEST_CASE("parts come back from one dictionary, with the random state") {
  manual_seed(5);
  rand({10});
  Box a{tensor({1.0, 2.0})}, b{tensor({3.0})};
  CheckpointParts parts;
  parts.add("a", a);
  parts.add("b.inner", b);
  StateDict state;
  for (const auto& [name, value] : parts.state_dict()) state[name] = value.clone();
  CHECK(state.contains("a.value"));
  CHECK(state.contains("b.inner.value"));
  const Tensor next = rand({3});
  a.value.fill_(0.0);
  b.value.fill_(0.0);
  manual_seed(6);
  parts.load_state_dict(state);
  CHECK(a.value.equal(tensor({1.0, 2.0})));
  CHECK(b.value.equal(tensor({3.0})));
  CHECK(rand({3}).equal(next));
}

TEST_CASE("a state that one part refuses changes none") {
  Box a{tensor({1.0, 2.0})}, b{tensor({3.0})};
  CheckpointParts parts;
  parts.add("a", a);
  parts.add("b", b);
  manual_seed(9);
  StateDict state = parts.state_dict();
  state["a.value"] = tensor({8.0, 8.0});
  state["b.value"] = tensor({8.0, 8.0});
  state["random.seed"] = tensor(1);
  CHECK_THROWS_AS(parts.load_state_dict(state), ValueError);
  CHECK(a.value.equal(tensor({1.0, 2.0})));
  CHECK(b.value.equal(tensor({3.0})));
  CHECK(default_generator().seed() == 9);
  StateDict more = parts.state_dict();
  more["schedule.step"] = tensor(3);
  CHECK(message_of<ValueError>([&] { parts.load_state_dict(more); }).find("schedule.step") !=
        std::string::npos);
  state.erase("random.position");
  CHECK_THROWS_AS(parts.load_state_dict(state), IoError);
}

TEST_CASE("a copy of a state is what it was, whatever its parts do") {
  Box a{tensor({1.0, 2.0})}, b{tensor({{1.0, 2.0}, {3.0, 4.0}}).t()};
  CheckpointParts parts;
  parts.add("a", a);
  parts.add("b", b);
  manual_seed(9);
  const StateDict before = parts.copy();
  CHECK(before.at("a.value").equal(a.value));
  CHECK(before.at("b.value").equal(b.value));
  a.value.fill_(8.0);
  b.value.fill_(8.0);
  rand({3});
  parts.load_state_dict(before);
  CHECK(a.value.equal(tensor({1.0, 2.0})));
  CHECK(b.value.equal(tensor({{1.0, 3.0}, {2.0, 4.0}})));
  CHECK(default_generator().position() == 0);
}

TEST_CASE("names that cannot be told apart are refused") {
  Box a{tensor({1.0})}, b{tensor({2.0})};
  CheckpointParts parts;
  parts.add("a.inner", a);
  for (const char* name : {"a", "a.inner", "a.inner.most", "random", "random.seed"})
    CHECK_THROWS_AS(parts.add(name, b), ValueError);
  parts.add("a.inner2", b);
  CHECK(parts.state_dict().size() == 4);
}

namespace {

// A model, its optimizer and its schedule, as a training loop keeps them.
template <class Optimizer>
struct Loop {
  explicit Loop(std::int64_t hidden = 4)
      : model{nn::Linear(2, hidden), nn::Linear(hidden, 1)},
        optimizer(model.parameters(), {.lr = 0.1}),
        schedule(optimizer, {.gamma = 0.9}) {
    parts.add("model", model);
    parts.add("optimizer", optimizer);
    parts.add("schedule", schedule);
  }
  void step() {
    optimizer.zero_grad();
    model(randn({3, 2})).square().sum().backward();
    optimizer.step();
    schedule.step();
  }
  StateDict copy() const {
    StateDict state;
    for (const auto& [name, value] : parts.state_dict()) state[name] = value.detach().clone();
    return state;
  }

  nn::Sequential model;
  Optimizer optimizer;
  optim::ExponentialLR schedule;
  CheckpointParts parts;
};

bool same(const StateDict& a, const StateDict& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           return b.contains(item.first) && b.at(item.first).equal(item.second);
         });
}

}  // namespace

TEST_CASE("a checkpoint resumes a loop bit for bit") {
  manual_seed(1);
  Loop<optim::Adam> straight;
  straight.step();
  const StateDict saved = straight.copy();
  straight.step();
  manual_seed(2);
  Loop<optim::Adam> resumed;
  resumed.parts.load_state_dict(saved);
  resumed.step();
  CHECK(same(resumed.copy(), straight.copy()));
}

TEST_CASE("a checkpoint of another model, optimizer or loop is refused, and nothing changes") {
  manual_seed(1);
  Loop<optim::Adam> loop, larger(5);
  Loop<optim::AdamW> other;
  loop.step();
  larger.step();
  other.step();
  const StateDict before = loop.copy();
  const auto refuse = [&](const StateDict& state) {
    const std::string message = message_of<Error>([&] { loop.parts.load_state_dict(state); });
    CHECK(!message.empty());
    CHECK(same(loop.copy(), before));
    return message;
  };
  CHECK(refuse(larger.copy()).find("0.weight") != std::string::npos);
  CHECK(refuse(other.copy()).find("one of AdamW") != std::string::npos);
  for (const auto& item : before) {
    const std::string& name = item.first;
    CAPTURE(name);
    StateDict without = loop.copy();
    without.erase(name);
    refuse(without);
    StateDict wrong = loop.copy();
    wrong[name] = zeros({7, 7, 7});
    refuse(wrong);
  }
  loop.step();
}

TEST_CASE("a checkpoint that was just written stays, whatever lies beside it") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary.path(), 1);
  temporary.put("checkpoint-9.safetensors", "damaged");
  folder.save(4, {{"step", tensor(4)}}, {});
  folder.save(5, {{"step", tensor(5)}}, {});
  CHECK(all_steps(folder) == "9 5 ");
  CHECK(folder.newest()->step == 5);
}

TEST_CASE("a folder keeps the newest checkpoints") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary / "run", 2);
  CHECK(folder.steps().empty());
  CHECK_FALSE(folder.newest().has_value());
  for (const std::int64_t step : {9, 10, 100}) {
    folder.save(step, {{"step", tensor(step)}}, {{"seed", "3"}});
  }
  CHECK(all_steps(folder) == "100 10 ");
  const auto newest = folder.newest();
  REQUIRE(newest.has_value());
  CHECK(newest->step == 100);
  CHECK(newest->state.at("step").equal(tensor(100)));
  CHECK(newest->metadata.at("seed") == "3");
  folder.save_model({{"w", tensor(1.0)}}, {{"program", "p"}});
  CHECK(folder.clear());
  CHECK(folder.steps().empty());
  CHECK_FALSE(std::filesystem::exists(folder.model_path()));
  folder.save_model({{"w", tensor(1.0)}}, {{"program", "p"}});
  CHECK(folder.clear());
  CHECK_FALSE(folder.clear());
}

TEST_CASE("a damaged checkpoint is passed over for the one before it") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary.path());
  for (const std::int64_t step : {1, 2, 3}) folder.save(step, {{"step", tensor(step)}}, {});
  std::filesystem::resize_file(folder.checkpoint_path(3), 100);
  CHECK(folder.newest()->step == 2);
  // One flipped bit, in the data at the end.
  std::fstream file(folder.checkpoint_path(2), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x01');
  file.close();
  CHECK(folder.newest()->step == 1);
  std::filesystem::resize_file(folder.checkpoint_path(1), 0);
  CHECK(message_of<IoError>([&] { folder.newest(); }).find("no checkpoint is sound") !=
        std::string::npos);
}

TEST_CASE("files of other names and versions are no checkpoints") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary.path());
  for (const char* name :
       {"checkpoint-.safetensors", "checkpoint-1x.safetensors", "model.safetensors",
        "checkpoint--1.safetensors", "checkpoint-1.safetensors.tmp",
        "checkpoint-99999999999999999999.safetensors"}) {
    temporary.put(name, "x");
  }
  CHECK(folder.steps().empty());
  save_safetensors(folder.checkpoint_path(4), {{"w", tensor(1.0)}}, {{"checkpoint.version", "7"}});
  CHECK(message_of<IoError>([&] { folder.newest(); }).find("version \"7\"") != std::string::npos);
}

TEST_CASE("a folder that cannot be made or written is a WriteError") {
  const TemporaryFolder temporary;
  const std::string file = temporary.put("file", "x");
  CHECK(message_of<WriteError>([&] { CheckpointFolder{file}; }).starts_with(file));
  CHECK_THROWS_AS(CheckpointFolder(temporary / "no/such"), WriteError);
  const CheckpointFolder folder(temporary / "gone");
  std::filesystem::remove(temporary / "gone");
  CHECK_THROWS_AS(folder.save(1, {{"w", tensor(1.0)}}, {}), WriteError);
}

TEST_CASE("folders of other runs, and links, are no stages") {
  const TemporaryFolder temporary;
  const CheckpointFolder folder(temporary.path());
  folder.stage("sft").save(3, {{"w", tensor(1.0)}}, {});
  folder.stage("sft").save_model({{"w", tensor(1.0)}}, {{"program", "p"}});
  const CheckpointFolder other(temporary / "mnist");
  other.save(5, {{"w", tensor(1.0)}}, {});
  other.save_model({{"w", tensor(1.0)}}, {{"program", "p"}});
  std::filesystem::create_directory_symlink(temporary / "sft", temporary / "linked");
  std::filesystem::create_directory(temporary / "empty");
  CHECK(folder.stages() == std::vector<std::string>{"sft"});
  CHECK(folder.clear());
  CHECK_FALSE(folder.clear());
  CHECK(folder.stage("sft").steps().empty());
  CHECK_FALSE(std::filesystem::exists(folder.stage("sft").model_path()));
  CHECK(std::filesystem::exists(other.model_path()));
  CHECK(other.steps() == std::vector<std::int64_t>{5});
  // What cannot be read may be either.
  std::filesystem::resize_file(other.checkpoint_path(5), 10);
  CHECK_THROWS_AS(folder.clear(), IoError);
}
