#include <retrace/tensor/random.h>

#include <algorithm>

#include <Random123/philox.h>

namespace retrace {

std::array<std::uint32_t, 4> Generator::block(std::uint64_t seed, std::uint64_t index,
                                              std::uint64_t retry) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const r123::Philox4x32::ctr_type counter = {{low(index), high(index), low(retry), high(retry)}};
  const r123::Philox4x32::key_type key = {{low(seed), high(seed)}};
  const auto numbers = r123::Philox4x32()(counter, key);
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

namespace {

// Philox4x32-10 of kLanes counters side by side, each step a vector.
constexpr std::int64_t kLanes = 16;
[[gnu::noinline]] void philox_lanes(std::uint64_t seed, std::uint64_t first,
                                    std::uint32_t* numbers) {
  std::uint32_t c[4][kLanes];
#pragma omp simd
  for (std::int64_t l = 0; l < kLanes; ++l) {
    const std::uint64_t index = first + static_cast<std::uint64_t>(l);
    c[0][l] = static_cast<std::uint32_t>(index);
    c[1][l] = static_cast<std::uint32_t>(index >> 32);
    c[2][l] = c[3][l] = 0;
  }
  auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, key0 += 0x9E3779B9U, key1 += 0xBB67AE85U) {
#pragma omp simd
    for (std::int64_t l = 0; l < kLanes; ++l) {
      const std::uint64_t a = std::uint64_t{0xD2511F53U} * c[0][l];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * c[2][l];
      c[0][l] = static_cast<std::uint32_t>(b >> 32) ^ c[1][l] ^ key0;
      c[1][l] = static_cast<std::uint32_t>(b);
      c[2][l] = static_cast<std::uint32_t>(a >> 32) ^ c[3][l] ^ key1;
      c[3][l] = static_cast<std::uint32_t>(a);
    }
  }
  for (std::int64_t l = 0; l < kLanes; ++l) {
    for (std::int64_t i = 0; i < 4; ++i) numbers[4 * l + i] = c[i][l];
  }
}

}  // namespace

void Generator::fill_blocks(std::uint64_t seed, std::uint64_t first, std::int64_t count,
                            std::uint32_t* numbers) {
  for (; count >= kLanes; count -= kLanes, first += kLanes, numbers += 4 * kLanes)
    philox_lanes(seed, first, numbers);
  for (; count > 0; --count, ++first, numbers += 4) {
    const auto last = block(seed, first);
    std::copy(last.begin(), last.end(), numbers);
  }
}

}  // namespace retrace
