// A packed file, as all readers of data take: never more than the limits allow, the same in
// pieces of any size as at once, and after it is packed again.

#include <retrace/data/gzip.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::UnpackLimits limits = {.bytes = 1 << 17, .free_bytes = 1 << 14};
  std::string whole, pieces;
  const bool sound = fuzz::accepts(path, [&] { whole = data::read_plain_or_gzip(path, limits); });
  const bool sound_in_pieces = fuzz::accepts(path, [&] {
    data::FileReader reader(path, limits);
    while (reader.read(pieces, 1 + 7 * pieces.size() % 97)) continue;
  });
  fuzz::expect(sound == sound_in_pieces, "a file is sound at once and in pieces");
  fuzz::expect(whole.size() <= limits.bytes, "the limit holds");
  if (!sound) return 0;
  fuzz::expect(whole == pieces, "pieces make the whole");
  if (fuzz::turn_of(data, size) % 4 != 0) return 0;  // packing takes longer than all the rest
  static fuzz::KeptFile kept;
  fuzz::accepted([&] { data::write_gzip(kept.path(), whole); });
  fuzz::expect(data::read_plain_or_gzip(kept.path()) == whole, "what is packed unpacks");
  return 0;
}
