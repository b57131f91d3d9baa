#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <retrace/retrace.h>

using namespace retrace;

TEST_CASE("processes draw batches alike, and for their parts numbers that no other ever draws") {
  std::array<Generator, 3> generators = {Generator(3), Generator(3), Generator(3)};
  Generator alone(3);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> used;  // blocks: the first, and behind them
  for (int step = 0; step < 4; ++step) {
    const Tensor batch = rand({5}, kFloat32, &alone);
    std::vector<Tensor> masks;
    std::uint64_t farthest = 0;
    for (int rank = 0; rank < 3; ++rank) {
      Generator& generator = generators[static_cast<std::size_t>(rank)];
      CHECK(rand({5}, kFloat32, &generator).equal(batch));
      train::draw_apart(generator, rank);
      const std::uint64_t first = generator.position();
      train::draw_apart(generator, rank);
      CHECK(generator.position() == first);
      masks.push_back(rand({40}, kFloat32, &generator));
      rand({rank * 64}, kFloat32, &generator);  // larger parts need more
      used.emplace_back(first, generator.position());
      farthest = std::max(farthest, train::common_position(generator));
    }
    CHECK(rand({40}, kFloat32, &alone).equal(masks[0]));  // the first one as if it were alone
    CHECK_FALSE(masks[0].equal(masks[1]));
    CHECK_FALSE(masks[0].equal(masks[2]));
    CHECK_FALSE(masks[1].equal(masks[2]));
    for (Generator& generator : generators) generator.set_state(3, farthest);
    alone.set_state(3, farthest);
  }
  std::sort(used.begin(), used.end());
  for (std::size_t i = 1; i < used.size(); ++i) CHECK(used[i - 1].second <= used[i].first);
}
