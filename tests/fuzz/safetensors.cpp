// A model's file: refused with a message, or the same tensors every time, none of them larger than
// the file; the metadata alone are those read with the tensors; and what is written again is read
// the same.

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
  static fuzz::KeptFile kept;
  fuzz::accepted([&] { save_safetensors(kept.path(), read.tensors, read.metadata); });
  const SafetensorsFile back = fuzz::accepted([&] { return load_safetensors_file(kept.path()); });
  read.metadata.emplace("format", "pt");  // which saving adds
  fuzz::expect(back.metadata == read.metadata, "metadata are kept");
  fuzz::expect(back.tensors.size() == read.tensors.size(), "all tensors are kept");
  std::vector<Tensor> before, after;
  for (const auto& [name, tensor] : read.tensors) {
    before.push_back(tensor);
    after.push_back(back.tensors.at(name));
    fuzz::expect(fuzz::same_bits(tensor, after.back()), "a tensor is kept: {}", name);
  }
  fuzz::expect(checksum_of(before) == checksum_of(after), "the same tensors have one checksum");
  return 0;
}
