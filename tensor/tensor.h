#pragma once

// The tensor: a handle to numbers in memory, and to the tape that they came from.

#include <iosfwd>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <retrace/tensor/dtype.h>
#include <retrace/tensor/error.h>
#include <retrace/tensor/scalar.h>
#include <retrace/tensor/shape.h>
#include <retrace/tensor/tensor_data.h>

namespace retrace {

class Tensor;
struct TensorPair;
class TensorIndex;

/// What a hook does with a gradient on its way: see Tensor::register_hook.
struct GradientHook {
  virtual ~GradientHook() = default;
  /// The gradient to go on with; an undefined tensor leaves it as it is.
  virtual Tensor call(const Tensor& gradient) = 0;
};

/// An array of numbers of one dtype with up to eight dims. A Tensor is one reference-counted
/// pointer: a copy is the same tensor, its gradient included; `clone()` copies the numbers. Views
/// (view, transpose, select, ...) share the numbers of the tensor that they were made from.
///
/// Dims count from 0, or from -1 at the end. Operands have one dtype; plain numbers take it.
/// Members that compute are recorded while gradients are wanted; what each computes, with formula,
/// gradient and errors, stands with the free function of the same name in autograd/ops/.
class Tensor {
 public:
  Tensor() = default;  ///< undefined: refused by every op
  explicit Tensor(Ref<TensorData> data) : data_(std::move(data)) {}
  Tensor(const Tensor& other) : data_(other.data_) {
    if (data_ && data_->redirected) [[unlikely]]
      redirect();
  }
  Tensor(Tensor&& other) noexcept = default;
  Tensor& operator=(const Tensor& other) & = default;
  Tensor& operator=(Tensor&& other) & noexcept = default;
  /// Into a temporary, such as `x[0] = y`: copies the numbers (copy_, fill_).
  Tensor& operator=(const Tensor& other) &&;
  Tensor& operator=(Scalar value) &&;
  ~Tensor() = default;

  // What it is ------------------------------------------------------------------------------
  bool defined() const { return static_cast<bool>(data_); }
  int dim() const { return get().sizes.size(); }
  const Shape& sizes() const { return get().sizes; }
  const Strides& strides() const { return get().strides; }
  std::int64_t size(std::int64_t dim) const;
  std::int64_t stride(std::int64_t dim) const;
  std::int64_t numel() const { return get().numel; }
  DType dtype() const { return get().dtype; }
  bool is_floating_point() const { return is_floating(dtype()); }
  bool is_contiguous() const { return get().contiguous; }
  /// Both are the same tensor, not only equal.
  bool is_same(const Tensor& other) const { return data_ == other.data_; }
  /// Same shape, dtype and numbers (NaN differs from NaN).
  bool equal(const Tensor& other) const;
  /// Counts changes in place of the storage, which views and detach() share.
  std::uint32_t version() const { return get().storage->version; }
  /// As `std::cout << x` prints it, without line limits.
  std::string str() const;

  // Its numbers -----------------------------------------------------------------------------
  /// The first element. T must be the dtype's type (DTypeError); elements follow the strides.
  template <class T>
  T* data_ptr() const {
    return static_cast<T*>(checked_data(dtype_of<T>));
  }
  /// The one element, converted to T: a fraction is cut off for whole numbers. ValueError when
  /// there is not exactly one, and when it does not fit an integer T, as NaN does not.
  template <class T>
  T item() const {
    return visit(dtype(), [&]<class E>() {
      const E value = *static_cast<E*>(only_element());
      if (!fits<T>(value)) [[unlikely]]
        refuse_item(static_cast<int>(8 * sizeof(T)), std::is_signed_v<T>);
      return static_cast<T>(value);
    });
  }
  /// All elements in row-major order, converted to T as by item().
  template <class T>
  std::vector<T> to_vector() const;
  /// Itself if it has that dtype; recorded between floating dtypes. As int64 a fraction is cut off,
  /// and what int64 cannot hold (NaN, infinity, 1e30) becomes its smallest number, -2^63.
  Tensor to(DType dtype) const;
  Tensor contiguous() const;  ///< itself if row-major, else a copy that is
  Tensor clone() const;
  explicit operator bool() const;  ///< of the one element; ValueError for several

  // Changed in place: the storage's version grows, and this tensor is returned ----------------
  Tensor& copy_(const Tensor& source);  ///< broadcasts, and converts as `to`
  /// ValueError for a finite value that float32 cannot hold, if it is to; so masked_fill_.
  Tensor& fill_(Scalar value);
  Tensor& zero_() { return fill_(0); }
  Tensor& add_(const Tensor& other, Scalar alpha = 1);
  Tensor& add_(Scalar value);
  Tensor& sub_(const Tensor& other, Scalar alpha = 1);
  Tensor& sub_(Scalar value);
  Tensor& mul_(const Tensor& other);
  Tensor& mul_(Scalar value);
  Tensor& div_(const Tensor& other);
  Tensor& div_(Scalar value);
  Tensor& clamp_(std::optional<Scalar> min, std::optional<Scalar> max = {});
  Tensor& masked_fill_(const Tensor& mask, Scalar value);
  Tensor& uniform_(double low = 0, double high = 1);
  Tensor& normal_(double mean = 0, double std = 1);
  /// Gives this handle and all its copies the numbers, shape and dtype of `other` (a leaf stays
  /// that leaf). For loading and converting parameters.
  void set_data(const Tensor& other);

  // Views -----------------------------------------------------------------------------------
  Tensor view(const Shape& sizes) const;
  Tensor view_as(const Tensor& other) const { return view(other.sizes()); }
  Tensor reshape(const Shape& sizes) const;  ///< a view if the strides allow, else a copy
  Tensor flatten(std::int64_t start_dim = 0, std::int64_t end_dim = -1) const;
  Tensor transpose(std::int64_t dim0, std::int64_t dim1) const;
  Tensor t() const;  ///< transpose of a matrix
  Tensor permute(const Shape& dims) const;
  Tensor select(std::int64_t dim, std::int64_t index) const;
  Tensor slice(std::int64_t dim, std::optional<std::int64_t> start = {},
               std::optional<std::int64_t> end = {}, std::int64_t step = 1) const;
  Tensor narrow(std::int64_t dim, std::int64_t start, std::int64_t length) const;
  Tensor expand(const Shape& sizes) const;
  Tensor expand_as(const Tensor& other) const { return expand(other.sizes()); }
  Tensor squeeze() const;
  Tensor squeeze(std::int64_t dim) const;
  Tensor unsqueeze(std::int64_t dim) const;
  Tensor diagonal(std::int64_t offset = 0, std::int64_t dim1 = 0, std::int64_t dim2 = 1) const;
  Tensor unfold(std::int64_t dim, std::int64_t size, std::int64_t step) const;
  std::vector<Tensor> split(std::int64_t size, std::int64_t dim = 0) const;
  std::vector<Tensor> split(const Shape& sizes, std::int64_t dim = 0) const;
  std::vector<Tensor> chunk(std::int64_t chunks, std::int64_t dim = 0) const;
  Tensor operator[](std::int64_t index) const { return select(0, index); }
  Tensor index(const std::vector<TensorIndex>& indices) const;
  Tensor& index_put_(const std::vector<TensorIndex>& indices, const Tensor& value);
  Tensor& index_put_(const std::vector<TensorIndex>& indices, Scalar value);

  // Computed: see the free functions of the same names -----------------------------------------
  Tensor add(const Tensor& other, Scalar alpha = 1) const;
  Tensor add(Scalar value) const;
  Tensor sub(const Tensor& other, Scalar alpha = 1) const;
  Tensor sub(Scalar value) const;
  Tensor mul(const Tensor& other) const;
  Tensor mul(Scalar value) const;
  Tensor div(const Tensor& other) const;
  Tensor div(Scalar value) const;
  Tensor pow(Scalar exponent) const;
  Tensor pow(const Tensor& exponent) const;
  Tensor neg() const;
  Tensor abs() const;
  Tensor exp() const;
  Tensor log() const;
  Tensor sqrt() const;
  Tensor square() const;
  Tensor reciprocal() const;
  Tensor tanh() const;
  Tensor relu() const;
  Tensor sigmoid() const;
  Tensor softmax(std::int64_t dim) const;
  Tensor log_softmax(std::int64_t dim) const;
  Tensor clamp(std::optional<Scalar> min, std::optional<Scalar> max = {}) const;
  Tensor masked_fill(const Tensor& mask, Scalar value) const;
  Tensor gather(std::int64_t dim, const Tensor& index) const;
  Tensor index_select(std::int64_t dim, const Tensor& index) const;
  Tensor matmul(const Tensor& other) const;
  Tensor sum() const;
  Tensor sum(std::int64_t dim, bool keepdim = false) const;
  Tensor sum(const Shape& dims, bool keepdim = false) const;
  Tensor sum(NoDims, bool keepdim = false) const = delete;  // see NoDims
  Tensor mean() const;
  Tensor mean(std::int64_t dim, bool keepdim = false) const;
  Tensor mean(const Shape& dims, bool keepdim = false) const;
  Tensor mean(NoDims, bool keepdim = false) const = delete;
  Tensor var(bool unbiased = true) const;
  Tensor var(std::int64_t dim, bool unbiased = true, bool keepdim = false) const;
  Tensor var(int dim, bool unbiased = true, bool keepdim = false) const {
    return var(std::int64_t{dim}, unbiased, keepdim);  // a literal is a dim, not a truth value
  }
  Tensor std(bool unbiased = true) const;
  Tensor std(std::int64_t dim, bool unbiased = true, bool keepdim = false) const;
  Tensor std(int dim, bool unbiased = true, bool keepdim = false) const {
    return std(std::int64_t{dim}, unbiased, keepdim);
  }
  Tensor norm(double p = 2) const;
  Tensor norm(double p, std::int64_t dim, bool keepdim = false) const;
  Tensor norm(double p, NoDims, bool keepdim = false) const = delete;
  Tensor prod() const;
  Tensor prod(std::int64_t dim, bool keepdim = false) const;
  Tensor prod(NoDims, bool keepdim = false) const = delete;
  Tensor max() const;
  TensorPair max(std::int64_t dim, bool keepdim = false) const;  ///< {values, indices}
  TensorPair max(NoDims, bool keepdim = false) const = delete;
  Tensor min() const;
  TensorPair min(std::int64_t dim, bool keepdim = false) const;
  TensorPair min(NoDims, bool keepdim = false) const = delete;
  Tensor argmax() const;
  Tensor argmax(std::int64_t dim, bool keepdim = false) const;
  Tensor argmax(NoDims, bool keepdim = false) const = delete;
  Tensor argmin() const;
  Tensor argmin(std::int64_t dim, bool keepdim = false) const;
  Tensor argmin(NoDims, bool keepdim = false) const = delete;
  Tensor logsumexp(std::int64_t dim, bool keepdim = false) const;
  Tensor logsumexp(NoDims, bool keepdim = false) const = delete;
  Tensor cumsum(std::int64_t dim) const;
  Tensor any() const;
  Tensor all() const;
  TensorPair sort(std::int64_t dim = -1, bool descending = false) const;
  TensorPair topk(std::int64_t k, std::int64_t dim = -1, bool largest = true) const;

  // The tape --------------------------------------------------------------------------------
  /// Wants a gradient: a leaf that was told to, or computed from one while recording.
  bool requires_grad() const { return get().requires_grad || get().producer; }
  /// Only floating leaves can be told (DTypeError, AutogradError).
  Tensor& requires_grad_(bool wanted = true);
  bool is_leaf() const { return !get().producer; }
  /// The accumulated gradient; undefined before the first backward.
  Tensor grad() const { return Tensor(get().grad); }
  /// Same shape and dtype as this tensor, or undefined to drop it.
  void set_grad(const Tensor& gradient) const;
  void zero_grad() const { set_grad({}); }  ///< drops the gradient
  /// Same numbers, no history; shares the storage and its version.
  Tensor detach() const;
  /// Walks back from this tensor and adds into the gradients of all leaves that it depends on. A
  /// tensor that is not a scalar needs `gradient` of its own shape. See autograd/backprop.h.
  void backward(const Tensor& gradient = {}, bool retain_graph = false,
                bool create_graph = false) const;
  /// An inner tensor keeps the gradient that passes through it, as a leaf does.
  void retain_grad() const;
  /// Calls hook(gradient) when this tensor's gradient is known, before it goes on. A hook that
  /// returns a Tensor replaces the gradient. A leaf owns its hooks: one that holds a handle to its
  /// own leaf keeps both alive for ever.
  template <class F>
  void register_hook(F hook) const;

  TensorData& get() const {
    if (!data_) [[unlikely]]
      undefined();
    return *data_;
  }
  const Ref<TensorData>& ref() const& { return data_; }
  Ref<TensorData> ref() && { return std::move(data_); }

 private:
  /// Whether T holds the number, its fraction cut off. Only an integer T may not.
  template <class T, class E>
  static bool fits(E value) {
    if constexpr (!std::is_integral_v<T> || std::is_same_v<T, bool> || std::is_same_v<E, bool>) {
      return true;
    } else if constexpr (std::is_same_v<E, std::int64_t>) {
      return static_cast<E>(static_cast<T>(value)) == value && (std::is_signed_v<T> || value >= 0);
    } else {
      // Of T's numbers double holds the smallest, and one above the largest, but not always that.
      constexpr auto least = static_cast<double>(std::numeric_limits<T>::min());
      constexpr double end = 2.0 * static_cast<double>(std::numeric_limits<T>::max() / 2 + 1);
      return (value > least - 1 || value == least) && value < end;
    }
  }
  [[noreturn]] static void undefined();
  void redirect();
  void* checked_data(DType expected) const;
  void* only_element() const;
  [[noreturn]] void refuse_item(int bits, bool is_signed) const;
  void add_hook(std::unique_ptr<GradientHook> hook) const;

  Ref<TensorData> data_;
};

/// Result of max, min, sort, topk: `auto [values, indices] = x.max(1)`.
struct TensorPair {
  Tensor values, indices;
};

/// As PyTorch prints it, the middle of long dims left out.
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

template <class F>
void Tensor::register_hook(F hook) const {
  struct Hook final : GradientHook {
    explicit Hook(F f) : function(std::move(f)) {}
    Tensor call(const Tensor& gradient) override {
      if constexpr (std::is_void_v<decltype(function(gradient))>) {
        function(gradient);
        return {};
      } else {
        return function(gradient);
      }
    }
    F function;
  };
  add_hook(std::make_unique<Hook>(std::move(hook)));
}

}  // namespace retrace
