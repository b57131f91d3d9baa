// Compiled with all that a debugger wants to know, in every kind of build: whoever stands in trap()
// can look at the step, and tools/gdb/retrace.py knows what a node and a tensor look like.

#include <retrace/autograd/backprop.h>
#include <retrace/autograd/trap.h>
#include <retrace/tensor/check.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace retrace {
namespace {

constexpr const char* kVariable = "RETRACE_TRAP_NODE";

std::uint64_t read_variable() {
  const char* value = std::getenv(kVariable);
  if (value == nullptr || *value == '\0') return 0;
  const std::string_view text = value;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  require<ValueError>(
      error == std::errc() && end == text.data() + text.size() && number > 0,
      "{}={}: there is no such node; give the number of one, as Backprop::step prints it: 17",
      kVariable, text);
  return number;
}

// Whoever waits for a node in vain learns of it when the program ends.
struct Trap {
  const std::uint64_t number = read_variable();
  std::atomic<bool> reached = false;
  ~Trap() {
    if (number == 0 || reached) return;
    std::cerr << kVariable << ": no backward pass came by a node #" << number << '\n';
  }
};

Trap& the_trap() {
  static Trap trap;
  return trap;
}

}  // namespace

std::uint64_t trap_node() { return the_trap().number; }

void trap(const Step& step) {
  the_trap().reached = true;
  const std::string site = step.node->call_site();
  static_cast<void>(std::fflush(stdout));  // what was said before stands before it
  std::cerr << fmt::format("{}: at {} #{}{}, whose rule has run; SIGTRAP stops a debugger here\n",
                           kVariable, step.node->name(), step.node->number(),
                           site.empty() ? "" : ", called at " + site);
#if defined(__x86_64__)
  asm volatile("int3");  // raises the signal in this frame, not in one of the C library
#else
  std::raise(SIGTRAP);
#endif
}

}  // namespace retrace
