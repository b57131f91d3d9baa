#pragma once

// For .cpp files: JSON by nlohmann's library. Its parser and its printer are a second and a half of
// compiling for every file that has them; here they are compiled once.

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace retrace {

/// As nlohmann::json::parse; and a parse_error for what is nested deeper than 128, or goes on
/// behind a NUL, and an IoError for two members of one name in an object.
nlohmann::json parse_json(std::string_view text);
/// Hands what is read to `reader`, which may stop it: then false. Takes no more memory than the
/// longest text in it. The text must be UTF-8.
bool parse_json(std::string_view text, nlohmann::json_sax<nlohmann::json>& reader);

/// As dump().
std::string json_text(const nlohmann::json& value);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);
/// As much of it as a message can show, in a line.
std::string json_excerpt(const nlohmann::json& value);
/// A text between quotes, escaped.
std::string json_string(std::string_view text);

}  // namespace retrace
