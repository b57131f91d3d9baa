#include <retrace/tensor/kernels/gather.h>

namespace retrace::kernels {

Groups::Groups(const std::int64_t* index, std::int64_t count, std::int64_t rows)
    : first(static_cast<std::size_t>(rows) + 2), order(static_cast<std::size_t>(count)) {
  // Counting sort. While the positions are filled in, first[r + 1] is where row r goes on, so that
  // it ends as the start of row r + 1.
  for (std::int64_t k = 0; k < count; ++k) ++first[static_cast<std::size_t>(index[k]) + 2];
  for (std::size_t r = 2; r < first.size(); ++r) first[r] += first[r - 1];
  for (std::int64_t k = 0; k < count; ++k)
    order[static_cast<std::size_t>(first[static_cast<std::size_t>(index[k]) + 1]++)] = k;
  first.pop_back();
}

}  // namespace retrace::kernels
