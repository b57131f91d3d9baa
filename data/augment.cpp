#include <retrace/data/augment.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {

Tensor random_shift(const Tensor& images, std::int64_t most, Generator& generator) {
  require<ShapeError>(images.dim() >= 3,
                      "random_shift: images must be [rows, .., height, width], of three dims "
                      "or more, not {}",
                      images.sizes());
  require<ValueError>(most >= 0, "random_shift: cannot move by {} pixels at most; give 0 or more",
                      most);
  const std::int64_t height = images.size(-2), width = images.size(-1);
  const std::int64_t item = size_of(images.dtype());
  const std::int64_t planes = images.numel() == 0 ? 0 : images.numel() / (height * width);
  const Tensor source = as_contiguous(images);
  Tensor moved = zeros(images.sizes(), images.dtype());
  const auto* from = reinterpret_cast<const std::byte*>(source.get().data);
  auto* to = reinterpret_cast<std::byte*>(moved.get().data);
  std::int64_t down = 0, right = 0;
  for (std::int64_t plane = 0; plane < planes; ++plane) {
    if (plane % (planes / images.size(0)) == 0) {  // of another row
      down = generator.next_below(2 * most + 1) - most;
      right = generator.next_below(2 * most + 1) - most;
    }
    const std::int64_t kept = std::max<std::int64_t>(width - std::abs(right), 0);
    for (std::int64_t y = std::max<std::int64_t>(down, 0);
         y < height + std::min<std::int64_t>(down, 0); ++y) {
      const std::int64_t target = (plane * height + y) * width + std::max<std::int64_t>(right, 0);
      const std::int64_t origin =
          (plane * height + y - down) * width + std::max<std::int64_t>(-right, 0);
      if (kept > 0) {
        std::memcpy(to + target * item, from + origin * item,
                    static_cast<std::size_t>(kept * item));
      }
    }
  }
  return moved;
}

}  // namespace retrace::data
