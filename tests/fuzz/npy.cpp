// An array of NumPy's: refused with a message, or the same tensor every time, and when
// it is written again.

#include <retrace/tensor/npy.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  Tensor read;
  if (!fuzz::accepts(path, [&] { read = load_npy(path); })) return 0;
  fuzz::expect_no_more_than(size, read.numel());
  fuzz::expect(read.is_contiguous(), "an array is row-major");
  fuzz::expect(fuzz::same_bits(read, load_npy(path)), "a file reads the same twice");
  static fuzz::KeptFile kept;
  fuzz::accepted([&] { save_npy(kept.path(), read); });
  fuzz::expect(fuzz::same_bits(read, load_npy(kept.path())), "an array is kept");
  return 0;
}
