#include <retrace/tensor/error.h>
#include <retrace/tensor/scope.h>

namespace retrace {

thread_local constinit PlaceScope* PlaceScope::innermost_ = nullptr;

std::string PlaceScope::name_of(const TensorData& tensor) {
  for (const PlaceScope* scope = innermost_; scope != nullptr; scope = scope->outer_) {
    std::string name = scope->place_->name_of(tensor);
    if (!name.empty()) return name;
  }
  return {};
}

std::string PlaceScope::current() {
  for (const PlaceScope* scope = innermost_; scope != nullptr; scope = scope->outer_) {
    std::string path = scope->place_->path();
    if (!path.empty()) return path;
  }
  return {};
}

namespace {

std::string with_place(const std::string& message) {
  const std::string place = PlaceScope::current();
  return place.empty() ? message : place + ": " + message;
}

}  // namespace

Error::Error(const std::string& message) : std::runtime_error(with_place(message)) {}

}  // namespace retrace
