// What reading a file takes, in bytes.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tensor/npy.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/tests/heap/heap.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

// A tensor is a few hundred bytes beside its numbers, and an entry of the header while it is read.
constexpr double kMiB = 1 << 20, kTensor = 512;

struct Reading {
  double worst = 0;  // of what is allowed
  std::int64_t files = 0, within = 0, refused = 0;

  // Reading may take twice the file and MiB, and twice what its tensors are in memory beyond that.
  template <class Read>
  void measure(const std::string& path, const std::string& what, Read read, double tensors = 0,
               double numbers = 0) {
    const double size = static_cast<double>(std::filesystem::file_size(path));
    const std::size_t before = heap::bytes();
    heap::reset_peak();
    try {
      read(path);
    } catch (const Error&) {
      ++refused;
    }
    const double used = static_cast<double>(heap::peak() - before);
    const double allowed = 2 * (size + numbers + tensors * kTensor) + kMiB;
    CHECK_MESSAGE(used <= allowed,
                  what << " of " << size << " bytes takes " << used << " of " << allowed);
    worst = std::max(worst, (used - kMiB) / (allowed - kMiB));
    ++files;
    within += used <= allowed;
  }

  // `all`: whether any others are within, too.
  void report(const char* what, const std::string& others = "", bool all = true) const {
    figure("R36", what,
           fmt::format("{} files, {:.2f} of it at most", of(within, files), std::max(worst, 0.0)) +
               others,
           files > 0 && within == files && all);
  }
};

std::string file_of(const std::string& header, std::size_t data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\0');
}

std::string one(const char* dtype, const std::string& shape, std::uint64_t bytes) {
  return fmt::format(R"({{"a":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", dtype, shape,
                     bytes);
}

void load(const std::string& path) { load_safetensors(path); }

// A file as other programs write it, with each byte of its header and some of the others changed:
// no checksum of ours refuses it before its header is believed.
Reading changed_files_of_others(const TemporaryFolder& folder) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"half":{"dtype":"BF16","shape":[100,9],)"
      R"("data_offsets":[200000,201800]},"mask":{"dtype":"BOOL","shape":[400],)"
      R"("data_offsets":[201808,202208]},"n":{"dtype":"I64","shape":[],)"
      R"("data_offsets":[201800,201808]},"w":{"dtype":"F32","shape":[250,200],)"
      R"("data_offsets":[0,200000]}})";
  const std::string whole = file_of(header, 202208), path = folder.put("others", whole);
  Reading reading;
  reading.measure(path, "a file of others", load);
  CHECK(reading.refused == 0);
  const auto put = [&](std::size_t place, char byte) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(place)).put(byte);
  };
  for (std::size_t i = 0; i < whole.size(); i += i < 8 + header.size() ? 1 : 9973) {
    std::string bytes = "0123456789\xff";
    for (int bit = 0; bit < 8; ++bit) bytes += static_cast<char>(whole[i] ^ (1 << bit));
    for (const char byte : bytes) {
      if (byte == whole[i]) continue;
      put(i, byte);
      reading.measure(path, fmt::format("another byte at {} in a file of others", i), load);
    }
    put(i, whole[i]);
  }
  CHECK(reading.refused > 0);
  CHECK(reading.refused < reading.files - 1);
  return reading;
}

}  // namespace

TEST_CASE("reading takes no more than twice the file and a MiB") {
  const TemporaryFolder folder;
  Reading reading;
  for (const std::int64_t rows : {1, 100, 100'000}) {
    save_safetensors(folder / "ours", {{"w", zeros({rows, 30})},
                                       {"long", zeros({rows}, kInt64)},
                                       {"mask", zeros({rows}, kBool)}});
    reading.measure(folder / "ours", "a file of ours", load);
  }
  // Ours with a byte changed, at every place.
  save_safetensors(folder / "ours", {{"w", zeros({30, 30})}, {"mask", zeros({400}, kBool)}});
  const std::string whole = contents_of(folder / "ours");
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char byte : {'9', '\xff', '\0'}) {
      std::string changed = whole;
      changed[i] = byte;
      reading.measure(folder.put("changed", changed), "a damaged file", load);
    }
  }
  // Files that promise more than they hold, and headers without end.
  const std::string large(3 << 20, 'a');
  for (const std::string& contents :
       {std::string("\0\xe1\xf5\x05\0\0\0\0", 8),
        std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8),
        file_of(one("F32", "1099511627776", std::uint64_t{1} << 42), 16),
        file_of(one("F64", "4", 32), 16),
        file_of(one("U8", "4294967296", std::uint64_t{1} << 32), 16),
        file_of(std::string(3 << 20, '['), 0), file_of(std::string(3 << 20, '{'), 0),
        file_of("{\"" + large, 0), file_of("{\"" + large + "\":{}}", 0),
        file_of("{\"a\":\"" + large + "\"}", 0), file_of("{\"a\":{\"" + large + "\":1}}", 0),
        file_of("{\"a\":{\"dtype\":\"" + large + "\"}}", 0),
        file_of("{\"a\":{\"shape\":[" + std::string(3 << 20, '1'), 0),
        file_of("{\"__metadata__\":{\"k\":\"" + large + "\"}}", 0),
        file_of("{\"__metadata__\":{\"k\":\"" + large + "\"},\"a\":1}", 0),
        file_of("{\"__metadata__\":{\"" + large + "\":\"v\"}}", 0)})
    reading.measure(folder.put("promise", contents), contents.substr(8, 20), load);
  for (const char* shape : {"(1099511627776,)", "(4294967296, 4)"}) {
    std::string header =
        fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': {}, }}", shape);
    header.resize(118, ' ');
    const std::string npy = std::string("\x93NUMPY\x01\0\x76\0", 10) + header;
    reading.measure(folder.put("npy", npy), "an npy file",
                    [](const std::string& path) { load_npy(path); });
  }
  const Reading others = changed_files_of_others(folder);
  reading.report("reading safetensors and npy takes at most 2 x the file + 1 MiB",
                 fmt::format("; {} files without a checksum, a byte changed, {} of them read",
                             of(others.within, others.files), others.files - others.refused),
                 others.within == others.files);
}

TEST_CASE("what is larger in memory than in its file takes no more than twice both") {
  const TemporaryFolder folder;
  Reading reading;
  for (const char* dtype : {"U8", "I8", "BOOL", "F16", "BF16"}) {
    const bool is_half = std::string(dtype).ends_with("F16"), is_bool = *dtype == 'B' && !is_half;
    const std::size_t bytes = is_half ? 8'000'000 : 4'000'000;
    reading.measure(folder.put("wide", file_of(one(dtype, "4000000", bytes), bytes)), dtype, load,
                    1,
                    4e6 * (is_half   ? 4
                           : is_bool ? 1
                                     : 8));
  }
  for (const bool broken : {false, true}) {
    std::string header = "{";
    for (int i = 0; i < 50'000; ++i)
      header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})",
                            i == 0 ? "" : ",", i);
    reading.measure(folder.put("many", file_of(header + (broken ? "" : "}"), 0)), "50,000 tensors",
                    load, 50'000);
  }
  reading.report(
      "and of narrow numbers or 50,000 tensors 2 x (the file + the tensors, 512 bytes each)");
}

TEST_CASE("tables, images and texts take no more than twice the file and what they hold") {
  const TemporaryFolder folder;
  Reading reading;
  constexpr int kRows = 200'000, kColumns = 10;
  for (const bool texts : {false, true}) {
    std::string table;
    for (int row = 0; row < kRows; ++row)
      for (int column = 0; column < kColumns; ++column)
        table += {static_cast<char>((texts ? 'a' : '0') + (row + column) % 10),
                  column + 1 < kColumns ? ',' : '\n'};
    const double cells = kRows * (kColumns * (texts ? sizeof(std::string) : sizeof(double)) + 8.0);
    const auto read = [](const std::string& path) { data::read_csv(path, {.header = false}); };
    reading.measure(folder.put("table.csv", table), "a table", read, 0, cells);
    table += "1,2\n";
    reading.measure(folder.put("broken.csv", table), "a table with a short row", read, 0, cells);
    reading.measure(folder.put("text.txt", table), "a text",
                    [](const std::string& path) { data::read_text(path); });
  }
  std::string images("\0\0\x08\x03\0\0\x10\0\0\0\0\x1c\0\0\0\x1c", 16);
  images.resize(images.size() + 4096 * 28 * 28);
  const auto read_images = [](const std::string& path) { data::read_idx(path); };
  const double bytes = static_cast<double>(data::read_idx(folder.put("images", images)).numel()) *
                       static_cast<double>(size_of(data::read_idx(folder / "images").dtype()));
  reading.measure(folder / "images", "images", read_images, 0, bytes);
  images[4] = '\x7f';  // half of all memory that can be addressed
  reading.measure(folder.put("promise", images), "images that are not there", read_images);
  reading.report("reading tables, images and texts 2 x (the file + what they hold) + 1 MiB");
}

// The tree is made of values of 16 bytes, with a block of their own for texts and lists; growing
// lists are there twice.
TEST_CASE("JSON takes no more than 48 times its text, whatever it is made of") {
  const TemporaryFolder folder;
  Reading reading;
  for (const char* part : {"[],", "{},", "0,", "\"\",", "null,", R"({"a":0},)", R"([[[]]],)"}) {
    std::string list;
    while (list.size() < 2 << 20) list += part;
    list.back() = ']';
    const auto measure = [&](const std::string& text, auto read) {
      const std::string path = folder.put("json", text);
      reading.measure(path, part, read, 0, 23 * static_cast<double>(text.size()));
    };
    measure(R"({"prompt":"a","completion":"b","other":[)" + list + "}",
            [](const std::string& path) { data::read_conversations(path); });
    measure(R"({"a":[)" + list + "}",
            [](const std::string& path) { data::Tokenizer::from_json(contents_of(path)); });
    measure(R"({"format":"retrace-trace","version":1,"ops":[)" + list + "}",
            [](const std::string& path) { trace::Trace::load(path); });
  }
  std::string vocabulary = R"({"a0":0)";
  for (int i = 1; i < 200'000; ++i) vocabulary += fmt::format(R"(,"a{}":{})", i, i);
  reading.measure(
      folder.put("vocab.json", vocabulary + "}"), "a vocabulary",
      [](const std::string& path) {
        data::Tokenizer::load(std::filesystem::path(path).parent_path().string());
      },
      0, 23 * static_cast<double>(vocabulary.size()));
  reading.report("reading JSON lines, vocabularies, traces 48 x the file + 1 MiB");
}
