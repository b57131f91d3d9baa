#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

std::string length_of(std::uint64_t n) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(n >> (8 * i) & 255));
  return bytes;
}

// A file as another program would write it.
std::string file_of(const std::string& header, const std::string& data = "") {
  return length_of(header.size()) + header + data;
}

// The header of one tensor "a".
std::string one(const std::string& dtype, const std::string& shape, std::int64_t end) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,)" +
         std::to_string(end) + "]}}";
}

class Files {
 public:
  /// Why a file of these bytes cannot be loaded, without the path that it must begin with.
  std::string refusal(const std::string& bytes) const {
    const std::string path = folder_.put("file", bytes);
    const std::string message = message_of<IoError>([&] { load_safetensors(path); });
    CHECK(message.starts_with(path + ": "));
    return message.substr(std::min(message.size(), path.size() + 2));
  }
  StateDict load(const std::string& bytes) const {
    return load_safetensors(folder_.put("file", bytes));
  }
  std::string saved(const StateDict& state, const Metadata& metadata = {}) const {
    save_safetensors(folder_ / "saved", state, metadata);
    return contents_of(folder_ / "saved");
  }

 private:
  TemporaryFolder folder_;
};

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) {
    const auto raw = std::bit_cast<std::array<char, sizeof(T)>>(value);
    for (const char c : raw) bytes.push_back(c);
  }
  return bytes;
}

}  // namespace

TEST_CASE("what is saved is loaded, to the bit") {
  const TemporaryFolder folder;
  const std::string path = folder / "m.safetensors";
  manual_seed(1);
  StateDict state;
  state["weight"] = randn({3, 4});
  state["deep.name/with .. odd \"signs\"\n\xe2\x82\xac"] = randn({2}, kFloat64);
  state["steps"] = tensor({std::numeric_limits<std::int64_t>::min(), std::int64_t{7}});
  state["mask"] = tensor({{true, false}, {false, true}});
  state["scalar"] = full({}, -0.0);
  state["nothing"] = empty({0, 5});
  state["also nothing"] = empty({2, 0}, kBool);
  state["view"] = state["weight"].t();
  state["every other"] = state["weight"].slice(1, 0, 4, 2);
  state["odd"] = from_vector(std::vector<float>{std::bit_cast<float>(0x7fa00123u),
                                                std::bit_cast<float>(0x00000001u),
                                                -std::numeric_limits<float>::infinity()});
  save_safetensors(path, state, {{"step", "12"}, {"note", "gr\xc3\xbc\xc3\x9f \"x\""}});
  CHECK(folder.files() == 1);

  const SafetensorsFile file = load_safetensors_file(path);
  CHECK(file.tensors.size() == state.size());
  for (const auto& [name, tensor] : state) {
    const Tensor& loaded = file.tensors.at(name);
    CHECK(loaded.sizes() == tensor.sizes());
    CHECK(loaded.dtype() == tensor.dtype());
    if (name != "odd") CHECK(loaded.equal(tensor));
  }
  const auto* odd = file.tensors.at("odd").data_ptr<float>();
  CHECK(std::bit_cast<std::uint32_t>(odd[0]) == 0x7fa00123u);
  CHECK(std::bit_cast<std::uint32_t>(odd[1]) == 1u);
  CHECK(std::signbit(file.tensors.at("scalar").item<float>()));
  const Metadata metadata = {
      {"format", "pt"}, {"step", "12"}, {"note", "gr\xc3\xbc\xc3\x9f \"x\""}};
  CHECK(file.metadata == metadata);
  CHECK(load_safetensors_metadata(path) == metadata);
  // Its own metadata can be saved again, and the same content has the same bytes.
  save_safetensors(folder / "again", file.tensors, file.metadata);
  CHECK(contents_of(folder / "again") == contents_of(path));
}

TEST_CASE("the file is laid out as the reference does: widest type first, then by name") {
  const Files files;
  const StateDict state = {{"b", tensor({true})},
                           {"z", ones({1})},
                           {"y", ones({1}, kInt64)},
                           {"x", ones({1}, kFloat64)},
                           {"a", ones({2, 1}).t()}};
  const std::string bytes = files.saved(state);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) {
    length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  }
  CHECK(length % 8 == 0);
  const std::string header = bytes.substr(8, length);
  CHECK(says(header, R"("format":"pt")"));
  CHECK(says(header, R"("y":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                     R"("x":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},)"
                     R"("a":{"dtype":"F32","shape":[1,2],"data_offsets":[16,24]},)"
                     R"("z":{"dtype":"F32","shape":[1],"data_offsets":[24,28]},)"
                     R"("b":{"dtype":"BOOL","shape":[1],"data_offsets":[28,29]}})"));
  CHECK(bytes.size() == 8 + length + 29);
  CHECK(files.load(files.saved({})).empty());
}

TEST_CASE("files of the reference's own tests load") {
  const Files files;
  CHECK(files.load(file_of("{}      ")).empty());
  const StateDict four =
      files.load(file_of(R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})",
                         bytes_of({0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f})));
  CHECK(four.at("attn.0").equal(arange(6, kFloat32).view({1, 2, 3})));
  const std::string spaced =
      R"({"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}})" + std::string(7, ' ');
  CHECK(spaced.size() == 72);
  CHECK(files.load(file_of(spaced, std::string(24, '\0'))).at("attn0").equal(zeros({1, 1, 2, 3})));
  CHECK(files.load(file_of(one("I32", "[0]", 0))).at("a").numel() == 0);
  CHECK(files.load(file_of(one("F32", "[1099511627776,0]", 0))).at("a").numel() == 0);
  CHECK(files
            .load(file_of(R"({"__metadata__":{"k":"v"},)" + one("I32", "[]", 4).substr(1),
                          std::string("\1\0\0\0", 4)))
            .at("a")
            .equal(tensor(1)));
}

TEST_CASE("types of other programs are read with their exact values") {
  const Files files;
  const auto load = [&](const char* type, const char* shape, const std::string& data) {
    return files.load(file_of(one(type, shape, static_cast<std::int64_t>(data.size())), data))
        .at("a");
  };
  CHECK(load("U8", "[2]", bytes_of<std::uint8_t>({1, 255})).equal(tensor({1, 255})));
  CHECK(load("I8", "[2]", bytes_of<std::int8_t>({-128, 127})).equal(tensor({-128, 127})));
  CHECK(load("U16", "[1]", bytes_of<std::uint16_t>({65535})).equal(tensor({65535})));
  CHECK(load("I16", "[1]", bytes_of<std::int16_t>({-5})).equal(tensor({-5})));
  CHECK(load("U32", "[1]", bytes_of<std::uint32_t>({4294967295u})).equal(tensor({4294967295u})));
  CHECK(load("I32", "[1]", bytes_of<std::int32_t>({-2})).equal(tensor({-2})));
  const auto most = std::numeric_limits<std::int64_t>::max();
  CHECK(load("U64", "[1]", bytes_of<std::uint64_t>({static_cast<std::uint64_t>(most)}))
            .equal(tensor({most})));
  CHECK(
      load("F16", "[2]", bytes_of<std::uint16_t>({0x3c00, 0x0001})).equal(tensor({1.0, 0x1p-24})));
  CHECK(load("BF16", "[1]", bytes_of<std::uint16_t>({0x4049})).equal(tensor({3.140625})));
  CHECK(load("F64", "[1]", bytes_of({0.1})).equal(tensor({0.1}, kFloat64)));
  CHECK(load("BOOL", "[2]", std::string("\1\0", 2)).equal(tensor({true, false})));
  // More than is read at once.
  const std::string many(3'000'001, '\7');
  CHECK(load("U8", "[3000001]", many).equal(full({3'000'001}, 7, kInt64)));

  CHECK(says(files.refusal(file_of(one("U64", "[2]", 16),
                                   bytes_of<std::uint64_t>({1, std::uint64_t{1} << 63}))),
             "tensor \"a\": element 1 is above 2^63 - 1"));
  CHECK(says(files.refusal(
                 file_of(R"({"a\nb":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})", "\1\2")),
             R"(tensor "a\nb": element 1 is neither)"));
  CHECK(
      says(files.refusal(file_of(one("F8_E4M3", "[1]", 1), "x")), "\"F8_E4M3\" is not supported"));
  CHECK(says(files.refusal(file_of(one("C64", "[1]", 8), "12345678")), "\"C64\" is unknown"));
}

TEST_CASE("each way to be broken has its own words") {
  const Files files;
  const std::string data(24, 'x');
  CHECK(says(files.refusal(""), "0 bytes"));
  CHECK(says(files.refusal("1234567"), "7 bytes"));
  CHECK(says(files.refusal("this is not a model"), "more than 100000000"));
  CHECK(says(files.refusal(length_of(100'000'001) + "{}"), "more than 100000000"));
  CHECK(says(files.refusal(length_of(~std::uint64_t{0}) + "{}"), "more than 100000000"));
  CHECK(says(files.refusal(length_of(100'000'000) + "{}"), "only 2 follow"));
  CHECK(says(files.refusal(length_of(0)), "does not start with {"));
  CHECK(says(files.refusal(file_of("{\"\xff\":1}")), "byte 2 of its header is not UTF-8"));
  CHECK(says(files.refusal(file_of(" {}")), "does not start with {"));
  CHECK(says(files.refusal(file_of("\xef\xbb\xbf{}")), "does not start with {"));
  CHECK(says(files.refusal(file_of("[]")), "does not start with {"));
  CHECK(says(files.refusal(file_of("{")), "not valid JSON"));
  CHECK(says(files.refusal(file_of("{}x")), "not valid JSON"));
  CHECK(says(files.refusal(file_of(std::string("{}\0{}", 5))), "NUL"));
  CHECK(says(files.refusal(file_of(R"({"a\u0000b":1})")), "NUL"));
  CHECK(says(files.refusal(file_of(R"({"\ud800":1})")), "not valid JSON"));
  CHECK(says(files.refusal(file_of(R"({"a":1})")), "\"a\" is 1 where an object"));
  CHECK(says(files.refusal(file_of(R"({"a":null})")), "null"));
  CHECK(says(files.refusal(file_of(R"({"":{}})")), "name is empty"));
  CHECK(says(files.refusal(file_of(R"({"a":{}})")), "its dtype is missing"));
  CHECK(says(files.refusal(file_of(R"({"a":{"dtype":"F32","shape":[]}})")),
             "data_offsets is missing"));
  CHECK(says(files.refusal(file_of(R"({"a":{"dtype":"F32","dtype":"F32"}})")),
             "\"dtype\" comes twice"));
  CHECK(says(files.refusal(file_of(R"({"a":{"strides":[1]}})")), "unknown key \"strides\""));
  CHECK(says(files.refusal(file_of(R"({"a":{"dtype":4}})")), "its dtype is 4"));
  CHECK(says(files.refusal(file_of(R"({"a":{"shape":"x"}})")), "its shape is a text"));
  CHECK(says(files.refusal(file_of(R"({"a":{"shape":[[1]]}})")), "shape holds a list"));
  CHECK(says(files.refusal(file_of(R"({"a":{"shape":{}}})")), "its shape is an object"));
  CHECK(says(files.refusal(file_of(R"({"__metadata__":{"k":1}})")), "metadata \"k\" is 1"));
  CHECK(
      says(files.refusal(file_of(R"({"__metadata__":{"k":{}}})")), "metadata \"k\" is an object"));
  CHECK(says(files.refusal(file_of(R"({"__metadata__":{"k":"1","k":"2"}})")), "\"k\" comes twice"));
  CHECK(says(files.refusal(file_of(R"({"__metadata__":{},"__metadata__":{}})")), "comes twice"));
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK(says(files.refusal(file_of("{" + a + "," + a + "}", "1234")), "\"a\" comes twice"));
}

TEST_CASE("sizes and offsets must agree to the last byte") {
  const Files files;
  CHECK(says(files.refusal(file_of(one("F32", "[-1]", 4), "1234")), "holds -1"));
  CHECK(says(files.refusal(file_of(one("F32", "[1.0]", 4), "1234")), "holds 1.0"));
  CHECK(says(files.refusal(file_of(one("F32", "[1e999]", 4), "1234")), "not valid JSON"));
  CHECK(says(files.refusal(file_of(one("F32", "[01]", 4), "1234")), "not valid JSON"));
  CHECK(says(files.refusal(file_of(one("F32", "[9223372036854775808]", 4), "1234")), "overflows"));
  CHECK(says(files.refusal(file_of(one("F32", "[18446744073709551616]", 4), "1234")), "holds 184"));
  CHECK(says(files.refusal(file_of(one("F32", "[1,1,1,1,1,1,1,1,1]", 4), "1234")),
             "more than 8 dims"));
  CHECK(says(files.refusal(file_of(one("F32", "[4294967296,4294967296]", 4), "1234")), "overflow"));
  CHECK(says(files.refusal(file_of(one("F64", "[2305843009213693952]", 4), "1234")), "overflow"));
  CHECK(says(files.refusal(file_of(one("F32", "[4294967296,4294967296,0]", 0))), "overflow"));
  CHECK(says(files.refusal(file_of(one("F32", "[2]", 4), "1234")), "needs 8 bytes"));
  CHECK(says(files.refusal(file_of(one("F32", "[2]", 8), "1234567")), "cut short"));
  CHECK(says(files.refusal(file_of(one("F32", "[2]", 8), "123456789")), "too long"));
  const auto two = [&](const char* first, const char* second) {
    return files.refusal(file_of(std::string(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)") +
                                     first + R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" +
                                     second + "}}",
                                 "1234"));
  };
  CHECK(says(two("[0,2]", "[3,5]"), "gap or overlap"));
  CHECK(says(two("[0,2]", "[1,3]"), "gap or overlap"));
  CHECK(says(two("[1,3]", "[3,5]"), "gap or overlap"));
  CHECK(says(two("[2,0]", "[2,4]"), "gap or overlap"));
  CHECK(says(two("[0,18446744073709551615]", "[2,4]"), "needs 2 bytes"));
  CHECK(says(two("[0]", "[2,4]"), "fewer than two"));
  CHECK(says(two("[0,1,2]", "[2,4]"), "more than two"));
  // The order in the header is free.
  CHECK(files
            .load(file_of(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                          R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                          "\5\6"))
            .at("b")
            .equal(tensor({6})));
}

TEST_CASE("a million brackets are an error, not a crash") {
  const Files files;
  CHECK(says(files.refusal(file_of("{\"a\":" + std::string(1'000'000, '['))), "\"a\" is a list"));
  std::string objects = "{\"__metadata__\":";
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  CHECK(says(files.refusal(file_of(objects)), "metadata \"a\" is an object"));
}

TEST_CASE("names and keys as long as they may be") {
  const Files files;
  const std::string longest(65'536, 'n');
  const Tensor tied = ones({2});
  const StateDict loaded =
      files.load(files.saved({{"a", tied}, {longest, tied}}, {{longest, "v"}}));
  CHECK(loaded.at(longest).is_same(loaded.at("a")));
  CHECK(
      says(files.refusal(file_of("{\"__metadata__\":{\"" + std::string(70'000, 'k') + "\":\"\"}}")),
           "a metadata key has 70000 bytes"));
  CHECK(files.refusal(file_of("{\"a\":{\"" + std::string(70'000, 'k') + "\":1}}")).size() < 200);
}

TEST_CASE("tied tensors are stored once and loaded as one") {
  const Files files;
  const Tensor shared = randn({100, 10});
  StateDict state = {{"embed", shared},
                     {"head", shared},
                     {"detached", shared.detach()},
                     {"turned", shared.t()},
                     {"part", shared.slice(0, 0, 100)},
                     {"apart", shared.clone()}};
  const std::string bytes = files.saved(state);
  CHECK(bytes.size() < 3 * 4000 + 1500);
  const StateDict loaded = files.load(bytes);
  for (const auto& [name, tensor] : state) CHECK(loaded.at(name).equal(tensor));
  CHECK(loaded.at("head").is_same(loaded.at("embed")));
  CHECK(loaded.at("detached").is_same(loaded.at("embed")));
  CHECK_FALSE(loaded.at("apart").is_same(loaded.at("embed")));
  CHECK_FALSE(loaded.at("turned").is_same(loaded.at("embed")));

  // What has no numbers shares none: another program finds each by its name.
  const std::string empty =
      files.saved({{"one", shared.slice(0, 0, 0)}, {"two", shared.slice(0, 0, 0)}});
  for (const char* name : {"\"one\":{", "\"two\":{"}) CHECK(empty.find(name) != std::string::npos);
}

TEST_CASE("every bit that flips, every cut and every addition is noticed") {
  const Files files;
  const std::string bytes = files.saved(
      {{"w", arange(6, kFloat32).view({2, 3})}, {"tied", ones({2})}, {"b", tensor({true, false})}},
      {{"step", "3"}});
  const TemporaryFolder folder;
  int refused = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      refused += !message_of<IoError>([&] { load_safetensors(folder.put("f", changed)); }).empty();
    }
  }
  CHECK(refused == static_cast<int>(bytes.size()) * 8);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE_THROWS_AS(files.load(bytes.substr(0, size)), IoError);
  }
  CHECK_THROWS_AS(files.load(bytes + '\0'), IoError);
  std::string swapped = bytes;
  std::swap_ranges(swapped.end() - 8, swapped.end() - 4, swapped.end() - 12);
  CHECK(says(files.refusal(swapped), "do not match their checksum"));
}

TEST_CASE("saving refuses what could not be loaded, and leaves the old file") {
  const TemporaryFolder folder;
  const std::string path = folder.put("model", "old");
  const auto refusal = [&](const StateDict& state, const Metadata& metadata = {}) {
    const std::string message =
        message_of<ValueError>([&] { save_safetensors(path, state, metadata); });
    CHECK(contents_of(path) == "old");
    CHECK(folder.files() == 1);
    return message;
  };
  const Tensor x = ones({1});
  CHECK(says(refusal({{"", x}}), "is empty"));
  CHECK(says(refusal({{"__metadata__", x}}), "__metadata__"));
  CHECK(says(refusal({{"a\xff", x}}), "not UTF-8"));
  CHECK(says(refusal({{std::string("a\0b", 3), x}}), "NUL"));
  CHECK(says(refusal({{std::string(1 << 20, 'n'), x}}), "1048576 bytes"));
  CHECK(says(refusal({{"a", Tensor()}}), "\"a\" is undefined"));
  CHECK(says(refusal({{"a", x}}, {{"retrace.header", "1"}}), "reserved"));
  CHECK(says(refusal({{"a", x}}, {{"k", "\xff"}}), "UTF-8"));
  CHECK(says(refusal({{"a", x}}, {{std::string(65'537, 'k'), "v"}}), "key has 65537 bytes"));
  CHECK(says(message_of<IoError>([&] { save_safetensors(folder / "no/file", {}); }), "no/file: "));
}

TEST_CASE("what metadata can be read can be saved, and the other way round") {
  const Files files;
  const TemporaryFolder folder;
  const Metadata odd = {
      {"", ""}, {std::string("a\0b", 3), std::string("\0", 1)}, {std::string(65'536, 'k'), "v"}};
  save_safetensors(folder / "odd", {}, odd);
  Metadata expected = odd;
  expected.emplace("format", "pt");
  CHECK(load_safetensors_metadata(folder / "odd") == expected);
  CHECK(
      says(files.refusal(file_of("{\"__metadata__\":{\"" + std::string(65'537, 'k') + "\":\"\"}}")),
           "key has 65537 bytes"));
}

TEST_CASE("another program's change to a file of ours is told from damage") {
  const Files files;
  const std::string header = R"({"__metadata__":{"format":"pt","retrace.checksums":"12345678"},)" +
                             one("U8", "[1]", 1).substr(1);
  CHECK(says(files.refusal(file_of(header, "x")), "another program rewrote it"));
}
