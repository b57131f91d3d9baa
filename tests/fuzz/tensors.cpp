// Programs on tensors, decoded from bytes: create, view, index, compute, change in place, go back.
// Every call gives what a slow tensor gives, whatever shares memory with what, or is refused where
// it is wrong, which changes nothing; and a program that runs again gives the same bits.

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

std::uint64_t run(const std::uint8_t* data, std::size_t size) {
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
  return p.digest;
}

}  // namespace
}  // namespace retrace::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint64_t first = retrace::fuzz::run(data, size);
  if (retrace::fuzz::turn_of(data, size) % 4 == 0)
    retrace::fuzz::expect(retrace::fuzz::run(data, size) == first,
                          "a program gives the same bits twice");
  return 0;
}
