#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

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
  state.erase("random.position");
  CHECK_THROWS_AS(parts.load_state_dict(state), IoError);
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
  folder.save_model({{"w", tensor(1.0)}}, {});
  folder.clear();
  CHECK(folder.steps().empty());
  CHECK(std::filesystem::exists(folder.model_path()));
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
  for (const char* name : {"checkpoint-.safetensors", "checkpoint-1x.safetensors", "model.safetensors",
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
