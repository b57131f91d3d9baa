#include <retrace/nn/key_value_cache.h>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

void KeyValueCache::clear() {
  layers_.clear();
  length_ = 0;
}

std::pair<Tensor, Tensor> KeyValueCache::join(std::size_t layer, std::int64_t capacity,
                                              const Tensor& keys, const Tensor& values) {
  if (layers_.size() <= layer) layers_.resize(layer + 1);
  Layer& here = layers_[layer];
  const std::int64_t tokens = keys.size(2), end = length_ + tokens;
  if (length_ == 0) {  // whatever there is was left by a call that was refused at a later layer
    const Shape sizes = {keys.size(0), keys.size(1), capacity, keys.size(3)};
    here = {empty(sizes, keys.dtype()), empty(sizes, values.dtype())};
  }
  require<ShapeError>(
      keys.size(0) == here.keys.size(0) && keys.size(1) == here.keys.size(1) &&
          keys.size(3) == here.keys.size(3) && end <= here.keys.size(2),
      "KeyValueCache: {} tokens are there in {}, and new keys are {}; clear() before other rows",
      length_, here.keys.sizes(), keys.sizes());
  here.keys.narrow(2, length_, tokens).copy_(keys);
  here.values.narrow(2, length_, tokens).copy_(values);
  return {here.keys.narrow(2, 0, end), here.values.narrow(2, 0, end)};
}

}  // namespace retrace::nn
