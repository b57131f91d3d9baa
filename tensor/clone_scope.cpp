#include <retrace/tensor/clone_scope.h>

namespace retrace {
namespace {

thread_local constinit CloneScope* innermost = nullptr;

}  // namespace

CloneScope::CloneScope() : outer_(innermost) { innermost = this; }

CloneScope::~CloneScope() {
  for (auto& [original, stand_in] : pairs_) original.get().redirected = false;
  innermost = outer_;
}

CloneScope* CloneScope::current() { return innermost; }

void CloneScope::add(const Tensor& original, Tensor stand_in) {
  pairs_.emplace_back(Tensor(original.ref()), std::move(stand_in));
  original.get().redirected = true;
}

Tensor CloneScope::stand_in(const Tensor& original) const {
  for (const auto& [from, to] : pairs_) {
    if (from.is_same(original)) return Tensor(to.ref());
  }
  return {};
}

void Tensor::redirect() {
  if (innermost == nullptr) return;  // another thread is cloning
  if (Tensor copy = innermost->stand_in(*this); copy.defined()) data_ = copy.ref();
}

}  // namespace retrace
