// Misuse that only a C++ framework knows, with the numbers of the list that it comes from. What has
// a test of its own elsewhere is not repeated; rows_test.cpp says where it is.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

#include <stdexcept>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

struct Own : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Throws final : NodeOf<Throws> {
  static constexpr std::string_view op = "throws", formula = "y = x", gradient = "none";
  void backward(const Tensor&, Gradients&) override { throw Own("backward"); }
};

template <class F>
void refuses_undefined(const char* what, F f) {
  INFO(what);
  CHECK(says(message_of<ValueError>(f), "undefined"));
}

}  // namespace

TEST_CASE("C01, C02: members of undefined and moved-from tensors") {
  Tensor taken = ones({2});
  const Tensor other = std::move(taken);
  const Tensor never, x = ones({2}).requires_grad_();
  for (const Tensor* tensor : {static_cast<const Tensor*>(&taken), &never}) {
    const Tensor& t = *tensor;
    CHECK(!t.defined());
    refuses_undefined("item", [&] { t.item<float>(); });
    refuses_undefined("data_ptr", [&] { t.data_ptr<float>(); });
    refuses_undefined("sizes", [&] { t.sizes(); });
    refuses_undefined("size", [&] { t.size(0); });
    refuses_undefined("str", [&] { t.equal(x); });
    refuses_undefined("equal", [&] { x.equal(t); });
    refuses_undefined("to_vector", [&] { t.to_vector<float>(); });
    refuses_undefined("to", [&] { t.to(kFloat64); });
    refuses_undefined("clone", [&] { t.clone(); });
    CHECK(message_of<ValueError>([&] { t.clone(); }).starts_with("clone: "));
    refuses_undefined("detach", [&] { t.detach(); });
    refuses_undefined("backward", [&] { t.backward(); });
    refuses_undefined("grad", [&] { t.grad(); });
    refuses_undefined("set_grad", [&] { t.set_grad(x); });
    refuses_undefined("retain_grad", [&] { t.retain_grad(); });
    refuses_undefined("register_hook", [&] { t.register_hook([](const Tensor&) {}); });
    refuses_undefined("requires_grad_", [&] { Tensor(t).requires_grad_(); });
    refuses_undefined("set_data", [&] { Tensor(x).set_data(t); });
    refuses_undefined("add_", [&] { Tensor(t).add_(x); });
    refuses_undefined("add_ other", [&] { ones({2}).add_(t); });
    refuses_undefined("copy_", [&] { ones({2}).copy_(t); });
    refuses_undefined("fill_", [&] { Tensor(t).fill_(1); });
    refuses_undefined("uniform_", [&] { Tensor(t).uniform_(); });
    refuses_undefined("index", [&] { t.index({0}); });
    refuses_undefined("operator[]", [&] { t[0]; });
    refuses_undefined("bernoulli", [&] { bernoulli(t); });
    refuses_undefined("multinomial", [&] { multinomial(t, 1); });
    refuses_undefined("zeros_like", [&] { zeros_like(t); });
    refuses_undefined("randn_like", [&] { randn_like(t); });
    refuses_undefined("save_safetensors", [&] { save_safetensors("never", {{"x", t}}); });
    refuses_undefined("save_npy", [&] { save_npy("never", t); });
    refuses_undefined("grad of", [&] { grad({x.sum()}, {t}); });
    refuses_undefined("SGD", [&] { optim::SGD({t}); });
    refuses_undefined("register_parameter", [&] { nn::Module().register_parameter("x", t); });
    refuses_undefined("register_buffer", [&] { nn::Module().register_buffer("x", t); });
    refuses_undefined("Linear", [&] { nn::Linear{t}; });
    refuses_undefined("clip", [&] { nn::utils::clip_grad_norm_({t}, 1.0); });
  }
  CHECK(other.equal(ones({2})));
  CHECK(!x.grad().defined());
}

TEST_CASE("C05: an element's address is of use while a view lives, and no longer") {
  Tensor view;
  const float* element = nullptr;
  {
    const Tensor x = tensor({1.0, 2.0});
    element = x.data_ptr<float>();
    view = x.slice(0, 1);
  }
  CHECK(*element == 1.0f);
#ifdef __SANITIZE_ADDRESS__
  CHECK(__asan_address_is_poisoned(element) == 0);
  view = {};
  CHECK(__asan_address_is_poisoned(element) == 1);
#endif
}

TEST_CASE("C06: elements of another type") {
  const std::string message = message_of<DTypeError>([] { ones({2}).data_ptr<double>(); });
  CHECK(says(message, "data_ptr: the tensor [2] is float32, not float64"));
}

TEST_CASE("C07: more dims than a tensor can have") {
  const Tensor x = ones({1, 1, 1, 1, 1, 1, 1, 1});
  const auto refused = [](auto f) {
    const std::string message = message_of<ShapeError>(f);
    CHECK_MESSAGE((says(message, "8") && says(message, "; ")), message);
  };
  refused([] { tensor({{{{{{{{{1}}}}}}}}}); });
  refused([] { zeros(std::vector<std::int64_t>(65, 1)); });
  refused([&] { x.unsqueeze(0); });
  refused([&] { x.expand({1, 1, 1, 1, 1, 1, 1, 1, 1}); });
  refused([&] { x.unfold(0, 1, 1); });
  refused([&] { stack({x, x}); });
  refused([] { one_hot(zeros({1, 1, 1, 1, 1, 1, 1, 1}, kInt64), 2); });
  refused([] { embedding(ones({1, 1}), zeros({1, 1, 1, 1, 1, 1, 1, 1}, kInt64)); });
}

TEST_CASE("C08: an exception of one's own, from a hook, a backward, a task, a closure") {
  const auto fails = [](const char* with, auto f) {
    CHECK_THROWS_WITH_AS(f(), with, Own);
    const Tensor x = tensor({3.0}).requires_grad_();  // and the next one works
    (x * x).backward();
    CHECK(x.grad().equal(tensor({6.0})));
    CHECK(GradMode::is_enabled());
  };
  const Tensor x = ones({2}).requires_grad_();
  fails("backward",
        [&] { record<Throws>(x.detach().clone(), {&x}, [](Throws&) {}).sum().backward(); });
  fails("hook", [&] {
    const Tensor y = x * 2.0;
    y.register_hook([](const Tensor&) { throw Own("hook"); });
    y.sum().backward();
  });
  fails("leaf", [&] {
    const Tensor z = ones({2}).requires_grad_();
    z.register_hook([](const Tensor&) { throw Own("leaf"); });
    (z * x).sum().backward();
  });
  fails("task", [] {
    parallel_for(1000, 1, [](std::int64_t, std::int64_t end) {
      if (end > 500) throw Own("task");
    });
  });
  fails("closure", [] { without_recording([]() -> Tensor { throw Own("closure"); }); });
  fails("function", [&] {
    gradcheck([](const std::vector<Tensor>&) -> std::vector<Tensor> { throw Own("function"); },
              {ones({1}, kFloat64).requires_grad_()});
  });
  fails("layer", [&] {
    nn::Sequential net{nn::Linear(2, 2), [](const Tensor&) -> Tensor { throw Own("layer"); }};
    net(x);
  });
}

TEST_CASE("C12: a parameter of several modules is updated once and saved once") {
  nn::Linear a(2, 2), b(a.weight);
  struct Both : nn::Module {
    Both(const nn::Linear& x, const nn::Linear& y) {
      register_module("a", x);
      register_module("b", y);
    }
  } both(a, b);
  CHECK(both.parameters().size() == 2);
  optim::SGD optimizer(both.parameters(), {.lr = 1});
  a.weight.set_grad(ones({2, 2}));
  const Tensor before = a.weight.detach().clone();
  optimizer.step();
  CHECK(a.weight.detach().equal(before - 1));
  const testing::TemporaryFolder folder;
  save_safetensors(folder / "x", both.state_dict());
  CHECK(testing::contents_of(folder / "x").size() < 8 * 6 + 1000);
  const StateDict loaded = load_safetensors(folder / "x");
  CHECK(loaded.at("a.weight").equal(loaded.at("b.weight")));
}

TEST_CASE("C17: names that no file may hold") {
  const testing::TemporaryFolder folder;
  const std::string names[] = {"", "__metadata__", std::string("a\0b", 3), "\xff",
                               std::string(1 << 20, 'x')};
  for (const std::string& name : names)
    CHECK_THROWS_AS(save_safetensors(folder / "x", {{name, ones({1})}}), ValueError);
  CHECK(folder.files() == 0);
  // Names are never paths.
  const StateDict strange = {{"../x", ones({1})}, {"/etc/passwd", ones({1})}, {"a.b", ones({1})}};
  save_safetensors(folder / "x", strange);
  CHECK(folder.files() == 1);
  CHECK(load_safetensors(folder / "x").size() == 3);
}

TEST_CASE("C27: changes in place over one's own memory") {
  Tensor a = arange(5);
  a.slice(0, 1).add_(a.slice(0, 0, 4));
  CHECK(a.equal(tensor({0, 1, 3, 5, 7})));
  Tensor b = arange(5);
  b.slice(0, 1).copy_(b.slice(0, 0, 4));
  CHECK(b.equal(tensor({0, 0, 1, 2, 3})));
  Tensor c = arange(3);
  c.copy_(c).mul_(c).sub_(c);
  CHECK(c.equal(zeros({3}, kInt64)));
  Tensor& same = c;
  c = same;
  CHECK(c.equal(zeros({3}, kInt64)));
}
