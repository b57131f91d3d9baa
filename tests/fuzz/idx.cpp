// IDX, the format of MNIST: refused with a message, or the same tensor every time; and as the
// images of a model that takes 2 x 2 pixels.

#include <retrace/data/files.h>
#include <retrace/data/idx.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::InputFormat images = {.image = {2, 2}};
  fuzz::accepts(path, [&] { images.read(path); });
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
