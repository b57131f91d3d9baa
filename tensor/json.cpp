#include <retrace/tensor/json.h>

namespace retrace {

nlohmann::json parse_json(std::string_view text) {
  return nlohmann::json::parse(text.begin(), text.end());
}

bool parse_json(std::string_view text, nlohmann::json_sax<nlohmann::json>& reader) {
  return nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
}

std::string json_text(const nlohmann::json& value) { return value.dump(); }

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent);
}

std::string json_string(std::string_view text) { return nlohmann::json(text).dump(); }

}  // namespace retrace
