// RETRACE_TRAP_NODE is read once in a process: what it does is looked at in another one.
#include <doctest/doctest.h>

#include <csignal>
#include <cstdlib>
#include <iostream>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

constexpr const char* kVariable = "RETRACE_TRAP_NODE";

// This program with nothing but the case below, whose nodes are mul #1, tanh #2 and sum #3.
Outcome run_with(const char* value) {
  const TemporaryFolder folder;
  if (value != nullptr) ::setenv(kVariable, value, 1);
  Process process(std::filesystem::read_symlink("/proc/self/exe").string(),
                  {"--no-skip", "--test-case=a pass that a debugger stops", "--quiet"},
                  folder / "out", folder / "err");
  ::unsetenv(kVariable);
  const int code = process.wait();
  return {code, contents_of(folder / "out"), contents_of(folder / "err")};
}

}  // namespace

TEST_CASE("a pass that a debugger stops" * doctest::skip()) {
  const Tensor x = tensor({0.1, 0.2, 0.3}).requires_grad_();
  const Tensor loss = tanh(x * x).sum();
  try {
    loss.backward();
    CHECK(x.grad().defined());
    std::cout << "grad " << x.grad().mul(1e7) << "\n";
  } catch (const ValueError& error) {
    CHECK(says(error.what(), "RETRACE_TRAP_NODE"));
    std::cout << "refused, grad is " << (x.grad().defined() ? "there" : "none") << ": "
              << error.what() << "\n";
  }
}

TEST_CASE("a node at which a debugger should stand ends a program without one, and says so") {
  const Outcome outcome = run_with("2");
  CHECK(outcome.code == -SIGTRAP);
  CHECK(outcome.err ==
        "RETRACE_TRAP_NODE: at tanh #2, whose rule has run; SIGTRAP stops a debugger here\n");
  CHECK(!says(outcome.out, "grad"));
}

TEST_CASE("no number changes while no such node comes by, and in the end that is said") {
  const Outcome without = run_with(nullptr);
  CHECK(without.code == 0);
  CHECK(says(without.out, "grad tensor"));
  for (const char* value : {"", "4", "18446744073709551615"}) {
    CAPTURE(value);
    const Outcome outcome = run_with(value);
    CHECK(outcome.code == 0);
    CHECK(outcome.out == without.out);
    CHECK(outcome.err == (*value == '\0' ? std::string()
                                         : "RETRACE_TRAP_NODE: no backward pass came by a node #" +
                                               std::string(value) + "\n"));
  }
}

TEST_CASE("what is no number of a node is refused before anything is changed") {
  for (const char* value : {"0", "-1", "2x", " 2", "tanh", "18446744073709551616"}) {
    CAPTURE(value);
    const Outcome outcome = run_with(value);
    CHECK(outcome.code == 0);
    CHECK(says(outcome.out, std::string("refused, grad is none: RETRACE_TRAP_NODE=") + value +
                                ": there is no such node"));
  }
}
