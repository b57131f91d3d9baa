// A model's file: refused with a message, or the same tensors every time, none of them larger than
// the file; and the metadata alone are those read with the tensors.

#include <retrace/tensor/safetensors.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  SafetensorsFile read;
  if (!fuzz::accepts(path, [&] { read = load_safetensors_file(path); })) return 0;
  for (const auto& [name, tensor] : read.tensors) fuzz::expect_no_more_than(size, tensor.numel());
  fuzz::expect(load_safetensors_metadata(path) == read.metadata, "metadata come alone, too");
  const StateDict again = load_safetensors(path);
  for (const auto& [name, tensor] : read.tensors)
    fuzz::expect(fuzz::same_bits(tensor, again.at(name)), "a file reads the same twice");
  return 0;
}
