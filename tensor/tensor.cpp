#include <retrace/tensor/check.h>
#include <retrace/tensor/observer.h>
#include <retrace/tensor/pool.h>
#include <retrace/tensor/tensor.h>
#include <retrace/tensor/view.h>

#include <cmath>
#include <cstring>

namespace retrace {

thread_local constinit UpdateObserver* UpdateObserver::current_ = nullptr;
thread_local constinit std::int64_t optimizer_steps = 0;

// The data behind the handle --------------------------------------------------------------------

void* TensorData::operator new(std::size_t) { return pool_allocate(sizeof(TensorData)); }
void TensorData::operator delete(void* block) noexcept { pool_free(block, sizeof(TensorData)); }

std::uint64_t identity_of(TensorData& tensor) {
  static std::atomic<std::uint64_t> last{0};
  std::uint64_t identity = tensor.identity.load(std::memory_order_relaxed);
  if (identity != 0) return identity;
  const std::uint64_t drawn = last.fetch_add(1, std::memory_order_relaxed) + 1;
  // Another thread may have been faster.
  return tensor.identity.compare_exchange_strong(identity, drawn, std::memory_order_relaxed)
             ? drawn
             : identity;
}

void destroy(TensorData* tensor) noexcept {
  if (tensor->recorded_view)
    tensor->storage->recorded_views.fetch_sub(1, std::memory_order_relaxed);
  if (tensor->retains_grad || tensor->hooks != nullptr) forget_tensor(*tensor);
  delete tensor;
}

void Tensor::undefined() {
  throw ValueError("tensor: undefined (default-constructed or moved from); give it a value first");
}

void Scalar::refuse_unsigned(std::uint64_t value) {
  fail<ValueError>(
      "number: {} is above 2^63 - 1, the largest int64; give a smaller one, or a double", value);
}

void Scalar::require_held(std::string_view op, DType dtype) const {
  if (dtype == kInt64) whole(op);
  require<ValueError>(
      dtype != kFloat32 || whole_ || !std::isfinite(floating_) ||
          std::isfinite(static_cast<float>(floating_)),
      "{}: {} is too large for float32; give a number that float32 holds, or infinity itself", op,
      floating_);
}

std::int64_t Scalar::whole(std::string_view op) const {
  if (whole_) return integer_;
  const auto value =
      static_cast<std::int64_t>(floating_ > -9.2e18 && floating_ < 9.2e18 ? floating_ : 0.5);
  require<DTypeError>(
      static_cast<double>(value) == floating_,
      "{}: {} is not a whole number, but the tensor is int64; convert the tensor with "
      ".to(kFloat32) first",
      op, floating_);
  return value;
}

// What it is ------------------------------------------------------------------------------------

std::int64_t Tensor::size(std::int64_t dim) const {
  require<IndexError>(this->dim() > 0, "size: a 0-d tensor has no dim {}; use numel()", dim);
  return sizes()[wrap_dim("size", dim, sizes())];
}

std::int64_t Tensor::stride(std::int64_t dim) const {
  require<IndexError>(this->dim() > 0, "stride: a 0-d tensor has no dim {}; it has one element",
                      dim);
  return strides()[wrap_dim("stride", dim, sizes())];
}

bool Tensor::equal(const Tensor& other) const {
  if (sizes() != other.sizes() || dtype() != other.dtype()) return false;
  const Tensor a = as_contiguous(*this), b = as_contiguous(other);
  return visit(dtype(), [&]<class T>() {
    return std::equal(elements<T>(a), elements<T>(a) + numel(), elements<T>(b));
  });
}

// Its numbers -----------------------------------------------------------------------------------

void* Tensor::checked_data(DType expected) const {
  require<DTypeError>(
      dtype() == expected,
      "data_ptr: the tensor {} is {}, not {}; ask for its own type or convert with .to(dtype)",
      sizes(), dtype(), expected);
  return get().data;
}

void* Tensor::only_element() const {
  require<ValueError>(
      numel() == 1, "item: a tensor of shape {} has {} elements, not one; index or reduce it first",
      sizes(), numel());
  return get().data;
}

void Tensor::refuse_item(int bits, bool is_signed) const {
  const std::string value = visit(
      dtype(), [&]<class E>() { return fmt::format("{}", *static_cast<E*>(only_element())); });
  fail<ValueError>("item: {} does not fit {}int{}; ask for a type that holds it, or for double",
                   value, is_signed ? "" : "u", bits);
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor x = as_contiguous(*this);
  return visit(dtype(), [&]<class E>() {
    const E* const from = elements<E>(x);
    const E* const end = from + numel();
    const E* const beyond = std::find_if(from, end, [](E e) { return !fits<T>(e); });
    if (beyond != end)
      fail<ValueError>(
          "to_vector: element {} of shape {} is {}, which int64 does not hold; ask for double, or "
          "mask it first",
          beyond - from, sizes(), *beyond);
    std::vector<T> values(static_cast<std::size_t>(numel()));
    std::transform(from, end, values.begin(), [](E e) { return static_cast<T>(e); });
    return values;
  });
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<std::int64_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;

Tensor::operator bool() const {
  require<ValueError>(numel() == 1,
                      "bool: a tensor of shape {} is not one truth value; use .any() or .all()",
                      sizes());
  return item<bool>();
}

// NOLINTNEXTLINE(bugprone-unhandled-self-assignment,cert-oop54-cpp): copy_ of itself is nothing
Tensor& Tensor::operator=(const Tensor& other) && {
  copy_(other);
  return *this;
}

Tensor& Tensor::operator=(Scalar value) && {
  fill_(value);
  return *this;
}

void Tensor::set_data(const Tensor& other) {
  TensorData &mine = get(), &theirs = other.get();
  require<AutogradError>(!mine.is_recorded(),
                         "set_data: a tensor of shape {} that was computed on the tape cannot be "
                         "given other data; use detach()",
                         mine.sizes);
  require<DTypeError>(
      !mine.requires_grad || is_floating(theirs.dtype),
      "set_data: a leaf that wants a gradient cannot become {}; use float32 or float64",
      theirs.dtype);
  mine.storage->changed();  // what a graph saved of it is not what this tensor holds any more
  mine.dtype = theirs.dtype;
  mine.contiguous = theirs.contiguous;
  mine.is_view = theirs.is_view;
  mine.numel = theirs.numel;
  mine.data = theirs.data;
  mine.sizes = theirs.sizes;
  mine.strides = theirs.strides;
  mine.storage = theirs.storage;
  mine.grad = nullptr;
}

// The tape's side of a tensor -------------------------------------------------------------------

Tensor& Tensor::requires_grad_(bool wanted) {
  TensorData& data = get();
  require<DTypeError>(
      !wanted || is_floating(data.dtype),
      "requires_grad_: only float32 and float64 tensors have gradients, this one {} "
      "is {}; convert it with .to(kFloat32)",
      data.sizes, data.dtype);
  require<AutogradError>(!data.producer || wanted,
                         "requires_grad_: a tensor {} that was computed on the tape cannot be told "
                         "to want no gradient; use detach()",
                         data.sizes);
  data.was_leaf = data.was_leaf || (data.requires_grad && !wanted);
  if (!data.producer) data.requires_grad = wanted;
  return *this;
}

void Tensor::set_grad(const Tensor& gradient) const {
  TensorData& data = get();
  if (!gradient.defined()) {
    if (UpdateObserver* const observer = UpdateObserver::current()) [[unlikely]]
      observer->on_zero_grad(*this);
    data.grad = nullptr;
    return;
  }
  require<ShapeError>(
      gradient.sizes() == data.sizes,
      "set_grad: the gradient has shape {}, the tensor {}; give one of the tensor's shape",
      gradient.sizes(), data.sizes);
  require<DTypeError>(gradient.dtype() == data.dtype,
                      "set_grad: the gradient is {}, the tensor {}; convert with .to(dtype)",
                      gradient.dtype(), data.dtype);
  require<ValueError>(!gradient.is_same(*this),
                      "set_grad: a tensor of shape {} cannot be its own gradient; give a clone()",
                      data.sizes);
  data.grad = gradient.ref();
}

Tensor Tensor::detach() const { return make_view(*this, sizes(), strides()); }

}  // namespace retrace
