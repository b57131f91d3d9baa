#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>
#include <optional>
#include <span>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/npy.h>
#include <retrace/tensor/stored_type.h>
#include <retrace/tensor/view.h>

namespace retrace {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::uint64_t kChunk = 1 << 20;  // bytes read at once
constexpr std::uint32_t kMaxHeader = 1 << 16;

struct Description {
  StoredType type{};
  std::endian order = std::endian::little;
  bool fortran_order = false;
  Shape sizes;
};

// The header is a Python dictionary with three known keys, in any order.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path), rest_(text) {}

  Description parse() {
    Description result;
    bool has_type = false, has_order = false, has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string_view key = text_literal();
      expect(':');
      if (key == "descr" && !has_type) {
        has_type = true;
        parse_type(result);
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        result.fortran_order = truth_value();
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        result.sizes = shape();
      } else {
        fail<IoError>("{}: its header has the key '{}' twice or does not know it", path_,
                      printable(key));
      }
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_spaces();
    require<IoError>(rest_.empty(), "{}: its header goes on behind the closing }}", path_);
    require<IoError>(has_type && has_order && has_shape,
                     "{}: its header lacks descr, fortran_order or shape", path_);
    return result;
  }

 private:
  [[noreturn]] void malformed(std::string_view expected) {
    fail<IoError>("{}: malformed npy header: expected {} before '{}'", path_, expected,
                  printable(rest_.substr(0, 16)));
  }
  static std::string printable(std::string_view text) {
    std::string result(text.substr(0, 40));
    std::replace_if(
        result.begin(), result.end(), [](char c) { return c < 32 || c > 126; }, '?');
    return result;
  }

  void skip_spaces() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  bool take(char c) {
    skip_spaces();
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) malformed(std::string_view(&c, 1));
  }
  bool take_word(std::string_view word) {
    skip_spaces();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  std::string_view text_literal() {
    skip_spaces();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '\'' && quote != '"') malformed("a quoted text");
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) malformed("a closed text");
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool truth_value() {
    if (take_word("True")) return true;
    if (take_word("False")) return false;
    malformed("True or False");
  }

  Shape shape() {
    Shape sizes;
    expect('(');
    while (!take(')')) {
      require<IoError>(sizes.size() < kMaxDims, "{}: more than {} dims", path_, kMaxDims);
      sizes.push_back(whole_number());
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return sizes;
  }

  std::int64_t whole_number() {
    skip_spaces();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    require<IoError>(error != std::errc::result_out_of_range, "{}: a size in its shape overflows",
                     path_);
    if (error != std::errc() || value < 0) malformed("a size");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    if (rest_.starts_with('L')) rest_.remove_prefix(1);  // written by Python 2
    return value;
  }

  void parse_type(Description& result) {
    skip_spaces();
    require<IoError>(!rest_.starts_with('['),
                     "{}: holds structures of several fields; save each field as its own array",
                     path_);
    const std::string_view text = text_literal();
    require<IoError>(text.find('O') == std::string_view::npos,
                     "{}: holds Python objects ('{}'), which are programs to be run; save numbers",
                     path_, printable(text));
    struct Name {
      std::string_view name;
      StoredType type;
    };
    constexpr Name names[] = {
        {"b1", StoredType::boolean}, {"u1", StoredType::u8},  {"i1", StoredType::i8},
        {"u2", StoredType::u16},     {"i2", StoredType::i16}, {"u4", StoredType::u32},
        {"i4", StoredType::i32},     {"u8", StoredType::u64}, {"i8", StoredType::i64},
        {"f2", StoredType::f16},     {"f4", StoredType::f32}, {"f8", StoredType::f64}};
    const bool has_order = !text.empty() && std::string_view("<>=|").find(text[0]) != text.npos;
    const std::string_view name = text.substr(has_order ? 1 : 0);
    const auto* found = std::find_if(std::begin(names), std::end(names),
                                     [&](const Name& n) { return n.name == name; });
    require<IoError>(
        found != std::end(names),
        "{}: element type '{}' is not supported; convert to float32, float64, int64 or "
        "bool",
        path_, printable(text));
    result.type = found->type;
    result.order = text[0] == '>' ? std::endian::big : std::endian::little;
  }

  const std::string& path_;
  std::string_view rest_;
};

std::string header_of(const Tensor& tensor) {
  constexpr std::string_view types[] = {"<f4", "<f8", "<i8", "|b1"};
  std::string shape;
  for (const std::int64_t size : tensor.sizes()) shape += fmt::format("{}, ", size);
  // One dim keeps its comma, (3,), as Python writes it.
  if (tensor.dim() == 1) shape.pop_back();
  if (tensor.dim() > 1) shape.resize(shape.size() - 2);
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                 types[static_cast<int>(tensor.dtype())], shape);
  // Padded so that the numbers begin at a multiple of 64 bytes.
  const std::size_t before = kMagic.size() + 4;
  text.append(63 - (before + text.size()) % 64, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {'\1', '\0', static_cast<char>(text.size() & 255), static_cast<char>(text.size() >> 8)};
  return header + text;
}

// The bytes of an array, elements as they are stored.
Tensor read_elements(const InputFile& file, std::uint64_t offset, const Description& description,
                     const Shape& sizes) {
  Tensor tensor = empty(sizes, dtype_for(description.type));
  const std::int64_t width = size_of(description.type), wide = size_of(tensor.dtype());
  const std::int64_t per_chunk = static_cast<std::int64_t>(kChunk) / width;
  std::vector<std::byte> buffer(
      static_cast<std::size_t>(std::min(tensor.numel(), per_chunk) * width));
  for (std::int64_t done = 0; done < tensor.numel();) {
    const std::int64_t count = std::min(tensor.numel() - done, per_chunk);
    file.read(offset + static_cast<std::uint64_t>(done * width),
              std::span(buffer).first(static_cast<std::size_t>(count * width)));
    const std::int64_t decoded = decode(description.type, description.order, buffer.data(), count,
                                        tensor.get().data + done * wide);
    require<IoError>(decoded == count, "{}: element {} {}", file.path(), done + decoded,
                     tensor.dtype() == kBool ? "is neither true nor false"
                                             : "is above 2^63 - 1, the largest int64");
    done += count;
  }
  return tensor;
}

}  // namespace

void save_npy(const std::string& path, const Tensor& tensor) {
  const Tensor stored = as_contiguous(tensor);
  OutputFile file(path);
  file.write(header_of(stored));
  file.write(std::span<const std::byte>(
      stored.get().data, static_cast<std::size_t>(stored.numel() * size_of(stored.dtype()))));
  file.commit();
}

Tensor load_npy(const std::string& path) {
  const InputFile file(path);
  unsigned char start[12] = {};
  require<IoError>(file.size() >= 10, "{}: not an npy file: only {} bytes", path, file.size());
  file.read(0,
            std::as_writable_bytes(std::span(start)).first(std::min<std::size_t>(file.size(), 12)));
  require<IoError>(
      std::equal(kMagic.begin(), kMagic.end(), start,
                 [](char a, unsigned char b) { return static_cast<unsigned char>(a) == b; }),
      "{}: not an npy file: it does not start with \\x93NUMPY", path);
  const int major = start[6], minor = start[7];
  require<IoError>(major >= 1 && major <= 3 && minor == 0,
                   "{}: npy version {}.{} is not supported; 1.0, 2.0 and 3.0 are", path, major,
                   minor);
  const std::uint64_t before = major == 1 ? 10 : 12;
  std::uint32_t length = start[8] | std::uint32_t{start[9]} << 8;
  if (major > 1) length |= std::uint32_t{start[10]} << 16 | std::uint32_t{start[11]} << 24;
  require<IoError>(before <= file.size() && length <= file.size() - before,
                   "{}: its header should have {} bytes, the file ends before; it is cut short",
                   path, length);
  require<IoError>(length <= kMaxHeader, "{}: its header has {} bytes, more than {}", path, length,
                   kMaxHeader);
  std::string text(length, '\0');
  file.read(before, std::as_writable_bytes(std::span(text)));
  const Description description = HeaderParser(path, text).parse();

  std::int64_t nonzero = 1, bytes = 0;
  bool is_empty = false, overflows = false;
  for (const std::int64_t size : description.sizes) {
    overflows |= __builtin_mul_overflow(nonzero, std::max<std::int64_t>(size, 1), &nonzero);
    is_empty |= size == 0;
  }
  overflows |= !is_empty && __builtin_mul_overflow(nonzero, size_of(description.type), &bytes);
  require<IoError>(!overflows, "{}: the bytes of shape {} overflow 63 bits", path,
                   description.sizes);
  const std::uint64_t data = before + length;
  require<IoError>(file.size() - data == static_cast<std::uint64_t>(bytes),
                   "{}: {} bytes of numbers follow the header, but shape {} takes {}", path,
                   file.size() - data, description.sizes, bytes);

  if (!description.fortran_order) return read_elements(file, data, description, description.sizes);
  // Stored with the first dim innermost: the transpose of a row-major array.
  Shape reversed = description.sizes;
  std::reverse(&reversed[0], &reversed[0] + reversed.size());
  const Tensor stored = read_elements(file, data, description, reversed);
  Strides strides = stored.strides();
  std::reverse(&strides[0], &strides[0] + strides.size());
  return contiguous_copy(make_view(stored, description.sizes, strides));
}

}  // namespace retrace
