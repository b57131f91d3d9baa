#pragma once

// Conversations and preferences, a JSON object to a line, plain or gzip. Blank lines are left out,
// line ends may be CRLF, fields that are not named here are not looked at. Every error is an
// IoError "PATH:LINE: what is wrong; what to do".

#include <string>
#include <vector>

#include <retrace/data/gzip.h>

namespace retrace::data {

/// A piece of a conversation: what is given, or a response that a model learns to give.
struct TextPart {
  std::string text;
  bool response = false;
};

/// Put together, the parts are the text.
using Conversation = std::vector<TextPart>;

/// Each line is one of
///
///     {"prompt": "2 + 2 =", "completion": " 4"}
///     {"messages": [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]}
///
/// A completion is the response to its prompt, both as they are. Messages become the text
/// "\n\nUser: 2 + 2?\n\nAssistant: 4", a system's "\n\nSystem: ...", in which " 4", with its space,
/// is a response; so is every further message of the assistant.
///
/// Errors: no JSON object; a field that is missing, empty or no text; an unknown role; no message
/// of the assistant; a file without lines.
std::vector<Conversation> read_conversations(const std::string& path,
                                             const UnpackLimits& limits = {});

/// Two ways to go on after a prompt, of which one is preferred.
struct Preference {
  std::string prompt, chosen, rejected;
  double margin = 0;  ///< by how much, if that is known; see losses::RewardLossOptions
};

/// Each line has "chosen", "rejected", and "prompt" or not; each a text, or a list of messages,
/// which becomes a text as above. A "margin", a number of at least 0, may stand with them. Three
/// texts are taken as they are. Otherwise the two dialogues (with the prompt before both) begin
/// alike; the prompt is what they have in common, up to and with the last "\n\nAssistant:" in it.
///
/// Errors: as above; a margin below 0; chosen and rejected that are equal, have no "\n\nAssistant:"
/// in common, or of which one does not go on after it.
std::vector<Preference> read_preferences(const std::string& path, const UnpackLimits& limits = {});

}  // namespace retrace::data
