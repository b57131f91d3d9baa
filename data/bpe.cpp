#include <retrace/data/bpe.h>

#include <algorithm>

namespace retrace::data {

bool Merges::add(const Merge& merge) {
  const auto place = static_cast<std::int32_t>(list_.size());
  if (!places_.emplace(pair_key(merge.left, merge.right), place).second) return false;
  list_.push_back(merge);
  return true;
}

std::int32_t Merges::find(std::int32_t left, std::int32_t right) const {
  const auto found = places_.find(pair_key(left, right));
  return found == places_.end() ? -1 : found->second;
}

void WordMerger::apply(std::vector<std::int32_t>& word) {
  const auto size = static_cast<std::int32_t>(word.size());
  symbols_.clear();
  for (std::int32_t i = 0; i < size; ++i) {
    symbols_.push_back({word[static_cast<std::size_t>(i)], i - 1, i + 1 < size ? i + 1 : -1});
  }
  heap_.clear();
  for (std::int32_t i = 0; i < size; ++i) consider(i, heap_);
  std::make_heap(heap_.begin(), heap_.end());

  while (!heap_.empty()) {
    // All places of the most preferred merge come before the pairs that it makes.
    const std::int32_t preferred = heap_.front().merge;
    fresh_.clear();
    while (!heap_.empty() && heap_.front().merge == preferred) {
      const Candidate candidate = heap_.front();
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.pop_back();
      merge(candidate);
    }
    for (const Candidate& candidate : fresh_) {
      heap_.push_back(candidate);
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  word.clear();
  for (const Symbol& symbol : symbols_) {
    if (symbol.token >= 0) word.push_back(symbol.token);
  }
}

void WordMerger::consider(std::int32_t place, std::vector<Candidate>& list) {
  const Symbol& symbol = symbols_[static_cast<std::size_t>(place)];
  if (symbol.next < 0) return;
  const std::int32_t merge =
      merges_.find(symbol.token, symbols_[static_cast<std::size_t>(symbol.next)].token);
  if (merge >= 0) list.push_back({merge, place});
}

void WordMerger::merge(const Candidate& candidate) {
  const Merge& merge = merges_[candidate.merge];
  Symbol& left = symbols_[static_cast<std::size_t>(candidate.place)];
  if (left.token != merge.left || left.next < 0) return;
  Symbol& right = symbols_[static_cast<std::size_t>(left.next)];
  if (right.token != merge.right) return;  // another merge was here first
  left.token = merge.result;
  left.next = right.next;
  right.token = -1;
  if (left.next >= 0) symbols_[static_cast<std::size_t>(left.next)].previous = candidate.place;
  consider(candidate.place, fresh_);
  if (left.previous >= 0) consider(left.previous, fresh_);
}

}  // namespace retrace::data
