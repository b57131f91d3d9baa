#pragma once

// The header of a safetensors file: what save and load agree on. For safetensors*.cpp.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <retrace/tensor/safetensors.h>
#include <retrace/tensor/shape.h>
#include <retrace/tensor/stored_type.h>

namespace retrace::safetensors {

inline constexpr std::uint64_t kMaxHeader = 100'000'000;  // bytes, as in the reference
inline constexpr std::string_view kMetadataName = "__metadata__";

// Metadata that Retrace adds. The header's own checksum comes first and at a fixed place, and
// counts as zeros in the sum; it covers the length before the header and all the rest, the sums of
// the tensors' bytes included.
inline constexpr std::string_view kReservedPrefix = "retrace.";
inline constexpr std::string_view kHeaderSumKey = "retrace.header";
inline constexpr std::string_view kTensorSumsKey = "retrace.checksums";  // hex, in order of offset
inline constexpr std::string_view kAliasPrefix = "retrace.alias:";       // + name: the stored name
inline constexpr std::size_t kMaxName = 65'536;                          // bytes
inline constexpr std::size_t kMaxKey = kMaxName + kAliasPrefix.size();   // of metadata
inline constexpr std::string_view kHeaderSumStart = R"({"__metadata__":{"retrace.header":")";
inline constexpr std::string_view kNoSum = "00000000";

struct Entry {
  std::string name;
  StoredType type{};
  Shape sizes;
  std::uint64_t begin = 0, end = 0;  // in the data behind the header
};

struct Header {
  std::vector<Entry> entries;  // as they come in the header
  Metadata metadata;           // Retrace's own included
};

/// Why a tensor cannot have this name; empty when it can.
std::string objection_to_name(std::string_view name);
/// A name or another text of the header, in UTF-8, as a message shows it: between quotes, escaped,
/// and no more than its beginning. Made when it is written: most are never.
struct Shown {
  std::string_view text;
};
inline Shown shown(std::string_view text) { return {text}; }

/// Eight hex digits.
std::string checksum_text(std::uint32_t sum);
/// Of the eight bytes of length and the header, the header's own sum counted as zeros.
std::uint32_t header_checksum(std::string_view header);
std::uint32_t checksum(std::uint32_t sum, const void* data, std::size_t bytes);

/// JSON as text; names are valid UTF-8.
std::string header_text(const Header& header);

/// IoError in the name of `path` for anything that is not a header whose tensors lie without gap
/// or overlap in `data_bytes` bytes.
Header parse_header(const std::string& path, std::string_view text, std::uint64_t data_bytes);

}  // namespace retrace::safetensors

template <>
struct fmt::formatter<retrace::safetensors::Shown> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(retrace::safetensors::Shown shown,
                                       fmt::format_context& context) const;
};
