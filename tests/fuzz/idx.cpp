// IDX, the format of MNIST: refused with a message, or the same tensor every time; as the images
// of a model that takes 2 x 2 pixels; and as the name of a part of a folder.

#include <retrace/data/files.h>
#include <retrace/data/idx.h>
#include <retrace/tests/files.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

namespace {

// A folder with the images and labels of a task, of which one of the two is what comes in.
struct Folder {
  explicit Folder(bool has_images) {
    const std::string other =
        has_images ? std::string("\0\0\x08\x01\0\0\0\x02\x03\x07", 10)
                   : std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\xff", 18);
    folder.put(has_images ? "train-labels-idx1-ubyte" : "train-images-idx3-ubyte", other);
    std::filesystem::create_symlink(
        file.path(), folder / (has_images ? "train-images-idx3-ubyte" : "train-labels-idx1-ubyte"));
  }
  fuzz::MemoryFile file;
  testing::TemporaryFolder folder;
};

struct Parts {
  explicit Parts(std::initializer_list<std::string> parts) {
    for (const std::string& part : parts) {
      folder.put(part + "-images-idx3-ubyte",
                 std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x01\0\0\0\x01\x2a", 17));
      folder.put(part + "-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x01\x03", 9));
    }
  }
  // Whether it has a part of this name, or one that need not be named.
  bool has(const std::string& part) const {
    return fuzz::accepts(folder.path(), [&] { data::load_idx(folder.path(), {.part = part}); });
  }
  testing::TemporaryFolder folder;
};

void choose_part(std::string_view input) {
  static const Parts one({"a"}), two({"a", "b"});
  const std::string part(input.substr(0, input.find('\n')));
  fuzz::expect(one.has(part) == (part == "a" || part.empty()), "the only part need not be named");
  fuzz::expect(two.has(part) == (part == "a" || part == "b"), "a part of several must be");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::InputFormat images = {.image = {2, 2}};
  fuzz::accepts(path, [&] { images.read(path); });
  static Folder folders[] = {Folder(true), Folder(false)};
  if (const std::size_t turn = fuzz::turn_of(data, size) % 8; turn < 2) {
    Folder& task = folders[turn];
    task.file.put(fuzz::text_of(data, size));
    fuzz::accepts(task.folder.path(), [&] {
      const data::TensorDataset rows = data::load_idx(task.folder.path());
      fuzz::expect(rows.size() == 2, "there are as many rows as in the other file");
    });
  }
  if (size < 16) choose_part(fuzz::text_of(data, size));
  Tensor read;
  if (!fuzz::accepts(path, [&] { read = data::read_idx(path); })) return 0;
  const bool packed = size > 1 && data[0] == 0x1f;
  if (!packed) fuzz::expect_no_more_than(size, read.numel());
  fuzz::expect(fuzz::same_bits(read, data::read_idx(path)), "a file reads the same twice");
  static fuzz::KeptFile kept;
  if (fuzz::accepts<ValueError>("write_idx: ", [&] { data::write_idx(kept.path(), read); }))
    fuzz::expect(fuzz::same_bits(read, data::read_idx(kept.path())), "a tensor is kept");
  return 0;
}
