#include <retrace/tensor/json.h>

namespace retrace {
namespace {

constexpr int kMostDepth = 128;

[[noreturn]] void refuse(std::size_t byte, const char* why) {
  throw nlohmann::json::parse_error::create(101, byte, why, nullptr);
}

// The library parses without recursion, but copies, compares and prints by it what is nested; and
// it takes a NUL for the end and ignores what follows.
void check_nesting(std::string_view text) {
  int depth = 0;
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_quoted) {
      if (c == '"') is_quoted = false;
      if (c == '\\') ++i;
      continue;
    }
    if (c == '"') is_quoted = true;
    if (c == '\0') refuse(i + 1, "a NUL");
    if ((c == '[' || c == '{') && ++depth > kMostDepth) refuse(i + 1, "nested too deep");
    if (c == ']' || c == '}') --depth;
  }
}

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  check_nesting(text);
  return nlohmann::json::parse(text.begin(), text.end());
}

bool parse_json(std::string_view text, nlohmann::json_sax<nlohmann::json>& reader) {
  return nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
}

std::string json_text(const nlohmann::json& value) { return value.dump(); }

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent);
}

std::string json_excerpt(const nlohmann::json& value) {
  constexpr std::size_t kMost = 60;
  std::string text = json_text(value);
  if (text.size() <= kMost) return text;
  std::size_t end = kMost;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not within a character
  return text.substr(0, end) + "...";
}

std::string json_string(std::string_view text) { return nlohmann::json(text).dump(); }

}  // namespace retrace
