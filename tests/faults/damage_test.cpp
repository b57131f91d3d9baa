// Every way to damage a checkpoint of 4 KiB a little.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/train/checkpoint.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

constexpr std::size_t kBytes = 4096;

/// A checkpoint of exactly `bytes`, of tensors of every type, with tied ones.
std::string checkpoint_of(std::size_t bytes) {
  const TemporaryFolder temporary;
  const train::CheckpointFolder folder(temporary.path());
  const Tensor weight = arange(96, kFloat32).reshape({8, 12});
  const auto contents = [&](std::int64_t more) {
    folder.save(7,
                {{"model.weight", weight},
                 {"model.tied", weight},
                 {"model.mask", tensor({true, false, true})},
                 {"optimizer.step", tensor(std::int64_t{7})},
                 {"optimizer.momentum", zeros({20}, kFloat64)},
                 {"optimizer.none", zeros({0, 3})},
                 {"random.bytes", ones({more}, kBool)}},
                {{"note", "of a test"}});
    return contents_of(folder.checkpoint_path(7));
  };
  const std::size_t least = contents(1000).size();
  // The length of the header may change with the digits of what is in it.
  for (std::int64_t more = static_cast<std::int64_t>(1000 + bytes - least) - 64;; ++more) {
    std::string whole = contents(more);
    if (whole.size() == bytes) return whole;
    REQUIRE(whole.size() < bytes);
  }
}

/// A file that is damaged where it lies.
class Damaged {
 public:
  explicit Damaged(const std::string& whole)
      : path_(folder_.put("checkpoint", whole)), file_(::open(path_.c_str(), O_WRONLY)) {}
  Damaged(const Damaged&) = delete;
  Damaged& operator=(const Damaged&) = delete;
  ~Damaged() { ::close(file_); }

  void write(std::size_t offset, std::string_view bytes) const {
    REQUIRE(::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
            static_cast<ssize_t>(bytes.size()));
  }
  void cut(std::size_t bytes) const { REQUIRE(::ftruncate(file_, static_cast<off_t>(bytes)) == 0); }

  /// Why it is not loaded; "" when it is.
  std::string refusal() const {
    return message_of<IoError>([&] { load_safetensors_file(path_); });
  }
  /// It is refused by name, in one line.
  bool is_refused() const {
    const std::string message = refusal();
    return message.starts_with(path_ + ": ") && message.find('\n') == std::string::npos;
  }

 private:
  TemporaryFolder folder_;
  std::string path_;
  int file_;
};

}  // namespace

TEST_CASE("every bit of a checkpoint, every length, every exchange of blocks") {
  const std::string whole = checkpoint_of(kBytes);
  std::uint64_t header = 0;
  std::memcpy(&header, whole.data(), sizeof header);
  const std::size_t data = 8 + header;
  REQUIRE(data < kBytes - 1000);
  const Damaged file(whole);
  REQUIRE(file.refusal().empty());

  int bits = 0, naming_tensor = 0;
  for (std::size_t i = 0; i < kBytes; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      const char changed = static_cast<char>(whole[i] ^ (1 << bit));
      file.write(i, {&changed, 1});
      const bool refused = file.is_refused();
      CHECK_MESSAGE(refused, "bit " << bit << " of byte " << i << ": " << file.refusal());
      bits += refused;
      naming_tensor += i >= data && says(file.refusal(), ": tensor \"");
    }
    file.write(i, {&whole[i], 1});
  }
  CHECK(naming_tensor == static_cast<int>(kBytes - data) * 8);

  int lengths = 0;
  for (std::size_t size = kBytes; size-- > 0;) {
    file.cut(size);
    lengths += file.is_refused();
  }
  CHECK(lengths == kBytes);
  file.write(0, whole);
  int longer = 0;
  for (std::size_t more = 1; more <= kBytes; ++more) {
    file.write(kBytes, std::string(more, more % 2 == 0 ? '\0' : ' '));
    longer += file.is_refused();
  }
  CHECK(longer == kBytes);
  file.cut(kBytes);

  int swaps = 0, refused_swaps = 0;
  for (const std::size_t block : {64u, 512u}) {
    for (std::size_t a = 0; a < kBytes; a += block) {
      for (std::size_t b = a + block; b < kBytes; b += block) {
        const std::string_view first(&whole[a], block), second(&whole[b], block);
        if (first == second) continue;
        file.write(a, second);
        file.write(b, first);
        const bool refused = file.is_refused();
        CHECK_MESSAGE(refused, "blocks at " << a << " and " << b);
        refused_swaps += refused;
        ++swaps;
        file.write(a, first);
        file.write(b, second);
      }
    }
  }
  CHECK(file.refusal().empty());
  figure("R34", "a checkpoint of 4 KiB damaged",
         of(bits, static_cast<std::int64_t>(kBytes) * 8) + " flipped bits refused, " +
             of(lengths, kBytes) + " shorter and " + of(longer, kBytes) + " longer files, " +
             of(refused_swaps, swaps) + " exchanged blocks, each by name",
         bits == static_cast<int>(kBytes) * 8 && lengths == kBytes && longer == kBytes &&
             refused_swaps == swaps);
}
