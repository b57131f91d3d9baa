// The same models trained here and by PyTorch, from the same weights on the same batches: losses,
// weights and logits agree, and files go both ways.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include <retrace/tests/pytorch/layers.h>
#include <retrace/tests/pytorch/models.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

namespace fs = std::filesystem;

// A folder as the working directory, so that files need no path.
class Inside {
 public:
  explicit Inside(const fs::path& folder) : before_(fs::current_path()) {
    fs::create_directories(folder);
    fs::current_path(folder);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { fs::current_path(before_); }

 private:
  fs::path before_;
};

struct Said {
  int code;
  std::string out, err;
};

Said run_python(const std::string& python, const std::vector<std::string>& arguments) {
  const TemporaryFolder folder;
  Process process(python, arguments, folder / "out", folder / "err");
  const int code = process.wait();
  return {code, contents_of(folder / "out"), contents_of(folder / "err")};
}

// The first Python of PATH that has PyTorch, or Debian's own; "" without one.
std::string python_with_torch() {
  const char* path = std::getenv("PATH");
  std::istringstream folders((path == nullptr ? "" : std::string(path) + ":") + "/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const fs::path python = fs::path(folder) / "python3";
    if (fs::exists(python) && run_python(python, {"-c", "import numpy, torch"}).code == 0)
      return python;
  }
  return "";
}

// Numbers -----------------------------------------------------------------------------------------

double largest(const Tensor& x) { return x.numel() == 0 ? 0 : x.abs().max().item<double>(); }

// The largest difference, as a share of the largest number.
double difference(const Tensor& ours, const Tensor& theirs) {
  REQUIRE(ours.sizes() == theirs.sizes());
  REQUIRE(ours.dtype() == theirs.dtype());
  const Tensor a = ours.detach().to(kFloat64), b = theirs.to(kFloat64);
  const double scale = largest(b);
  return largest(a - b) / (scale > 0 ? scale : 1);
}

// The largest difference of two rows of losses, each as a share of the loss.
double difference(const std::vector<double>& ours, const std::vector<double>& theirs) {
  REQUIRE(ours.size() == theirs.size());
  const Tensor expected = from_vector(theirs);
  return largest((from_vector(ours) - expected) / expected);  // NaN stays
}

// Runs --------------------------------------------------------------------------------------------

constexpr std::int64_t kSteps = 10;

/// A model in a dtype.
struct Choice {
  std::string model;
  DType dtype;

  std::string str() const { return model + "-" + std::string(name_of(dtype)); }
  double tolerance() const { return dtype == kFloat32 ? 1e-5 : 1e-10; }
};

const std::vector<Choice>& choices() {
  static const std::vector<Choice> all = {{"mlp", kFloat32}, {"mlp", kFloat64}, {"cnn", kFloat32},
                                          {"cnn", kFloat64}, {"gpt", kFloat32}, {"gpt", kFloat64},
                                          {"dpo", kFloat32}, {"dpo", kFloat64}};
  return all;
}

Tensor save(const std::string& name, const Tensor& batches) {
  save_npy(name + ".npy", batches);
  return batches;
}

// The class of each row that random weights find.
Tensor labels_of(const Tensor& inputs, std::int64_t classes) {
  const Tensor rows = inputs.flatten(2).to(kFloat32);
  return rows.matmul(randn({rows.size(2), classes})).argmax(2);
}

// Texts that count on from some token in steps of one, two or three.
Tensor counting_texts() {
  const Tensor first = randint(0, kVocabulary, {kSteps, 8, 1}), by = randint(1, 4, {kSteps, 8, 1});
  return remainder(first + by * arange(kContext), kVocabulary);
}

Trained train_one(const Choice& choice) {
  const auto start = [&choice](auto model) {
    model.to(choice.dtype);
    save_safetensors("start.safetensors", model.state_dict());
    return model;
  };
  manual_seed(1);  // one of those with which no weight under Adam has a gradient of mere rounding
  if (choice.model == "mlp") {
    const Tensor inputs = save("inputs", randn({kSteps, 32, 20}, choice.dtype));
    const Tensor labels = save("labels", labels_of(inputs, 5));
    return train_mlp(start(Mlp()), inputs, labels);
  }
  if (choice.model == "cnn") {
    const Tensor inputs = save("inputs", randn({kSteps, 16, 1, 12, 12}, choice.dtype));
    const Tensor labels = save("labels", labels_of(inputs, 10));
    return train_cnn(start(Cnn()), inputs, labels);
  }
  if (choice.model == "gpt") {
    const Tensor tokens = save("tokens", counting_texts());
    return train_gpt(start(make_gpt(true)), tokens);
  }
  const Tensor chosen = save("chosen", counting_texts());
  const Tensor rejected = save("rejected", randint(0, kVocabulary, chosen.sizes()));
  Tensor mask = ones(chosen.sizes(), choice.dtype);  // of responses behind prompts of six tokens
  mask.slice(2, 0, 6).fill_(0);
  save("mask", mask);
  return train_dpo(start(make_gpt(false)), chosen, rejected, mask);
}

// What the model makes of the batch of step 0 with weights from a file.
Tensor logits_with(const Choice& choice, const StateDict& weights) {
  const auto with_weights = [&](auto model) {
    model.to(choice.dtype);
    model.load_state_dict(weights);
    model.eval();
    return model;
  };
  const NoGradGuard no_grad;
  if (choice.model == "mlp") return with_weights(Mlp()).forward(load_npy("inputs.npy")[0]);
  if (choice.model == "cnn") return with_weights(Cnn()).forward(load_npy("inputs.npy")[0]);
  if (choice.model == "gpt") return with_weights(make_gpt(true))(load_npy("tokens.npy")[0]);
  return with_weights(make_gpt(false))(load_npy("chosen.npy")[0]);
}

// All that is done here and there, once for all tests.
struct Runs {
  TemporaryFolder folder;
  std::string python, version, looked_at;
  std::vector<Trained> trained;  // as choices()
  std::vector<Layer> layers;

  fs::path path(const std::string& name) const { return fs::path(folder.path()) / name; }

  Runs() : python(python_with_torch()) {
    if (python.empty()) return;
    for (const Choice& choice : choices()) {
      const Inside inside(path(choice.str()));
      trained.push_back(train_one(choice));
    }
    write_layers();
    write_exchange();
    const Said said =
        run_python(python, {"-B", RETRACE_SOURCE_DIR "/tests/pytorch/train.py", folder.path()});
    REQUIRE_MESSAGE(said.code == 0, said.err);
    std::istringstream lines(said.out);
    std::getline(lines, version);
    std::getline(lines, looked_at);
  }

  void write_layers() {
    const Inside inside(path("layers"));
    manual_seed(2);
    layers = Layers::all();
    for (const Layer& layer : layers) {
      save_safetensors(layer.name + ".safetensors", layer.state);
      save_npy(layer.name + ".npy", layer.input);
    }
  }

  void write_exchange() const {
    const Inside inside(path("exchange"));
    manual_seed(3);
    const Mlp model;
    const Tensor inputs = randn({8, 20});
    save_safetensors("model.safetensors", model.state_dict());
    save_npy("inputs.npy", inputs);
  }
};

const Runs& runs() {
  static const Runs all;
  return all;
}

/// Says so when there is no PyTorch; rules.cpp knows the message.
bool has_torch() {
  const bool found = !runs().python.empty();
  if (!found) MESSAGE("skipped: no Python with PyTorch was found; install Debian's python3-torch");
  return found;
}

bool holds_key_bias(const std::string& name) { return name.ends_with("attention.qkv.bias"); }

// Without the biases of keys, of which nothing depends: see the test about them.
Tensor that_matters(const std::string& name, const Tensor& weights) {
  if (!holds_key_bias(name)) return weights;
  const std::vector<Tensor> parts = weights.chunk(3);
  return cat({parts[0], parts[2]});
}

}  // namespace

TEST_CASE("ten steps have the losses, weights and logits that they have in PyTorch") {
  if (!has_torch()) return;
  for (std::size_t i = 0; i < choices().size(); ++i) {
    const Choice& choice = choices()[i];
    const Trained& trained = runs().trained[i];
    const Inside inside(runs().path(choice.str()));
    CAPTURE(choice.str());
    const double of_losses = difference(trained.losses, load_npy("losses.npy").to_vector<double>());
    const double of_logits = difference(trained.logits, load_npy("logits.npy"));
    double of_weights = 0;
    const StateDict ours = trained.model.state_dict(), theirs = load_safetensors("end.safetensors");
    for (const auto& weights : theirs) {
      const std::string& name = weights.first;
      CAPTURE(name);
      REQUIRE(ours.contains(name));
      const double here =
          difference(that_matters(name, ours.at(name)), that_matters(name, weights.second));
      CHECK(here <= choice.tolerance());
      of_weights = std::max(of_weights, here);
    }
    CHECK(trained.losses.size() == kSteps);
    CHECK(theirs.size() + (choice.model == "gpt" ? 1 : 0) == ours.size());  // the tied head
    CHECK(of_losses <= choice.tolerance());
    CHECK(of_logits <= choice.tolerance());
    std::cout << "PyTorch " << runs().version << ", " << choice.str() << ", " << kSteps
              << " steps, loss " << trained.losses.front() << " to " << trained.losses.back()
              << "; largest relative difference of losses " << of_losses << ", weights "
              << of_weights << ", logits " << of_logits << ", allowed " << choice.tolerance()
              << std::endl;
  }
}

TEST_CASE("weights that PyTorch trained give its logits here") {
  if (!has_torch()) return;
  for (const Choice& choice : choices()) {
    CAPTURE(choice.str());
    const Inside inside(runs().path(choice.str()));
    const Tensor logits = logits_with(choice, load_safetensors("end.safetensors"));
    CHECK(difference(logits, load_npy("logits.npy")) <= choice.tolerance());
  }
}

// It adds the same to all scores of a query, which softmax does not see. Its gradient is rounding,
// and Adam divides rounding by rounding: the signs of the steps differ between any two programs.
TEST_CASE("nothing depends on a bias of all keys, and its gradient is rounding") {
  if (!has_torch()) return;
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Choice choice = {"gpt", dtype};
    CAPTURE(choice.str());
    const Inside inside(runs().path(choice.str()));
    StateDict weights = load_safetensors("start.safetensors");
    nn::Gpt model = make_gpt(true);
    model.to(dtype);
    model.load_state_dict(weights);
    const Tensor tokens = load_npy("tokens.npy")[0];
    losses::next_token_loss(model(tokens), tokens).backward();
    const Tensor before = logits_with(choice, weights);
    for (const auto& [name, parameter] : model.named_parameters()) {
      if (!holds_key_bias(name)) continue;
      const std::vector<Tensor> gradients = parameter.grad().chunk(3);
      CHECK(largest(gradients[1]) < choice.tolerance() * largest(gradients[0]));
      weights.at(name).chunk(3)[1].normal_();
    }
    CHECK(difference(logits_with(choice, weights), before) <= choice.tolerance());
  }
}

TEST_CASE("weights and arrays go to PyTorch and come back in the lines of docs/pytorch.md") {
  if (!has_torch()) return;
  const Inside inside(runs().path("exchange"));
  Mlp model;
  const Tensor inputs = load_npy("inputs.npy");
  model.load_state_dict(load_safetensors("trained.safetensors"));
  Tensor outputs = load_npy("outputs.npy");
  CHECK(difference(model.forward(inputs), outputs) <= 1e-6);
  model.load_state_dict(load_safetensors("model.safetensors"));
  CHECK(difference(model.forward(inputs), outputs) > 1e-3);  // it was trained there
}

TEST_CASE("modules load under PyTorch's names, and compute the same") {
  if (!has_torch()) return;
  CHECK(runs().layers.size() == 20);
  const Inside inside(runs().path("layers"));
  for (const Layer& layer : runs().layers) {
    CAPTURE(layer.name);
    CHECK(difference(layer.output, load_npy(layer.name + ".torch.npy")) <= 1e-10);
  }
}

TEST_CASE("first weights are drawn as PyTorch draws them") {
  if (!has_torch()) return;
  const Inside inside(runs().path("layers"));
  manual_seed(4);
  for (const auto& fresh : fresh_modules()) {
    CAPTURE(fresh.first);
    const StateDict ours = fresh.second.state_dict(),
                    theirs = load_safetensors(fresh.first + ".fresh.safetensors");
    CHECK(ours.size() == theirs.size());
    for (const auto& tensor : ours) {
      CAPTURE(tensor.first);
      const Tensor a = tensor.second, b = theirs.at(tensor.first);
      REQUIRE(a.sizes() == b.sizes());
      if (a.equal(b)) continue;  // constants
      const double deviation = b.std().item<double>();
      const double allowed = 5 / std::sqrt(static_cast<double>(b.numel()));  // of the estimates
      CHECK(std::abs(a.std().item<double>() - deviation) <= allowed * deviation);
      CHECK(std::abs((a.mean() - b.mean()).item<double>()) <= 2 * allowed * deviation);
      // Bounds of what is uniform, which say more; normals have none.
      if (largest(b) < 2 * deviation)
        CHECK(std::abs(largest(a) / largest(b) - 1) <= allowed);
      else
        CHECK(largest(a) > 3 * deviation);
    }
  }
}

TEST_CASE("names, defaults and differences in docs/pytorch.md are PyTorch's") {
  if (!has_torch()) return;
  const std::string complaints = contents_of(runs().path("complaints.txt"));
  CHECK_MESSAGE(complaints.empty(), complaints);
  std::cout << "PyTorch " << runs().version << ": " << runs().looked_at
            << " of docs/pytorch.md and the headers compared" << std::endl;
}
