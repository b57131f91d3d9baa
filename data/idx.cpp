#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <limits>
#include <span>

#include <retrace/data/gzip.h>
#include <retrace/data/idx.h>
#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/stored_type.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kImages = "-images-idx3-ubyte", kLabels = "-labels-idx1-ubyte";

struct IdxType {
  unsigned char code;
  StoredType type;
};
constexpr IdxType kTypes[] = {{0x08, StoredType::u8},  {0x09, StoredType::i8},
                              {0x0B, StoredType::i16}, {0x0C, StoredType::i32},
                              {0x0D, StoredType::f32}, {0x0E, StoredType::f64}};

// A file taken apart.
struct Idx {
  std::string contents;
  std::size_t start = 0;  // of the numbers
  StoredType type{};
  Shape sizes;

  std::span<const std::byte> numbers() const {
    return std::as_bytes(std::span(contents)).subspan(start);
  }
};

Idx parse(const std::string& path) {
  Idx idx;
  FileReader reader(path);
  // Another file, however large, is told by its first bytes.
  reader.read(idx.contents, 4);
  require<IoError>(idx.contents.size() >= 4 && idx.contents[0] == '\0' && idx.contents[1] == '\0',
                   "{}: not an IDX file: it does not start with two zero bytes, a type and a rank",
                   path);
  reader.read(idx.contents, std::numeric_limits<std::size_t>::max());
  const auto bytes = std::as_bytes(std::span(idx.contents));
  const auto code = static_cast<unsigned char>(bytes[2]);
  const auto rank = static_cast<std::size_t>(bytes[3]);
  const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const IdxType& t) { return t.code == code; });
  require<IoError>(type != std::end(kTypes), "{}: not an IDX file: its type is {:#04x}", path,
                   code);
  require<IoError>(rank >= 1 && rank <= static_cast<std::size_t>(kMaxDims),
                   "{}: its rank is {}, 1 to {} can be read", path, rank, kMaxDims);
  const std::size_t start = 4 + 4 * rank;
  require<IoError>(bytes.size() >= start, "{}: cut short: {} bytes, {} sizes need {}", path,
                   bytes.size(), rank, start);
  idx.type = type->type;
  std::int64_t nonzero = 1, needed = 0;
  bool overflows = false, is_empty = false;
  for (std::size_t i = 0; i < rank; ++i) {
    std::int64_t size = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      size = size << 8 | static_cast<std::int64_t>(bytes[4 + 4 * i + k]);
    }
    idx.sizes.push_back(size);
    is_empty |= size == 0;
    overflows |= __builtin_mul_overflow(nonzero, std::max<std::int64_t>(size, 1), &nonzero);
  }
  overflows |= !is_empty && __builtin_mul_overflow(nonzero, size_of(idx.type), &needed);
  require<IoError>(!overflows, "{}: the bytes of shape {} overflow 63 bits", path, idx.sizes);
  idx.start = start;
  require<IoError>(
      idx.numbers().size() == static_cast<std::uint64_t>(needed),
      "{}: {}: {} bytes of numbers, shape {} takes {}", path,
      idx.numbers().size() < static_cast<std::uint64_t>(needed) ? "cut short" : "too long",
      idx.numbers().size(), idx.sizes, needed);
  return idx;
}

Tensor numbers_of(const Idx& idx) {
  Tensor result = empty(idx.sizes, dtype_for(idx.type));
  decode(idx.type, std::endian::big, idx.numbers().data(), result.numel(), result.get().data);
  return result;
}

Tensor bytes_as_fractions(const Idx& idx, const Shape& sizes) {
  Tensor result = empty(sizes);
  const auto bytes = idx.numbers();
  std::transform(bytes.begin(), bytes.end(), elements<float>(result),
                 [](std::byte b) { return static_cast<float>(b) / 255.0f; });
  return result;
}

Idx parse_images(const std::string& path) {
  Idx images = parse(path);
  require<IoError>(
      images.type == StoredType::u8 && images.sizes.size() == 3,
      "{}: images must be bytes [samples, height, width], type 0x08; the type of these is "
      "{:#04x}, their shape {}",
      path, static_cast<unsigned char>(images.contents[2]), images.sizes);
  return images;
}

// The file with or without .gz; empty when there is neither.
std::string find_file(const std::string& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    const fs::path path = fs::path(folder) / (name + ending);
    std::error_code ignored;
    if (fs::exists(path, ignored)) return path.string();
  }
  return {};
}

std::string choose_part(const std::string& folder, const std::string& wanted) {
  const std::vector<std::string> parts = idx_parts(folder);
  require<IoError>(!parts.empty(), "{}: has no pair NAME{} and NAME{}, plain or .gz", folder,
                   kImages, kLabels);
  const auto has = [&](std::string_view part) {
    return std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  if (!wanted.empty()) {
    require<IoError>(has(wanted), "{}: has no part {}; it has {}", folder, excerpt(wanted),
                     fmt::join(parts, ", "));
    return wanted;
  }
  if (has("train")) return "train";
  require<IoError>(parts.size() == 1, "{}: has the parts {}; name one of them", folder,
                   fmt::join(parts, ", "));
  return parts.front();
}

}  // namespace

Tensor read_idx(const std::string& path) { return numbers_of(parse(path)); }

Tensor read_images(const std::string& path) {
  const Idx images = parse_images(path);
  return bytes_as_fractions(images, images.sizes);
}

std::vector<std::string> idx_parts(const std::string& folder) {
  std::vector<std::string> parts;
  for (std::string& name : names_in_folder(folder)) {
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    if (!name.ends_with(kImages)) continue;
    name.resize(name.size() - kImages.size());
    if (!find_file(folder, name + std::string(kLabels)).empty()) parts.push_back(name);
  }
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

TensorDataset load_idx(const std::string& folder, const IdxOptions& options) {
  const std::string part = choose_part(folder, options.part);
  const std::string image_path = find_file(folder, part + std::string(kImages));
  const std::string label_path = find_file(folder, part + std::string(kLabels));
  const Idx images = parse_images(image_path), labels = parse(label_path);
  require<IoError>(labels.type == StoredType::u8 && labels.sizes.size() == 1,
                   "{}: labels must be bytes [samples], not rank {}", label_path,
                   labels.sizes.size());
  require<IoError>(images.sizes[0] == labels.sizes[0], "{}: {} labels for {} images", label_path,
                   labels.sizes[0], images.sizes[0]);
  const Shape& sizes = images.sizes;
  const Shape shape = options.flatten ? Shape{sizes[0], sizes[1] * sizes[2]} : sizes;
  return {bytes_as_fractions(images, shape), numbers_of(labels)};
}

void write_idx(const std::string& path, const Tensor& numbers) {
  require<ValueError>(numbers.dim() > 0, "write_idx: a 0-d tensor has no sizes to write");
  const Tensor x = as_contiguous(numbers);
  const DType dtype = x.dtype();
  std::string contents = {'\0', '\0',
                          static_cast<char>(dtype == kInt64     ? 0x08
                                            : dtype == kFloat32 ? 0x0D
                                                                : 0x0E),
                          static_cast<char>(x.dim())};
  const auto put = [&contents]<class T>(T value) {
    const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) contents.push_back(*byte);
  };
  for (const std::int64_t size : x.sizes()) {
    require<ValueError>(size <= 0xffffffff, "write_idx: size {} does not fit 32 bits", size);
    put(static_cast<std::uint32_t>(size));
  }
  visit_number(dtype, "write_idx", [&]<class T>() {
    for (const T value : std::span(elements<T>(x), static_cast<std::size_t>(x.numel()))) {
      if constexpr (std::is_same_v<T, std::int64_t>) {
        require<ValueError>(value >= 0 && value <= 255, "write_idx: {} is not a byte", value);
        put(static_cast<std::uint8_t>(value));
      } else {
        put(value);
      }
    }
  });
  path.ends_with(".gz") ? write_gzip(path, contents) : write_file(path, contents);
}

}  // namespace retrace::data
