#include <doctest/doctest.h>

#include <retrace/autograd/call_site.h>
#include <retrace/retrace.h>
#include <retrace/tests/messages.h>

#include <string>

using namespace retrace;
using testing::says;

namespace {

// Keeps the nodes' call sites of the ops that run while it lives.
struct Recorder final : TapeObserver {
  void on_op(std::string_view, const Node* node, const Tensor&,
             std::span<const Tensor* const>) override {
    sites.push_back(node == nullptr ? std::string() : node->call_site());
  }
  void on_step(const Step&) override {}
  std::vector<std::string> sites;
};

[[gnu::noinline]] Tensor train_step(const Tensor& x, int& line) {
  line = __LINE__ + 1;
  return x * x;
}

struct Model {
  template <class T>
  [[gnu::noinline]] Tensor forward(const Tensor& x, T factor, int& line) const {
    line = __LINE__ + 1;
    return x.sum() * factor;
  }
};

std::string at(int line) { return "call_site_test.cpp:" + std::to_string(line); }

}  // namespace

// A user may write in our namespace, as the examples' helpers do.
namespace retrace {
[[gnu::noinline]] Tensor user_op(const Tensor& x, int& line) {
  line = __LINE__ + 1;
  return x + 1.0;
}
}  // namespace retrace

TEST_CASE("a call site is the caller's line, not ours") {
  const Tensor x = ones({2}).requires_grad_();
  Recorder recorder;
  const ObserverScope scope(recorder);
  int line = 0;
  train_step(x, line);
  CHECK(says(recorder.sites.back(), "train_step"));
#ifdef RETRACE_HAVE_LIBDW
  CHECK(recorder.sites.back() == at(line) + " (train_step)");
#endif
  user_op(x, line);
#ifdef RETRACE_HAVE_LIBDW
  CHECK(recorder.sites.back() == at(line) + " (user_op)");
#endif
  Model().forward(x, 2.0, line);
  CHECK(recorder.sites.size() == 4);
#ifdef RETRACE_HAVE_LIBDW
  for (const std::size_t i : {2u, 3u}) {
    INFO(recorder.sites[i]);
    CHECK(says(recorder.sites[i], at(line)));
    CHECK(says(recorder.sites[i], "forward"));
  }
  const auto in_lambda = [&](int& at_line) {
    at_line = __LINE__ + 1;
    return x / 2.0;
  };
  in_lambda(line);
  INFO(recorder.sites.back());
  CHECK(says(recorder.sites.back(), at(line)));
  CHECK(!says(recorder.sites.back(), "operator"));
#endif
}

TEST_CASE("the stack of the moment, and of nothing") {
  CHECK(!capture_call_stack().empty());
  CHECK(describe_call_site({}).empty());
  CHECK(describe_call_site({nullptr}).empty());
  int local = 0;
  CHECK(describe_call_site({&local}).empty());  // no code there
#ifdef RETRACE_HAVE_LIBDW
  CHECK(says(describe_call_site(capture_call_stack()), at(__LINE__)));
#endif
}

#ifdef RETRACE_HAVE_LIBDW
namespace {
Tensor their_step(const Tensor& x);
Tensor our_step(const Tensor& x);
}  // namespace

TEST_CASE("files of a program that lies in a folder called retrace are its own") {
  const Tensor x = ones({2}).requires_grad_();
  Recorder recorder;
  const ObserverScope scope(recorder);
  their_step(x);
  CHECK(recorder.sites.back() == "step.h:8 (their_step)");
}

TEST_CASE("a header of ours is no caller, however the compiler names it") {
  const Tensor x = ones({2}).requires_grad_();
  Recorder recorder;
  const ObserverScope scope(recorder);
  our_step(x);
  CHECK(says(recorder.sites.back(), at(__LINE__ - 1)));
}

namespace {
#line 8 "/home/somebody/retrace/train/step.h"
[[gnu::noinline]] Tensor their_step(const Tensor& x) { return x * x; }
#line 8 "include/retrace/train/step.h"
[[gnu::noinline]] Tensor our_step(const Tensor& x) { return x * x; }
}  // namespace
#endif
