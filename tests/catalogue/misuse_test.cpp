// What holds for every op: bad tensors are refused by name, inputs are left alone, nothing leaks.
#include <doctest/doctest.h>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>

#include <cstring>
#include <optional>
#include <set>

using namespace retrace;
using catalogue::Call;
using catalogue::Row;
using catalogue::Sample;

namespace {

// Inputs that may be left out, besides weights and biases.
const std::set<std::string> kOptional = {"alpha",      "mask",       "margin",
                                         "last_value", "dones",      "u_select",
                                         "u_action",   "random_ids", "negatives"};

template <class F>
void for_each_sample(F f) {
  for (const Row& row : catalogue::rows()) {
    std::uint64_t seed = 1;
    for (const Sample& sample : row.samples)
      f(row, sample, catalogue::make_call(row, sample, seed++));
  }
}

std::string label(const Row& row, const Call& call) { return row.name + call.str(); }

std::vector<Tensor> tensors_of(const Call& call) {
  std::vector<Tensor> tensors;
  for (const auto& [name, tensor] : call.tensors()) tensors.push_back(tensor);
  return tensors;
}

// The message of the E that running the row throws; nothing if it runs.
template <class E>
std::optional<std::string> refusal(const Row& row, const Call& call) {
  try {
    row.run(call);
  } catch (const E& e) {
    return e.what();
  }
  return {};
}

bool names_op(const Row& row, std::string_view message) {
  if (row.family == "composition") return true;  // one of its ops is named
  return message.find(std::string(row.called())) == 0 || message.find(row.name) == 0;
}

bool is_floating_input(const Call& call, std::size_t i) {
  return call.tensors()[i].second.is_floating_point();
}

}  // namespace

TEST_CASE("an undefined tensor is refused by the op's name, or is an optional argument") {
  int refused = 0, accepted = 0;
  for_each_sample([&](const Row& row, const Sample&, const Call& call) {
    for (std::size_t i = 0; i < call.tensors().size(); ++i) {
      std::vector<Tensor> tensors = tensors_of(call);
      const Tensor moved = std::move(tensors[i]);  // moved from: as undefined as can be
      const auto message = refusal<Error>(row, call.with(tensors));
      ++(message ? refused : accepted);
      if (!message) {
        // Only what may be left out; the parts of a composition know for themselves.
        const std::string& name = call.tensors()[i].first;
        CHECK_MESSAGE((name.ends_with("weight") || kOptional.contains(name) ||
                       name.starts_with("b") || row.family == "composition"),
                      label(row, call) << " runs without " << name);
        continue;
      }
      INFO(label(row, call) << " without tensor " << i << ": " << *message);
      CHECK(names_op(row, *message));
      CHECK(message->find("undefined") != std::string::npos);
    }
  });
  CHECK(refused > 300);
  CHECK(accepted > 0);
}

TEST_CASE("floating inputs of different dtypes are refused with the op's name and both dtypes") {
  int refused = 0;
  for_each_sample([&](const Row& row, const Sample&, const Call& call) {
    for (std::size_t i = 0; i < call.tensors().size(); ++i) {
      std::size_t others = 0;
      for (std::size_t k = 0; k < call.tensors().size(); ++k)
        others += k != i && is_floating_input(call, k);
      if (!is_floating_input(call, i) || others == 0) continue;
      if (row.name == "meshgrid") continue;  // its lists are independent
      std::vector<Tensor> tensors = tensors_of(call);
      tensors[i] = tensors[i].to(kFloat32);
      const auto message = refusal<DTypeError>(row, call.with(tensors));
      INFO(label(row, call) << " with float32 tensor " << i << ": " << message.value_or("runs"));
      REQUIRE(message.has_value());
      CHECK(names_op(row, *message));
      CHECK(message->find("float32") != std::string::npos);
      CHECK(message->find("float64") != std::string::npos);
      ++refused;
    }
  });
  CHECK(refused > 100);
}

TEST_CASE("other dtypes either work or are refused by name") {
  for_each_sample([&](const Row& row, const Sample&, const Call& call) {
    for (const DType dtype : {kInt64, kBool}) {
      std::vector<Tensor> tensors = tensors_of(call);
      for (Tensor& x : tensors) x = x.is_floating_point() ? x.to(dtype) : x;
      INFO(label(row, call) << " of " << name_of(dtype));
      if (const auto message = refusal<Error>(row, call.with(tensors)); message)
        CHECK_MESSAGE(names_op(row, *message), *message);
    }
  });
}

TEST_CASE("running an op and going back leaves its inputs as they were, and leaks nothing") {
  for_each_sample([&](const Row& row, const Sample& sample, const Call& call) {
    INFO(label(row, call));
    std::vector<Tensor> tensors, copies, wanted;
    for (std::size_t i = 0; i < call.tensors().size(); ++i) {
      tensors.push_back(call.tensors()[i].second.clone());
      copies.push_back(tensors.back().clone());
      if (row.differentiable && is_floating_input(call, i) && sample.inputs[i].wants_gradient)
        wanted.push_back(tensors.back().requires_grad_());
    }
    const Call fresh = call.with(tensors);
    const auto once = [&] {
      std::vector<Tensor> outputs, upstream;
      for (const Tensor& output : row.run(fresh).tensors()) {
        if (!output.requires_grad()) continue;
        outputs.push_back(output);
        upstream.push_back(ones_like(output));
      }
      if (outputs.empty()) return;
      grad(outputs, wanted, upstream, false, false, /*allow_unused=*/true);
      for (const Tensor& g : upstream) CHECK(g.equal(ones_like(g)));
    };
    once();
    const auto blocks = memory_stats().live_blocks;
    once();
    CHECK(memory_stats().live_blocks == blocks);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const auto bytes = static_cast<std::size_t>(copies[i].numel() * size_of(copies[i].dtype()));
      CHECK(tensors[i].version() == 0);
      CHECK((bytes == 0 || std::memcmp(tensors[i].get().data, copies[i].get().data, bytes) == 0));
      CHECK(!tensors[i].grad().defined());
    }
  });
}

TEST_CASE("what an op returns is no input, and without recording has no history") {
  for_each_sample([&](const Row& row, const Sample& sample, const Call& call) {
    if (!row.differentiable) return;
    INFO(label(row, call));
    std::vector<Tensor> tensors;
    bool any = false;
    for (std::size_t i = 0; i < call.tensors().size(); ++i) {
      tensors.push_back(call.tensors()[i].second);
      if (is_floating_input(call, i) && sample.inputs[i].wants_gradient) {
        tensors.back().requires_grad_();
        any = true;
      }
    }
    if (!any) return;
    const NoGradGuard no_grad;
    for (const Tensor& output : row.run(call.with(tensors)).tensors()) {
      bool is_input = false;
      for (const Tensor& x : tensors) is_input = is_input || output.is_same(x);
      CHECK((is_input || !output.requires_grad()));
    }
  });
}
