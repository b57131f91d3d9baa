// Conversations and preferences, a JSON object to a line: refused with the line, or texts that a
// tokenizer of bytes turns into rows.

#include <retrace/data/jsonl.h>
#include <retrace/data/responses.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::UnpackLimits limits = {.bytes = 1 << 16};
  fuzz::accepts(path, [&] {
    for (const data::Conversation& conversation : data::read_conversations(path, limits))
      for (const data::TextPart& part : conversation)
        fuzz::expect(!part.text.empty(), "no part of a conversation is empty");
  });
  std::vector<data::Preference> preferences;
  if (!fuzz::accepts(path, [&] { preferences = data::read_preferences(path, limits); })) return 0;
  for (const data::Preference& preference : preferences) {
    fuzz::expect(preference.chosen != preference.rejected, "two responses differ");
    fuzz::expect(!preference.chosen.empty() && !preference.rejected.empty(), "none is empty");
    fuzz::expect(preference.margin >= 0, "a margin is not below 0");
  }
  fuzz::accepts<ValueError>("", [&] {
    const data::PreferencePairs pairs =
        data::encode_preferences(data::Tokenizer::bytes(), preferences, {}, 64);
    fuzz::expect(pairs.pairs.size() + pairs.left_out == std::ssize(preferences), "none is lost");
    const data::Responses swapped = data::mispaired(pairs.responses);
    fuzz::expect(swapped.size() == pairs.responses.size(), "each response has a prompt");
    for (std::int64_t row = 0; row < swapped.size(); ++row) swapped.prompt(row);
  });
  return 0;
}
