#include <retrace/tensor/check.h>
#include <retrace/tensor/tensor.h>

#include <cmath>
#include <limits>
#include <ostream>

// The layout is that of torch.set_printoptions(profile="default").

namespace retrace {
namespace {

constexpr std::int64_t kThreshold = 1000;  // more elements than this are summarised
constexpr std::int64_t kEdgeItems = 3;     // to this many at each end of a dim
constexpr std::size_t kLineWidth = 80;
constexpr std::string_view kPrefix = "tensor(";

bool is_summarized(const Tensor& x, int dim) {
  return x.numel() > kThreshold && x.sizes()[dim] > 2 * kEdgeItems;
}

// The indices of a dim that are printed.
std::vector<std::int64_t> printed_indices(const Tensor& x, int dim) {
  const std::int64_t size = x.sizes()[dim];
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < size; ++i) {
    if (is_summarized(x, dim) && i == kEdgeItems) i = size - kEdgeItems;
    indices.push_back(i);
  }
  return indices;
}

// Calls f with each printed element.
template <class T, class F>
void for_each_printed(const Tensor& x, int dim, const T* data, F&& f) {
  if (dim == x.dim()) return f(*data);
  for (std::int64_t i : printed_indices(x, dim)) {
    for_each_printed(x, dim + 1, data + i * x.strides()[dim], f);
  }
}

// How the numbers of one tensor are written, so that columns stand in line.
class NumberFormat {
 public:
  template <class T>
  NumberFormat(const Tensor& x, const T* data) {
    if constexpr (std::is_floating_point_v<T>) {
      choose_notation(x, data);
      for_each_printed(x, 0, data, [&](T value) {
        if (std::isfinite(value) && value != 0) widen(text(value));
      });
    } else {
      for_each_printed(x, 0, data, [&](T value) { widen(text(value)); });
    }
  }

  std::size_t width() const { return width_; }
  template <class T>
  std::string operator()(T value) const {
    return fmt::format("{:>{}}", text(value), width_);
  }

 private:
  enum class Notation { whole, fixed, scientific };

  template <class T>
  void choose_notation(const Tensor& x, const T* data) {
    bool whole = true;
    double least = std::numeric_limits<double>::infinity(), most = 0;
    for_each_printed(x, 0, data, [&](double value) {
      if (!std::isfinite(value) || value == 0) return;
      if (value != std::ceil(value)) whole = false;
      least = std::min(least, std::abs(value));
      most = std::max(most, std::abs(value));
    });
    if (most == 0) return;
    const bool scientific = most / least > 1000 || most > 1e8 || (!whole && least < 1e-4);
    notation_ = scientific ? Notation::scientific : whole ? Notation::whole : Notation::fixed;
  }

  void widen(const std::string& text) { width_ = std::max(width_, text.size()); }

  std::string text(bool value) const { return value ? "True" : "False"; }
  std::string text(std::int64_t value) const { return fmt::format("{}", value); }
  std::string text(double value) const {
    if (std::isnan(value)) return "nan";  // without its sign
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    if (notation_ == Notation::scientific) return fmt::format("{:.4e}", value);
    if (notation_ == Notation::fixed) return fmt::format("{:.4f}", value);
    return fmt::format("{:.0f}.", value);
  }

  Notation notation_ = Notation::whole;
  std::size_t width_ = 1;
};

template <class T>
std::string vector_text(const Tensor& x, const T* data, std::size_t indent, std::size_t line_width,
                        const NumberFormat& format) {
  const int dim = x.dim() - 1;
  std::vector<std::string> items;
  for (std::int64_t i : printed_indices(x, dim)) {
    if (is_summarized(x, dim) && items.size() == kEdgeItems) items.push_back(" ...");
    items.push_back(format(data[i * x.strides()[dim]]));
  }
  const std::size_t per_line =
      std::max<std::size_t>(1, (line_width - indent) / (format.width() + 2));
  std::string text = "[";
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text += i % per_line == 0 ? ",\n" + std::string(indent + 1, ' ') : ", ";
    text += items[i];
  }
  return text + "]";
}

template <class T>
std::string nested_text(const Tensor& x, int dim, const T* data, std::size_t indent,
                        std::size_t line_width, const NumberFormat& format) {
  if (x.dim() == 0) return format(*data);
  if (dim == x.dim() - 1) return vector_text(x, data, indent, line_width, format);
  std::vector<std::string> slices;
  for (std::int64_t i : printed_indices(x, dim)) {
    if (is_summarized(x, dim) && slices.size() == kEdgeItems) slices.push_back("...");
    slices.push_back(
        nested_text(x, dim + 1, data + i * x.strides()[dim], indent + 1, line_width, format));
  }
  const std::string separator = "," +
                                std::string(static_cast<std::size_t>(x.dim() - dim - 1), '\n') +
                                std::string(indent + 1, ' ');
  return fmt::format("[{}]", fmt::join(slices, separator));
}

std::vector<std::string> suffixes_of(const Tensor& x) {
  std::vector<std::string> suffixes;
  const bool empty = x.numel() == 0;
  if (empty && x.dim() != 1) {
    suffixes.push_back(
        fmt::format("size=({})", fmt::join(x.sizes().begin(), x.sizes().end(), ", ")));
  }
  // What a reader would guess from the numbers alone is not said.
  if (x.dtype() == kFloat64 || (empty && x.dtype() != kFloat32)) {
    suffixes.push_back(fmt::format("dtype={}", x.dtype()));
  }
  if (x.get().producer) {
    suffixes.push_back(fmt::format("grad_fn=<{}>", node_name(*x.get().producer)));
  } else if (x.requires_grad()) {
    suffixes.push_back("requires_grad=True");
  }
  return suffixes;
}

std::string text_of(const Tensor& x, std::size_t line_width) {
  if (!x.defined()) return "tensor(undefined)";
  std::string text(kPrefix);
  if (x.numel() == 0) {
    text += "[]";
  } else {
    visit(x.dtype(), [&]<class T>() {
      const T* data = reinterpret_cast<const T*>(x.get().data);
      text += nested_text(x, 0, data, kPrefix.size(), line_width, NumberFormat(x, data));
    });
  }
  // PyTorch counts two more columns than are there; line breaks follow it.
  const std::size_t newline = text.rfind('\n');
  std::size_t column = newline == std::string::npos ? text.size() + 2 : text.size() - newline + 1;
  for (const std::string& suffix : suffixes_of(x)) {
    if (column + suffix.size() + 2 > line_width) {
      text += ",\n" + std::string(kPrefix.size(), ' ') + suffix;
      column = kPrefix.size() + suffix.size();
    } else {
      text += ", " + suffix;
      column += suffix.size() + 2;
    }
  }
  return text + ")";
}

}  // namespace

std::string Tensor::str() const { return text_of(*this, std::numeric_limits<int>::max()); }

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  return out << text_of(tensor, kLineWidth);
}

}  // namespace retrace
