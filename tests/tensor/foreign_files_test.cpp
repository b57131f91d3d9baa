// safetensors files of other programs and for them: built and taken apart here by the words of the
// specification (eight bytes of length, a JSON header, the numbers), and those of
// reference_library/.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

std::string raw(const Tensor& x) {
  return {reinterpret_cast<const char*>(x.get().data),
          static_cast<std::size_t>(x.numel() * size_of(x.dtype()))};
}

std::string file_of(const std::string& header, const std::string& data) {
  return raw(std::vector<std::uint64_t>{header.size()}) + header + data;
}

std::string file_of(const char* dtype, const std::string& shape, const std::string& data) {
  return file_of(
      fmt::format(
          R"({{"__metadata__":{{"format":"pt"}},"x":{{"dtype":"{}","shape":{},"data_offsets":[0,{}]}}}})",
          dtype, shape, data.size()),
      data);
}

struct Counts {
  std::int64_t right = 0, all = 0;
  void add(bool good) {
    right += good;
    ++all;
  }
};

class Files {
 public:
  Tensor load(const char* dtype, const std::string& shape, const std::string& data) const {
    return load_safetensors(folder_.put("foreign", file_of(dtype, shape, data))).at("x");
  }
  bool refuses(const char* dtype, const std::string& data, std::size_t width,
               std::string_view words) const {
    return says(
        message_of<IoError>([&] { load(dtype, fmt::format("[{}]", data.size() / width), data); }),
        words);
  }
  // A file of ours as the specification reads it: dtype, shape and bytes of "x".
  struct Entry {
    std::string dtype, bytes;
    std::vector<std::int64_t> shape;
  };
  Entry saved(const Tensor& x) const {
    save_safetensors(folder_ / "ours", {{"x", x}});
    const std::string file = contents_of(folder_ / "ours");
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    const auto header = nlohmann::json::parse(file.substr(8, length));
    const auto& entry = header.at("x");
    const std::size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    REQUIRE(file[8] == '{');
    REQUIRE(length % 8 == 0);
    REQUIRE(8 + length + end == file.size());
    for (const auto& [key, value] : header.at("__metadata__").items()) REQUIRE(value.is_string());
    return {entry.at("dtype"), file.substr(8 + length + begin, end - begin), entry.at("shape")};
  }

 private:
  TemporaryFolder folder_;
};

// Every value that T has, or the ends of its range, powers of two and random ones.
template <class T>
std::vector<T> values_of() {
  std::vector<T> values;
  if constexpr (sizeof(T) <= 2) {
    for (std::uint32_t bits = 0; bits < 1u << 8 * sizeof(T); ++bits)
      values.push_back(static_cast<T>(bits));
  } else {
    std::mt19937_64 random(1);
    for (int bit = 0; bit < static_cast<int>(8 * sizeof(T)); ++bit) {
      for (const int more : {-1, 0, 1})
        values.push_back(
            static_cast<T>((std::uint64_t{1} << bit) + static_cast<std::uint64_t>(more)));
    }
    for (int i = 0; i < 10'000; ++i) values.push_back(static_cast<T>(random()));
  }
  return values;
}

template <class T>
void read_whole_numbers(const Files& files, const char* dtype, Counts& counts) {
  std::vector<T> values = values_of<T>();
  if constexpr (std::is_same_v<T, std::uint64_t>) {
    for (T& value : values) value &= ~T{0} >> 1;
  }
  const Tensor x = files.load(dtype, fmt::format("[{}]", values.size()), raw(values));
  CHECK(x.dtype() == kInt64);
  const auto* read = x.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    counts.add(read[i] == static_cast<std::int64_t>(values[i]));
}

// By the definition of the format: sign, exponent, fraction.
float value_of(std::uint32_t bits, int exponent_bits, int fraction_bits) {
  const std::uint32_t most = (1u << exponent_bits) - 1;
  const std::uint32_t exponent = bits >> fraction_bits & most;
  const std::uint32_t fraction = bits & ((1u << fraction_bits) - 1);
  const bool minus = (bits >> (exponent_bits + fraction_bits) & 1) != 0;
  const int bias = static_cast<int>(most / 2);
  double size = 0;
  if (exponent == most)
    size = fraction == 0 ? HUGE_VAL : std::nan("");
  else if (exponent == 0)
    size = std::ldexp(fraction, 1 - bias - fraction_bits);
  else
    size = std::ldexp(fraction + (1u << fraction_bits),
                      static_cast<int>(exponent) - bias - fraction_bits);
  return static_cast<float>(minus ? -size : size);
}

void read_halves(const Files& files, const char* dtype, int exponent_bits, int fraction_bits,
                 Counts& counts) {
  const std::vector<std::uint16_t> halves = values_of<std::uint16_t>();
  const Tensor x = files.load(dtype, "[256,256]", raw(halves));
  CHECK(x.dtype() == kFloat32);
  const auto* read = x.data_ptr<float>();
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const float value = value_of(halves[i], exponent_bits, fraction_bits);
    const auto bits = std::bit_cast<std::uint32_t>(read[i]);
    const std::uint32_t fraction = halves[i] & ((1u << fraction_bits) - 1);
    // Of a NaN, its sign and the bits of its fraction.
    counts.add(std::isnan(value) ? std::isnan(read[i]) && bits >> 31 == halves[i] >> 15 &&
                                       (bits & 0x7fffff) == fraction << (23 - fraction_bits)
                                 : bits == std::bit_cast<std::uint32_t>(value));
  }
}

// What is read and what is written of it have the bytes of the file.
template <class T>
void keep_bits(const Files& files, const char* dtype, std::vector<T> values, Counts& counts) {
  const std::string bytes = raw(values);
  const Tensor x = files.load(dtype, fmt::format("[{},1]", values.size()), bytes);
  const Files::Entry entry = files.saved(x);
  const bool same =
      raw(x) == bytes && entry.bytes == bytes && entry.dtype == dtype &&
      entry.shape == std::vector<std::int64_t>{static_cast<std::int64_t>(values.size()), 1};
  CHECK_MESSAGE(same, dtype);
  for (std::size_t i = 0; i < values.size(); ++i) counts.add(same);
}

}  // namespace

TEST_CASE(
    "files of other programs are read with their exact values, and ours by the specification") {
  const Files files;
  Counts read, kept, shapes, refused;

  read_whole_numbers<std::uint8_t>(files, "U8", read);
  read_whole_numbers<std::int8_t>(files, "I8", read);
  read_whole_numbers<std::uint16_t>(files, "U16", read);
  read_whole_numbers<std::int16_t>(files, "I16", read);
  read_whole_numbers<std::uint32_t>(files, "U32", read);
  read_whole_numbers<std::int32_t>(files, "I32", read);
  read_whole_numbers<std::uint64_t>(files, "U64", read);
  read_whole_numbers<std::int64_t>(files, "I64", read);
  read_halves(files, "F16", 5, 10, read);
  read_halves(files, "BF16", 8, 7, read);

  // Any bits are a float: NaNs with their payloads, quiet or not, zeros with their sign.
  keep_bits(files, "F32", values_of<std::uint32_t>(), kept);
  keep_bits(files, "F32",
            std::vector<std::uint32_t>{0x7f800001, 0xffbfffff, 0x7fc12345, 0x80000000}, kept);
  keep_bits(files, "F64", values_of<std::uint64_t>(), kept);
  keep_bits(files, "F64",
            std::vector<std::uint64_t>{0x7ff0000000000001, 0xfff7ffffffffffff, 0x7ff8000000012345,
                                       std::uint64_t{1} << 63},
            kept);
  keep_bits(files, "I64", values_of<std::int64_t>(), kept);
  keep_bits(files, "BOOL", std::vector<std::uint8_t>{0, 1, 1, 0, 1}, kept);

  struct Type {
    const char* name;
    std::size_t width;
    DType dtype;
  };
  for (const Type& type : {Type{"BOOL", 1, kBool}, Type{"U8", 1, kInt64}, Type{"I8", 1, kInt64},
                           Type{"U16", 2, kInt64}, Type{"I16", 2, kInt64}, Type{"U32", 4, kInt64},
                           Type{"I32", 4, kInt64}, Type{"U64", 8, kInt64}, Type{"I64", 8, kInt64},
                           Type{"F16", 2, kFloat32}, Type{"BF16", 2, kFloat32},
                           Type{"F32", 4, kFloat32}, Type{"F64", 8, kFloat64}}) {
    for (const char* shape : {"[]", "[0]", "[0,3]", "[2,0,5]", "[1,1,1,1,1,1,1,1]"}) {
      const std::string data(std::strchr(shape, '0') != nullptr ? 0 : type.width, '\0');
      const Tensor x = files.load(type.name, shape, data);
      const Files::Entry entry = files.saved(x);
      const std::string sizes = nlohmann::json(entry.shape).dump();
      const bool good =
          x.dtype() == type.dtype && sizes == shape && entry.bytes == raw(x) &&
          entry.bytes.size() == (data.empty() ? 0 : static_cast<std::size_t>(size_of(type.dtype)));
      CHECK_MESSAGE(good, type.name << " " << shape);
      shapes.add(good);
    }
  }

  for (const std::uint64_t value :
       {std::uint64_t{1} << 63, (std::uint64_t{1} << 63) + 1, ~std::uint64_t{0}}) {
    for (const std::size_t place : std::initializer_list<std::size_t>{0, 1, 200'000}) {
      std::vector<std::uint64_t> values(200'001, 7);
      values[place] = value;
      refused.add(
          files.refuses("U64", raw(values), 8, fmt::format("element {} is above 2^63 - 1", place)));
    }
  }
  for (std::uint32_t byte = 2; byte < 256; ++byte)
    refused.add(files.refuses("BOOL", {'\1', static_cast<char>(byte)}, 1, "element 1 is neither"));
  for (const char* type : {"F8_E4M3", "F8_E5M2", "C64", "F4", "f32", ""})
    refused.add(files.refuses(type, "12345678", 1, "dtype"));

  for (const Counts& counts : {read, kept, shapes, refused}) CHECK(counts.right == counts.all);
  CHECK(read.all > 250'000);
  figure(
      "R35", "safetensors of other programs, and ours read by the specification",
      fmt::format("{} values of U8 to I64, F16, BF16 exact; {} of F32, F64, I64, BOOL to the bit, "
                  "NaN payloads too, and back; {} empty and 0-d shapes; {} refusals",
                  of(read.right, read.all), of(kept.right, kept.all), of(shapes.right, shapes.all),
                  of(refused.right, refused.all)),
      read.right == read.all && kept.right == kept.all && shapes.right == shapes.all &&
          refused.right == refused.all);
}

namespace {

const std::string kReference = RETRACE_SOURCE_DIR "/tests/tensor/reference_library/";

std::vector<std::uint16_t> some_halves() {
  std::vector<std::uint16_t> halves;
  for (std::uint16_t i = 0; i < 1024; ++i)
    halves.push_back(static_cast<std::uint16_t>(64 * i + i % 64));
  return halves;
}

// Of any bits, NaNs with payloads among them.
StateDict any_bits() {
  const auto made = [](DType dtype, const Shape& sizes, const auto& values) {
    Tensor x = empty(sizes, dtype);
    const std::string bytes = raw(values);
    REQUIRE(bytes.size() == raw(x).size());
    std::memcpy(x.get().data, bytes.data(), bytes.size());
    return x;
  };
  using std::uint32_t, std::uint64_t, std::int64_t;
  constexpr int64_t kOdd = (int64_t{1} << 53) + 1;
  constexpr auto kLeast = std::numeric_limits<int64_t>::min();
  return {{"f32", made(kFloat32, {2, 5},
                       std::vector<uint32_t>{0, 1u << 31, 1, 0x7f7fffff, 0x7f800000, 0xff800000,
                                             0x7fc01234, 0xffabcdef, 0x7f800001, 0x3f800000})},
          {"f64", made(kFloat64, {2, 2, 2},
                       std::vector<uint64_t>{0, uint64_t{1} << 63, 1, 0x7fefffffffffffff,
                                             0x7ff0000000000000, 0x7ff8000000000000,
                                             0x7ff800000badcafe, 0xfff0000000000001})},
          {"i64", made(kInt64, {7}, std::vector<int64_t>{kLeast, -kOdd, -1, 0, 1, kOdd, ~kLeast})},
          {"bool", made(kBool, {2, 3}, std::vector<std::uint8_t>{0, 1, 1, 0, 0, 1})},
          {"scalar", full({}, 2.5)},
          {"empty", zeros({3, 0, 2}, kFloat64)},
          {"\"quoted\", \u00e9, \U0001f600", ones({1})}};
}

// As its program main.rs prints it.
std::string line_of(const std::string& name, const Tensor& x) {
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const char c : raw(x)) digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  const std::map<DType, const char*> names = {
      {kFloat32, "F32"}, {kFloat64, "F64"}, {kInt64, "I64"}, {kBool, "BOOL"}};
  std::vector<std::int64_t> sizes(x.sizes().begin(), x.sizes().end());
  return fmt::format("{} {} [{}] {:016x}\n", name, names.at(x.dtype()), fmt::join(sizes, ", "),
                     digest);
}

}  // namespace

TEST_CASE("a file of the reference library has the tensors that it wrote") {
  const SafetensorsFile file = load_safetensors_file(kReference + "theirs.safetensors");
  Counts counts;
  const auto expect = [&](const std::string& name, const Tensor& wanted) {
    REQUIRE(file.tensors.contains(name));
    const Tensor& x = file.tensors.at(name);
    const bool good =
        x.dtype() == wanted.dtype() && x.sizes() == wanted.sizes() && raw(x) == raw(wanted);
    CHECK_MESSAGE(good, name);
    counts.add(good);
  };
  for (const auto& [name, x] : any_bits()) expect(name, x);
  for (const auto& [name, exponent_bits, sizes] :
       {std::tuple("f16", 5, Shape{32, 32}), std::tuple("bf16", 8, Shape{1024})}) {
    std::vector<std::uint32_t> bits;
    for (const std::uint16_t half : some_halves()) {
      const float value = value_of(half, exponent_bits, 15 - exponent_bits);
      bits.push_back(std::bit_cast<std::uint32_t>(value));
      if (!std::isnan(value)) continue;
      // A NaN keeps its sign and its fraction.
      const std::uint32_t sign = half >> 15, fraction = half & ((1u << (15 - exponent_bits)) - 1);
      bits.back() = sign << 31 | 0x7f800000 | fraction << (8 + exponent_bits);
    }
    Tensor x = empty(sizes);
    std::memcpy(x.get().data, bits.data(), bits.size() * 4);
    expect(name, x);
  }
  const Tensor bytes = arange(256);
  expect("u8", bytes.reshape({16, 16}));
  expect("i8", where(bytes < 128, bytes, bytes - 256));
  expect("i16", tensor({-32768, -1, 0, 1, 32767}));
  expect("u16", tensor({0, 32768, 65535}));
  expect("i32", tensor({-2147483648, -1, 0, 1, 2147483647}).reshape({5, 1}));
  expect("u32", tensor({0, 2147483648, 4294967295}));
  expect("u64", tensor({0, 9007199254740993, 9223372036854775807}));
  const Metadata note = {{"a \"note\"\n", "tab\t, \u00e9"}};
  CHECK(file.metadata == note);
  CHECK(file.tensors.size() == static_cast<std::size_t>(counts.all));
  CHECK(says(message_of<IoError>([] { load_safetensors(kReference + "too_large.safetensors"); }),
             "element 0 is above 2^63 - 1"));

  // And back: what it read in a file of ours.
  const TemporaryFolder folder;
  save_safetensors(folder / "ours", any_bits(), note);
  std::set<std::string> lines;
  for (const auto& [name, x] : any_bits()) lines.insert(line_of(name, x));
  const bool is_read =
      contents_of(folder / "ours") == contents_of(kReference + "ours.safetensors") &&
      fmt::format("{}", fmt::join(lines, "")) == contents_of(kReference + "ours.txt");
  CHECK(is_read);
  figure("R35", "the reference library's own files",
         fmt::format("{} of its tensors to the bit, and {} of {} of ours as it reads them",
                     of(counts.right, counts.all), is_read ? lines.size() : 0, lines.size()),
         counts.right == counts.all && is_read);
}
