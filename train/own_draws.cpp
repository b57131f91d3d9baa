#include <retrace/train/own_draws.h>

namespace retrace::train {
namespace {

constexpr int kBits = 48;  // of a position; those above are the rank

}  // namespace

void draw_apart(Generator& generator, int rank) {
  if (rank == 0) return;
  generator.set_state(generator.seed(),
                      common_position(generator) + (static_cast<std::uint64_t>(rank) << kBits));
}

std::uint64_t common_position(const Generator& generator) {
  return generator.position() & ((std::uint64_t{1} << kBits) - 1);
}

}  // namespace retrace::train
