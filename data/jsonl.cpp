#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <retrace/data/jsonl.h>
#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/json.h>

namespace retrace::data {
namespace {

using nlohmann::json;

constexpr std::string_view kAssistant = "assistant", kAssistantTurn = "\n\nAssistant:";
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kTurns = {{
    {"system", "\n\nSystem:"},
    {"user", "\n\nUser:"},
    {kAssistant, kAssistantTurn},
}};

// row = parse(object) for each line. Errors of `parse` do not know of the file.
template <class Row, class Parse>
std::vector<Row> read_lines(const std::string& path, const UnpackLimits& limits, Parse&& parse) {
  const std::string text = read_text(path, limits);
  std::vector<Row> rows;
  std::int64_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    try {
      const json object = parse_json(line);
      require<IoError>(object.is_object(), "is not {{\"field\": ...}}, but of type {}",
                       object.type_name());
      rows.push_back(parse(object));
    } catch (const json::parse_error& error) {
      fail<IoError>("{}:{}: is not JSON from its byte {} on; put one object on a line", path,
                    number, error.byte);
    } catch (const json::exception&) {
      fail<IoError>("{}:{}: has a number that is too large", path, number);
    } catch (const IoError& error) {
      fail<IoError>("{}:{}: {}", path, number, error.what());
    }
  }
  require<IoError>(!rows.empty(), "{}: has only blank lines", path);
  return rows;
}

const json& field(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found != object.end()) return *found;
  std::string names;
  for (const auto& [key, value] : object.items()) names += (names.empty() ? "" : ", ") + shown(key);
  fail<IoError>("there is no \"{}\"; its fields are {}", name,
                names.size() > 200 ? "others"
                : names.empty()    ? "none"
                                   : names);
}

const std::string& text_of(const json& value, const char* name) {
  require<IoError>(value.is_string(), "\"{}\" is of type {}; it must be a text", name,
                   value.type_name());
  const auto& text = value.get_ref<const std::string&>();
  require<IoError>(!text.empty(), "\"{}\" is empty; leave the line out", name);
  return text;
}

// Adds a message; what is given goes on in one part.
void append(const json& message, Conversation& conversation) {
  require<IoError>(message.is_object(),
                   "a message is of type {}; it must be {{\"role\": ..., "
                   "\"content\": ...}}",
                   message.type_name());
  const std::string& role = text_of(field(message, "role"), "role");
  const std::string& content = text_of(field(message, "content"), "content");
  const auto turn = std::find_if(kTurns.begin(), kTurns.end(),
                                 [&](const auto& known) { return known.first == role; });
  if (turn == kTurns.end()) {
    fail<IoError>("the role {} is not known; there are system, user and assistant", shown(role));
  }
  if (conversation.empty() || conversation.back().response) conversation.push_back({});
  conversation.back().text += turn->second;
  if (role == kAssistant) conversation.push_back({"", true});
  conversation.back().text += ' ' + content;
}

Conversation parse_messages(const json& messages, const char* name) {
  require<IoError>(messages.is_array() && !messages.empty(),
                   "\"{}\" is no list of messages; it must be [{{\"role\": ..., \"content\": "
                   "...}}, ...]",
                   name);
  Conversation conversation;
  for (const json& message : messages) append(message, conversation);
  return conversation;
}

Conversation parse_conversation(const json& object) {
  if (!object.contains("messages")) {
    return {{text_of(field(object, "prompt"), "prompt"), false},
            {text_of(field(object, "completion"), "completion"), true}};
  }
  for (const char* other : {"prompt", "completion"})
    require<IoError>(!object.contains(other), "has \"messages\" and \"{}\"; give one of them",
                     other);
  Conversation conversation = parse_messages(object["messages"], "messages");
  const bool has_response = std::any_of(conversation.begin(), conversation.end(),
                                        [](const TextPart& part) { return part.response; });
  require<IoError>(has_response, "no message is of the assistant; there is nothing to learn");
  return conversation;
}

// A text, or messages as one.
std::string parse_dialogue(const json& value, const char* name) {
  if (value.is_string()) return text_of(value, name);
  std::string text;
  for (const TextPart& part : parse_messages(value, name)) text += part.text;
  return text;
}

// The prompt out of what both dialogues have in common.
void divide(Preference& preference) {
  const std::string chosen = preference.prompt + preference.chosen,
                    rejected = preference.prompt + preference.rejected;
  const auto apart = std::mismatch(chosen.begin(), chosen.end(), rejected.begin(), rejected.end());
  const std::string_view common(chosen.data(),
                                static_cast<std::size_t>(apart.first - chosen.begin()));
  const std::size_t turn = common.rfind(kAssistantTurn);
  require<IoError>(turn != std::string_view::npos,
                   "\"chosen\" and \"rejected\" have no turn \"\\n\\nAssistant:\" in common; give "
                   "a \"prompt\"");
  const std::size_t end = turn + kAssistantTurn.size();
  require<IoError>(chosen.size() > end && rejected.size() > end,
                   "\"chosen\" or \"rejected\" is empty after what they have in common; leave the "
                   "line out");
  preference.prompt = chosen.substr(0, end);
  preference.chosen = chosen.substr(end);
  preference.rejected = rejected.substr(end);
}

double parse_margin(const json& object) {
  const auto margin = object.find("margin");
  if (margin == object.end()) return 0;
  require<IoError>(
      margin->is_number() && margin->get<double>() >= 0 && std::isfinite(margin->get<float>()),
      "\"margin\" is {}; it must be a number of at least 0 that float32 can hold",
      json_excerpt(*margin));
  return margin->get<double>();
}

Preference parse_preference(const json& object) {
  const json& chosen = field(object, "chosen");
  const json& rejected = field(object, "rejected");
  const auto prompt = object.find("prompt");
  const bool has_prompt = prompt != object.end();
  Preference result = {has_prompt ? parse_dialogue(*prompt, "prompt") : "",
                       parse_dialogue(chosen, "chosen"), parse_dialogue(rejected, "rejected"),
                       parse_margin(object)};
  require<IoError>(result.chosen != result.rejected,
                   "\"chosen\" and \"rejected\" are equal; leave the line out");
  if (has_prompt && prompt->is_string() && chosen.is_string() && rejected.is_string())
    return result;
  divide(result);
  return result;
}

}  // namespace

std::vector<Conversation> read_conversations(const std::string& path, const UnpackLimits& limits) {
  return read_lines<Conversation>(path, limits, parse_conversation);
}

std::vector<Preference> read_preferences(const std::string& path, const UnpackLimits& limits) {
  return read_lines<Preference>(path, limits, parse_preference);
}

}  // namespace retrace::data
