// A packed file, as all readers of data take: never more than the limits allow, and the same in
// pieces of any size as at once.

#include <retrace/data/gzip.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::UnpackLimits limits = {.bytes = 1 << 20, .free_bytes = 1 << 16};
  std::string whole, pieces;
  const bool sound = fuzz::accepts(path, [&] { whole = data::read_plain_or_gzip(path, limits); });
  const bool sound_in_pieces = fuzz::accepts(path, [&] {
    data::FileReader reader(path, limits);
    while (reader.read(pieces, 1 + pieces.size() % 7)) continue;
  });
  fuzz::expect(sound == sound_in_pieces, "a file is sound at once and in pieces");
  fuzz::expect(whole.size() <= limits.bytes, "the limit holds");
  if (sound) fuzz::expect(whole == pieces, "pieces make the whole");
  return 0;
}
