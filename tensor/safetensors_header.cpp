#include <zlib.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_set>

#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>
#include <retrace/tensor/safetensors_header.h>
#include <retrace/tensor/utf8.h>

namespace retrace::safetensors {
namespace {

constexpr std::size_t kShown = 120;  // bytes; escaped they can be six times as many
constexpr std::uint64_t kMaxSize = std::numeric_limits<std::int64_t>::max();

struct TypeName {
  std::string_view name;
  StoredType type;
};
constexpr TypeName kTypes[] = {
    {"BOOL", StoredType::boolean}, {"U8", StoredType::u8},     {"I8", StoredType::i8},
    {"U16", StoredType::u16},      {"I16", StoredType::i16},   {"U32", StoredType::u32},
    {"I32", StoredType::i32},      {"U64", StoredType::u64},   {"I64", StoredType::i64},
    {"F16", StoredType::f16},      {"BF16", StoredType::bf16}, {"F32", StoredType::f32},
    {"F64", StoredType::f64}};

std::string_view name_of(StoredType type) {
  return std::find_if(std::begin(kTypes), std::end(kTypes),
                      [&](const TypeName& t) { return t.type == type; })
      ->name;
}

// Reads the header's JSON event by event: the library's own tree would drop all but the last of
// equal keys, and take memory without bound. It keeps no more depth than the format has.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(Header& header) : header_(header) {}
  const std::string& problem() const { return problem_; }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool number_float(double, const std::string& text) override {
    return unexpected(text.substr(0, kShown));
  }
  bool number_integer(std::int64_t value) override { return unexpected(std::to_string(value)); }
  bool binary(nlohmann::json::binary_t&) override { return unexpected("binary data"); }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ == Place::shape) {
      if (value > kMaxSize) return tensor_problem("a size in its shape overflows 63 bits");
      if (entry_.sizes.size() == kMaxDims)
        return tensor_problem(fmt::format("more than {} dims", kMaxDims));
      entry_.sizes.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (place_ == Place::offsets) {
      if (offsets_ == 2) return tensor_problem("data_offsets has more than two numbers");
      (offsets_++ == 0 ? entry_.begin : entry_.end) = value;
      return true;
    }
    return unexpected(std::to_string(value));
  }

  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      header_.metadata[key_] = std::move(text);
      return true;
    }
    if (place_ == Place::tensor && key_ == "dtype") return read_dtype(text);
    return unexpected("a text");
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::header;
      return true;
    }
    if (place_ != Place::header) return unexpected("an object");
    if (key_ == kMetadataName) {
      place_ = Place::metadata;
    } else {
      place_ = Place::tensor;
      entry_ = Entry{};
      entry_.name = key_;
      offsets_ = 0;
    }
    inner_keys_.clear();
    return true;
  }

  bool key(std::string& text) override {
    if (place_ == Place::header) {
      const std::string objection = text == kMetadataName ? "" : objection_to_name(text);
      if (!objection.empty()) return fail_with("a tensor's name " + objection);
    }
    const std::size_t most = text.starts_with(kAliasPrefix) ? kMaxKey : kMaxName;
    if (place_ == Place::metadata && text.size() > most)
      return fail_with(
          fmt::format("a metadata key has {} bytes, at most {} are allowed", text.size(), most));
    if (place_ == Place::tensor && text != "dtype" && text != "shape" && text != "data_offsets")
      return tensor_problem(fmt::format("unknown key {}", shown(text)));
    auto& keys = place_ == Place::header ? names_ : inner_keys_;
    if (!keys.insert(text).second)
      return fail_with(fmt::format("the key {} comes twice", shown(text)));
    key_ = std::move(text);
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor && !finish_tensor()) return false;
    place_ = place_ == Place::header ? Place::outside : Place::header;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || key_ == "dtype") return unexpected("a list");
    place_ = key_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return fail_with(fmt::format("the header is not valid JSON at byte {}", position));
  }

 private:
  enum class Place { outside, header, metadata, tensor, shape, offsets };

  bool fail_with(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  bool tensor_problem(const std::string& problem) {
    return fail_with(fmt::format("tensor {}: {}", shown(entry_.name), problem));
  }
  bool unexpected(std::string_view what) {
    switch (place_) {
      case Place::outside:  // never: a header begins with {
      case Place::header:
        return fail_with(fmt::format("{} is {} where an object should be", shown(key_), what));
      case Place::metadata:
        return fail_with(
            fmt::format("metadata {} is {} where a text should be", shown(key_), what));
      case Place::tensor:
        return tensor_problem(fmt::format("its {} is {}", key_, what));
      case Place::shape:
      case Place::offsets:
        break;
    }
    return tensor_problem(fmt::format("its {} holds {}, not a whole number from 0", key_, what));
  }

  bool read_dtype(const std::string& text) {
    const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                    [&](const TypeName& t) { return t.name == text; });
    if (type != std::end(kTypes)) {
      entry_.type = type->type;
      return true;
    }
    const bool eight_bits = text.starts_with("F8_");
    return tensor_problem(
        fmt::format("dtype {} is {}", shown(text),
                    eight_bits ? "not supported; store it as F16 or F32" : "unknown"));
  }

  bool finish_tensor() {
    for (const char* needed : {"dtype", "shape", "data_offsets"}) {
      if (!inner_keys_.contains(needed))
        return tensor_problem(fmt::format("its {} is missing", needed));
    }
    if (offsets_ != 2) return tensor_problem("data_offsets has fewer than two numbers");
    header_.entries.push_back(std::move(entry_));
    return true;
  }

  Header& header_;
  Place place_ = Place::outside;
  std::string key_, problem_;
  Entry entry_;
  int offsets_ = 0;
  std::unordered_set<std::string> names_, inner_keys_;
};

// Bytes that the sizes and the type ask for, unless they overflow.
std::optional<std::uint64_t> bytes_needed(const Entry& entry) {
  std::int64_t nonzero = 1;  // strides multiply the sizes around a 0 as well
  bool is_empty = false;
  for (const std::int64_t size : entry.sizes) {
    if (__builtin_mul_overflow(nonzero, std::max<std::int64_t>(size, 1), &nonzero)) return {};
    is_empty = is_empty || size == 0;
  }
  std::int64_t bytes = 0;
  if (!is_empty && __builtin_mul_overflow(nonzero, size_of(entry.type), &bytes)) return {};
  return static_cast<std::uint64_t>(bytes);
}

// The tensors must fill the data without gap or overlap.
void check_layout(const std::string& path, const Header& header, std::uint64_t data_bytes) {
  std::vector<const Entry*> in_order;
  for (const Entry& entry : header.entries) in_order.push_back(&entry);
  std::stable_sort(in_order.begin(), in_order.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t end = 0;
  for (const Entry* entry : in_order) {
    require<IoError>(entry->begin == end && entry->end >= entry->begin,
                     "{}: tensor {}: its data_offsets [{}, {}] leave a gap or overlap; the tensor "
                     "before ends at {}",
                     path, shown(entry->name), entry->begin, entry->end, end);
    const auto bytes = bytes_needed(*entry);
    require<IoError>(bytes.has_value(), "{}: tensor {}: the bytes of shape {} overflow 63 bits",
                     path, shown(entry->name), entry->sizes);
    require<IoError>(*bytes == entry->end - entry->begin,
                     "{}: tensor {}: {} {} needs {} bytes, data_offsets [{}, {}] give {}", path,
                     shown(entry->name), name_of(entry->type), entry->sizes, *bytes, entry->begin,
                     entry->end, entry->end - entry->begin);
    end = entry->end;
  }
  require<IoError>(
      end == data_bytes,
      "{}: {} bytes of data behind the header, but the tensors take {}; the file is {}", path,
      data_bytes, end, end > data_bytes ? "cut short" : "too long");
}

}  // namespace

std::string objection_to_name(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kMaxName)
    return fmt::format("has {} bytes, at most {} are allowed", name.size(), kMaxName);
  if (!is_utf8(name)) return "is not UTF-8";
  if (name.find('\0') != std::string_view::npos) return "holds a NUL";
  if (name == kMetadataName) return fmt::format("is {}, which means something else", name);
  return {};
}

std::string checksum_text(std::uint32_t sum) { return fmt::format("{:08x}", sum); }

std::uint32_t checksum(std::uint32_t sum, const void* data, std::size_t bytes) {
  return static_cast<std::uint32_t>(crc32_z(sum, static_cast<const Bytef*>(data), bytes));
}

std::uint32_t header_checksum(std::string_view header) {
  const std::uint64_t length = header.size();
  const std::size_t place = kHeaderSumStart.size();
  std::uint32_t sum = checksum(0, &length, sizeof length);
  sum = checksum(sum, header.data(), place);
  sum = checksum(sum, kNoSum.data(), kNoSum.size());
  const std::string_view rest = header.substr(place + kNoSum.size());
  return checksum(sum, rest.data(), rest.size());
}

std::string header_text(const Header& header) {
  std::string text(kHeaderSumStart);
  text += fmt::format("{}\"", kNoSum);
  for (const auto& [key, value] : header.metadata) {
    text += fmt::format(",{}:{}", json_string(key), json_string(value));
  }
  text += "}";
  for (const Entry& entry : header.entries) {
    text +=
        fmt::format(R"(,{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                    json_string(entry.name), name_of(entry.type),
                    fmt::join(entry.sizes.begin(), entry.sizes.end(), ","), entry.begin, entry.end);
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  text.replace(kHeaderSumStart.size(), kNoSum.size(), checksum_text(header_checksum(text)));
  return text;
}

Header parse_header(const std::string& path, std::string_view text, std::uint64_t data_bytes) {
  const std::size_t invalid = find_invalid_utf8(text);
  require<IoError>(invalid == text.size(),
                   "{}: not a safetensors file: byte {} of its header is not UTF-8", path, invalid);
  require<IoError>(text.starts_with('{'),
                   "{}: not a safetensors file: its header does not start with {{", path);
  // The JSON library takes a NUL for the end and ignores what follows.
  require<IoError>(text.find('\0') == std::string_view::npos, "{}: its header holds a NUL byte",
                   path);
  Header header;
  HeaderReader reader(header);
  const bool whole = parse_json(text, reader);
  require<IoError>(whole, "{}: {}", path, reader.problem());
  check_layout(path, header, data_bytes);
  return header;
}

}  // namespace retrace::safetensors

fmt::format_context::iterator fmt::formatter<retrace::safetensors::Shown>::format(
    retrace::safetensors::Shown shown, fmt::format_context& context) const {
  using namespace retrace;
  return fmt::format_to(context.out(), "{}{}",
                        json_string(utf8_prefix(shown.text, safetensors::kShown)),
                        shown.text.size() > safetensors::kShown ? "..." : "");
}
