// Programs on tensors, decoded from bytes: create, view, index, compute, change in place, go back.
// Every call gives what a slow tensor gives, whatever shares memory with what, or is refused where
// it is wrong, which changes nothing. Of four programs one runs again and gives the same bits, and
// of one all tensors are saved and loaded.

#include <retrace/tensor/safetensors.h>
#include <retrace/tests/fuzz/program_tape.h>
#include <retrace/tests/fuzz/program_views.h>

namespace retrace::fuzz {
namespace {

void create(Program& p) {
  const Shape shape = p.sizes();
  const DType type = p.dtype();
  const bool fits = std::all_of(shape.begin(), shape.end(), [](auto size) { return size >= 0; });
  const Tensor x = Program::small(right_if(fits, shape), [&] { return zeros(shape, type); });
  if (!x.defined()) return;
  std::vector<Number> values;
  visit(type, [&]<class T>() {
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      values.push_back(p.number(type));
      x.data_ptr<T>()[i] = static_cast<T>(values.back());
    }
  });
  p.keep({x, SlowTensor::of(type, shape, values)});
}

// Views among them, that overlap, repeat elements or are turned.
void save_and_load(const Program& p) {
  static KeptFile kept;
  StateDict state;
  for (std::size_t i = 0; i < p.entries.size(); ++i)
    state.insert(std::to_string(i), p.entries[i].tensor);
  accepted([&] { save_safetensors(kept.path(), state); });
  const StateDict back = accepted([&] { return load_safetensors(kept.path()); });
  expect(back.size() == p.entries.size(), "all tensors are kept");
  for (std::size_t i = 0; i < p.entries.size(); ++i)
    p.check({back.at(std::to_string(i)), p.entries[i].slow});
}

// The turns of four, by what is done besides.
constexpr unsigned kAgain = 0, kSaved = 1;

std::uint64_t run(const std::uint8_t* data, std::size_t size, unsigned turn) {
  constexpr int most_steps = 48;
  Program p(data, size);
  for (int step = 0; step < most_steps && !p.in.at_end(); ++step) {
    const unsigned kind = p.entries.empty() ? 0 : p.in.below(16);
    if (kind < 2) create(p);
    if (kind >= 2 && kind < 7) view(p);
    if (kind == 7 || kind == 8) index(p);
    if (kind >= 9 && kind < 12) compute(p);
    if (kind == 12 || kind == 13) change(p);
    if (kind >= 14) go_back(p);
    for (const Entry& entry : p.entries) p.check(entry);
  }
  if (turn == kSaved) save_and_load(p);
  return p.digest;
}

}  // namespace
}  // namespace retrace::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace fuzz = retrace::fuzz;
  const auto turn = static_cast<unsigned>(fuzz::turn_of(data, size) % 4);
  const std::uint64_t first = fuzz::run(data, size, turn);
  if (turn == fuzz::kAgain)
    fuzz::expect(fuzz::run(data, size, turn) == first, "a program gives the same bits twice");
  return 0;
}
