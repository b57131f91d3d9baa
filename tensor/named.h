#pragma once

// Dictionaries of names that keep the order in which names were put in.

#include <initializer_list>
#include <iterator>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// name -> T in the order of insertion. References stay valid until their name is erased.
///
///     state["scale"] = ones({4});
///     for (auto& [name, value] : state) ...
template <class T>
class OrderedDict {
 public:
  using Item = std::pair<const std::string, T>;
  using iterator = typename std::list<Item>::iterator;
  using const_iterator = typename std::list<Item>::const_iterator;

  OrderedDict() = default;
  /// ValueError when a name comes twice.
  OrderedDict(std::initializer_list<Item> items) {
    for (const Item& item : items) insert(item.first, item.second);
  }
  OrderedDict(const OrderedDict& other) {
    for (const Item& item : other) insert(item.first, item.second);
  }
  OrderedDict(OrderedDict&& other) noexcept { swap(other); }
  OrderedDict& operator=(OrderedDict other) noexcept {
    swap(other);
    return *this;
  }
  ~OrderedDict() = default;

  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  bool contains(std::string_view name) const { return places_.contains(name); }
  iterator begin() { return items_.begin(); }
  iterator end() { return items_.end(); }
  const_iterator begin() const { return items_.begin(); }
  const_iterator end() const { return items_.end(); }
  /// The pairs themselves, for loops that want to say so.
  const std::list<Item>& items() const { return items_; }

  /// IndexError when there is no such name.
  T& at(std::string_view name) { return place_of(name)->second; }
  const T& at(std::string_view name) const { return place_of(name)->second; }
  iterator find(std::string_view name) {
    const auto place = places_.find(name);
    return place == places_.end() ? items_.end() : place->second;
  }
  const_iterator find(std::string_view name) const {
    const auto place = places_.find(name);
    return place == places_.end() ? items_.end() : const_iterator(place->second);
  }
  /// Puts in a default value at the end if the name is new.
  T& operator[](std::string_view name) {
    const auto place = places_.find(name);
    return place != places_.end() ? place->second->second : append(name, T());
  }
  /// Puts in a new name at the end. ValueError when it is there already.
  T& insert(std::string_view name, T value) {
    if (contains(name)) throw ValueError("insert: the name \"" + std::string(name) + "\" is taken");
    return append(name, std::move(value));
  }
  /// Whether the name was there.
  bool erase(std::string_view name) {
    const auto place = places_.find(name);
    if (place == places_.end()) return false;
    const iterator item = place->second;
    places_.erase(place);
    items_.erase(item);
    return true;
  }
  void clear() {
    places_.clear();
    items_.clear();
  }

 private:
  void swap(OrderedDict& other) noexcept {
    items_.swap(other.items_);
    places_.swap(other.places_);
  }
  T& append(std::string_view name, T value) {
    items_.emplace_back(std::string(name), std::move(value));
    const iterator item = std::prev(items_.end());
    try {
      places_.emplace(item->first, item);
    } catch (...) {
      items_.pop_back();
      throw;
    }
    return item->second;
  }
  iterator place_of(std::string_view name) const {
    const auto place = places_.find(name);
    if (place == places_.end())
      throw IndexError("at: there is no name \"" + std::string(name) + "\"");
    return place->second;
  }

  std::list<Item> items_;
  std::unordered_map<std::string_view, iterator> places_;  // keys live in items_
};

/// Tensors by their names, in the order in which they were added.
using NamedTensors = OrderedDict<Tensor>;
/// Parameters and buffers of a module by their names, such as "block0.norm.weight".
using StateDict = NamedTensors;

}  // namespace retrace
