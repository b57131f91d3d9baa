#include <retrace/data/class_pairs.h>

#include <map>
#include <utility>

#include <retrace/tensor/check.h>
#include <retrace/tensor/view.h>

namespace retrace::data {

ClassPairs::ClassPairs(TensorDataset rows) : rows_(std::move(rows)) {
  check_dataset("ClassPairs", rows_);
  require<DTypeError>(rows_.targets.dtype() == kInt64, "ClassPairs: targets must be int64, not {}",
                      rows_.targets.dtype());
  require<ShapeError>(rows_.targets.dim() == 1, "ClassPairs: targets must be [rows], not {}",
                      rows_.targets.sizes());
  require<ValueError>(rows_.size() > 0, "ClassPairs: there are no rows");
  std::map<std::int64_t, std::size_t> numbers;
  for (const std::int64_t label : rows_.targets.to_vector<std::int64_t>()) {
    const std::size_t number = numbers.emplace(label, numbers.size()).first->second;
    if (number == members_.size()) members_.emplace_back();
    place_.push_back(members_[number].size());
    members_[number].push_back(std::ssize(class_of_));
    class_of_.push_back(number);
  }
}

TensorDataset ClassPairs::sample(std::int64_t pairs, Generator& generator) const {
  std::vector<std::int64_t> both, first;
  for (std::int64_t i = 0; i < pairs; ++i) {
    const std::int64_t row = generator.next_below(rows_.size());
    const auto r = static_cast<std::size_t>(row);
    const std::vector<std::int64_t>& same = members_[class_of_[r]];
    // One of the others: so many places further, around the end.
    const std::int64_t others = std::ssize(same) - 1;
    const std::int64_t step = others > 0 ? 1 + generator.next_below(others) : 0;
    first.push_back(row);
    both.push_back(row);
    both.push_back(same[(place_[r] + static_cast<std::size_t>(step)) % same.size()]);
  }
  std::vector<std::int64_t> sizes = {pairs, 2};
  for (int dim = 1; dim < rows_.inputs.dim(); ++dim) sizes.push_back(rows_.inputs.size(dim));
  return {take_rows(rows_.inputs, both).view(sizes), take_rows(rows_.targets, first)};
}

}  // namespace retrace::data
