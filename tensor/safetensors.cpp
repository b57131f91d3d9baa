#include <algorithm>
#include <cstring>
#include <span>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tensor/safetensors_header.h>
#include <retrace/tensor/utf8.h>
#include <retrace/tensor/view.h>

namespace retrace {

using namespace safetensors;

namespace {

std::string_view in_hex(std::string_view sums, std::size_t i) {
  return i * 9 + 8 <= sums.size() ? sums.substr(i * 9, 8) : std::string_view();
}

// Saving ----------------------------------------------------------------------------------------

void check_names(const StateDict& tensors, const Metadata& metadata) {
  for (const auto& [name, tensor] : tensors) {
    const std::string objection = objection_to_name(name);
    require<ValueError>(objection.empty(), "save_safetensors: a tensor's name {}; rename it",
                        objection);
    require<ValueError>(tensor.defined(),
                        "save_safetensors: tensor {} is undefined; give it a value first",
                        shown(name));
  }
  for (const auto& [key, value] : metadata) {
    require<ValueError>(is_utf8(key) && is_utf8(value),
                        "save_safetensors: metadata must be UTF-8; convert or encode it");
    require<ValueError>(key.size() <= kMaxName,
                        "save_safetensors: a metadata key has {} bytes, at most {} are allowed; "
                        "put long text into the value",
                        key.size(), kMaxName);
    require<ValueError>(!key.starts_with(kReservedPrefix),
                        "save_safetensors: metadata key {} is reserved; use one that does not "
                        "start with \"{}\"",
                        shown(key), kReservedPrefix);
  }
}

// The same numbers seen the same way: one tensor to whoever reads the file.
bool are_same(const Tensor& a, const Tensor& b) {
  if (a.is_same(b)) return true;
  return a.numel() > 0 && a.get().data == b.get().data && a.dtype() == b.dtype() &&
         a.sizes() == b.sizes() && a.strides() == b.strides();
}

// What a file of these tensors holds: `stored` in the order of the data, row-major.
struct Plan {
  Header header;
  std::vector<Tensor> stored;
};

struct Named {
  std::string_view name;
  Tensor tensor;
};

std::vector<Named> without_aliases(const StateDict& tensors, Metadata& metadata) {
  std::vector<Named> distinct;
  std::multimap<const std::byte*, std::size_t> by_address;
  for (const auto& [name, tensor] : tensors) {
    const auto [first, last] = by_address.equal_range(tensor.get().data);
    const auto twin = std::find_if(first, last, [&, &t = tensor](const auto& candidate) {
      return are_same(distinct[candidate.second].tensor, t);
    });
    if (twin != last) {
      metadata[std::string(kAliasPrefix) + name] = distinct[twin->second].name;
    } else {
      by_address.emplace(tensor.get().data, distinct.size());
      distinct.push_back({name, tensor});
    }
  }
  return distinct;
}

// The reference orders by type, the widest first, then by name.
int rank_of(DType dtype) {
  constexpr int ranks[] = {2, 1, 0, 3};
  return ranks[static_cast<int>(dtype)];
}

Plan plan_of(const StateDict& tensors, const Metadata& metadata) {
  Plan plan;
  plan.header.metadata = metadata;
  plan.header.metadata.emplace("format", "pt");
  std::vector<Named> distinct = without_aliases(tensors, plan.header.metadata);
  std::sort(distinct.begin(), distinct.end(), [](const Named& a, const Named& b) {
    return std::pair(rank_of(a.tensor.dtype()), a.name) <
           std::pair(rank_of(b.tensor.dtype()), b.name);
  });
  std::uint64_t offset = 0;
  std::string sums;
  for (const Named& named : distinct) {
    const Tensor& tensor = plan.stored.emplace_back(as_contiguous(named.tensor));
    const auto bytes = static_cast<std::size_t>(tensor.numel() * size_of(tensor.dtype()));
    plan.header.entries.push_back({std::string(named.name), stored_type_of(tensor.dtype()),
                                   tensor.sizes(), offset, offset + bytes});
    offset += bytes;
    if (!sums.empty()) sums += ' ';
    sums += checksum_text(checksum(0, tensor.get().data, bytes));
  }
  plan.header.metadata.emplace(kTensorSumsKey, sums);
  return plan;
}

}  // namespace

void save_safetensors(const std::string& path, const StateDict& tensors, const Metadata& metadata) {
  check_names(tensors, metadata);
  const Plan plan = plan_of(tensors, metadata);
  const std::string header = header_text(plan.header);
  require<ValueError>(header.size() <= kMaxHeader,
                      "save_safetensors: the header would have {} bytes, at most {} can be loaded; "
                      "save fewer tensors or less metadata",
                      header.size(), kMaxHeader);
  OutputFile file(path);
  const std::uint64_t length = header.size();
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const Tensor& tensor : plan.stored) {
    const auto bytes = static_cast<std::size_t>(tensor.numel() * size_of(tensor.dtype()));
    file.write(std::span<const std::byte>(tensor.get().data, bytes));
  }
  file.commit();
}

// Loading ---------------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t kChunk = 1 << 20;  // bytes read at once

// A file whose header was read and found consistent.
struct OpenFile {
  explicit OpenFile(const std::string& path) : file(path) {
    require<IoError>(file.size() >= 8,
                     "{}: not a safetensors file: {} bytes, shorter than the length of a header",
                     path, file.size());
    std::uint64_t length = 0;
    file.read(0, std::as_writable_bytes(std::span(&length, 1)));
    require<IoError>(length <= kMaxHeader,
                     "{}: not a safetensors file: its header would have {} bytes, more than {}",
                     path, length, kMaxHeader);
    require<IoError>(
        length <= file.size() - 8,
        "{}: its header should have {} bytes, but only {} follow; the file is cut short "
        "or not a safetensors file",
        path, length, file.size() - 8);
    std::string text(length, '\0');
    file.read(8, std::as_writable_bytes(std::span(text)));
    data = 8 + length;
    header = parse_header(path, text, file.size() - data);
    check_own_sum(text);
  }

  // Files from elsewhere have no checksums. One of ours whose first lines were hit still has
  // others.
  void check_own_sum(const std::string& text) {
    const bool ours =
        std::any_of(header.metadata.begin(), header.metadata.end(),
                    [](const auto& item) { return item.first.starts_with(kReservedPrefix); });
    if (!ours) return;
    const auto sum = header.metadata.find(std::string(kHeaderSumKey));
    const bool holds = text.starts_with(kHeaderSumStart) && sum != header.metadata.end() &&
                       text.size() >= kHeaderSumStart.size() + kNoSum.size() &&
                       sum->second == checksum_text(header_checksum(text));
    require<IoError>(holds,
                     "{}: the header does not match its checksum: the file is damaged, or another "
                     "program rewrote it and kept Retrace's metadata (\"{}...\")",
                     file.path(), kReservedPrefix);
    has_sums = true;
  }

  InputFile file;
  Header header;
  std::uint64_t data = 0;  // where the tensors begin
  bool has_sums = false;
};

// Reads one tensor. `sum` is the checksum of its bytes in the file.
Tensor read_tensor(const OpenFile& from, const Entry& entry, std::uint32_t& sum) {
  Tensor tensor = empty(entry.sizes, dtype_for(entry.type));
  const std::uint64_t width = static_cast<std::uint64_t>(size_of(entry.type));
  const std::uint64_t wide = static_cast<std::uint64_t>(size_of(tensor.dtype()));
  const bool unchanged = entry.type == stored_type_of(tensor.dtype()) && tensor.dtype() != kBool;
  const std::uint64_t bytes = entry.end - entry.begin;
  std::vector<std::byte> buffer(unchanged ? 0 : std::min(bytes, kChunk));
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint64_t count = std::min(bytes - done, kChunk);
    std::byte* out = tensor.get().data + done / width * wide;
    std::byte* chunk = unchanged ? out : buffer.data();
    from.file.read(from.data + entry.begin + done, {chunk, count});
    sum = checksum(sum, chunk, count);
    if (!unchanged) {
      const auto elements = static_cast<std::int64_t>(count / width);
      const std::int64_t decoded = decode(entry.type, std::endian::little, chunk, elements, out);
      require<IoError>(decoded == elements, "{}: tensor {}: element {} {}", from.file.path(),
                       shown(entry.name), static_cast<std::int64_t>(done / width) + decoded,
                       tensor.dtype() == kBool ? "is neither true nor false"
                                               : "is above 2^63 - 1, the largest int64");
    }
    done += count;
  }
  return tensor;
}

std::string value_of(const Metadata& metadata, std::string_view key) {
  const auto item = metadata.find(std::string(key));
  return item == metadata.end() ? std::string() : item->second;
}

void restore_aliases(const OpenFile& from, StateDict& tensors) {
  for (const auto& [key, stored] : from.header.metadata) {
    if (!key.starts_with(kAliasPrefix)) continue;
    const std::string name = key.substr(kAliasPrefix.size());
    require<IoError>(
        objection_to_name(name).empty() && !tensors.contains(name) && tensors.contains(stored),
        "{}: metadata {} does not lead from a new name to a tensor of the file", from.file.path(),
        shown(key));
  }
  for (const auto& [key, stored] : from.header.metadata) {
    if (key.starts_with(kAliasPrefix))
      tensors[key.substr(kAliasPrefix.size())] = tensors.at(stored);
  }
}

StateDict read_tensors(const OpenFile& from) {
  StateDict tensors;
  const std::string sums = value_of(from.header.metadata, kTensorSumsKey);
  std::size_t i = 0;
  for (const Entry& entry : from.header.entries) {
    std::uint32_t sum = 0;
    tensors[entry.name] = read_tensor(from, entry, sum);
    require<IoError>(!from.has_sums || in_hex(sums, i++) == checksum_text(sum),
                     "{}: tensor {}: its bytes do not match their checksum; the file is damaged",
                     from.file.path(), shown(entry.name));
  }
  if (from.has_sums) restore_aliases(from, tensors);
  return tensors;
}

Metadata users_metadata(const OpenFile& from) {
  Metadata metadata = from.header.metadata;
  std::erase_if(metadata, [](const auto& item) { return item.first.starts_with(kReservedPrefix); });
  return metadata;
}

}  // namespace

StateDict load_safetensors(const std::string& path) { return read_tensors(OpenFile(path)); }

SafetensorsFile load_safetensors_file(const std::string& path) {
  const OpenFile file(path);
  return {read_tensors(file), users_metadata(file)};
}

std::uint32_t checksum_of(const std::vector<Tensor>& tensors) {
  using safetensors::checksum;
  std::uint32_t sum = 0;
  for (const Tensor& tensor : tensors) {
    const Tensor x = as_contiguous(tensor);
    const std::string head = fmt::format("{} {}", x.dtype(), x.sizes());
    sum = checksum(sum, head.data(), head.size());
    sum = checksum(sum, x.get().data, static_cast<std::size_t>(x.numel() * size_of(x.dtype())));
  }
  return sum;
}

Metadata load_safetensors_metadata(const std::string& path) {
  return users_metadata(OpenFile(path));
}

}  // namespace retrace
