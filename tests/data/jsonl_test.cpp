#include <doctest/doctest.h>

#include <retrace/data/jsonl.h>
#include <retrace/tensor/error.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

std::vector<data::Conversation> conversations(const std::string& contents) {
  const TemporaryFolder folder;
  return data::read_conversations(folder.put("c.jsonl", contents));
}

std::vector<data::Preference> preferences(const std::string& contents) {
  const TemporaryFolder folder;
  return data::read_preferences(folder.put("p.jsonl", contents));
}

// The message from the file's name on.
template <class Read>
std::string refusal(Read&& read, const std::string& contents) {
  const TemporaryFolder folder;
  const std::string path = folder.put("x.jsonl", contents);
  const std::string message = message_of<IoError>([&] { read(path); });
  CHECK(message.starts_with(path + ":"));
  return message.substr(std::min(message.size(), path.size() - 7));
}

std::string conversation_refusal(const std::string& contents) {
  return refusal([](const std::string& path) { data::read_conversations(path); }, contents);
}

std::string preference_refusal(const std::string& contents) {
  return refusal([](const std::string& path) { data::read_preferences(path); }, contents);
}

}  // namespace

TEST_CASE("jsonl: a prompt and its completion are taken as they are") {
  const auto rows = conversations(
      "\xef\xbb\xbf{\"prompt\": \"2 + 2 =\", \"completion\": \" 4\", \"source\": null}\r\n\r\n \t\n"
      "{\"completion\":\"\\u00e9\\n\",\"prompt\":\"語\"}");
  REQUIRE(rows.size() == 2);
  REQUIRE(rows[0].size() == 2);
  CHECK(rows[0][0].text == "2 + 2 =");
  CHECK_FALSE(rows[0][0].response);
  CHECK(rows[0][1].text == " 4");
  CHECK(rows[0][1].response);
  CHECK(rows[1][0].text == "語");
  CHECK(rows[1][1].text == "é\n");
}

TEST_CASE("jsonl: messages become turns, the assistant's are responses") {
  const auto rows = conversations(
      R"({"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"},)"
      R"( {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Bye"},)"
      R"( {"content": "So long", "role": "assistant", "name": "x"}, {"role": "user", "content": "."}]})"
      "\n");
  REQUIRE(rows.size() == 1);
  const data::Conversation& parts = rows[0];
  REQUIRE(parts.size() == 5);
  CHECK(parts[0].text == "\n\nSystem: Be short.\n\nUser: Hi\n\nAssistant:");
  CHECK(parts[1].text == " Yes?");
  CHECK(parts[2].text == "\n\nUser: Bye\n\nAssistant:");
  CHECK(parts[3].text == " So long");
  CHECK(parts[4].text == "\n\nUser: .");
  for (std::size_t i = 0; i < 5; ++i) CHECK(parts[i].response == (i % 2 == 1));
  // Two messages of the assistant, one after the other.
  const auto twice = conversations(
      R"({"messages": [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]})");
  REQUIRE(twice[0].size() == 4);
  CHECK(twice[0][2].text == "\n\nAssistant:");
  CHECK(twice[0][3].response);
}

TEST_CASE("jsonl: conversations that make no sense are refused, by line") {
  const std::string good = "{\"prompt\": \"a\", \"completion\": \"b\"}\n\n";
  CHECK(conversation_refusal("") == "x.jsonl: is empty");
  CHECK(conversation_refusal("\n \r\n") == "x.jsonl: has only blank lines");
  CHECK(conversation_refusal(good + "{\"prompt\": oops}") ==
        "x.jsonl:3: is not JSON from its byte 12 on; put one object on a line");
  CHECK(says(conversation_refusal(good + "{\n}"), "x.jsonl:3: is not JSON"));
  CHECK(says(conversation_refusal(good + "[1]"),
             "x.jsonl:3: is not {\"field\": ...}, but of type array"));
  CHECK(conversation_refusal("{\"prompt\": 1e999}") == "x.jsonl:1: has a number that is too large");
  CHECK(conversation_refusal(R"({"prompt": "a", "completion": "b", "\u0070rompt": "c"})") ==
        "x.jsonl:1: \"prompt\" comes twice in one object");
  CHECK(says(conversation_refusal(R"({"messages": [{"role": "user", "role": "assistant"}]})"),
             "\"role\" comes twice"));
  CHECK(says(conversation_refusal(R"({"prompt": "\ud800", "completion": "b"})"), "is not JSON"));
  CHECK(says(conversation_refusal(good + "\xff"), "x.jsonl:3: byte 0xff is not UTF-8"));
  CHECK(conversation_refusal(good + R"({"prompt": "a", "answer": "b"})") ==
        "x.jsonl:3: there is no \"completion\"; its fields are \"answer\", \"prompt\"");
  CHECK(says(conversation_refusal("{}"), "there is no \"prompt\"; its fields are none"));
  CHECK(conversation_refusal(R"({"prompt": 3, "completion": "b"})") ==
        "x.jsonl:1: \"prompt\" is of type number; it must be a text");
  CHECK(conversation_refusal(R"({"prompt": "a", "completion": ""})") ==
        "x.jsonl:1: \"completion\" is empty; leave the line out");
  for (const char* messages : {"[]", "{}", "\"text\"", "null"}) {
    CHECK(says(conversation_refusal(std::string("{\"messages\": ") + messages + "}"),
               "\"messages\" is no list of messages; it must be [{\"role\": ..."));
  }
  CHECK(says(conversation_refusal(R"({"messages": ["hi"]})"), "a message is of type string"));
  CHECK(says(conversation_refusal(R"({"messages": [{"content": "x"}]})"), "there is no \"role\""));
  CHECK(says(conversation_refusal(R"({"messages": [{"role": "user", "content": null}]})"),
             "\"content\" is of type null"));
  CHECK(conversation_refusal(R"({"messages": [{"role": "robot", "content": "x"}]})") ==
        "x.jsonl:1: the role \"robot\" is not known; there are system, user and assistant");
  CHECK(says(conversation_refusal(R"({"messages": [{"role": "user", "content": "x"}]})"),
             "no message is of the assistant; there is nothing to learn"));
  for (const char* other : {"prompt", "completion"})
    CHECK(says(conversation_refusal(std::string(R"({"messages": [], ")") + other + R"(": "a"})"),
               std::string("has \"messages\" and \"") + other + "\"; give one of them"));
  const std::string deep(1'000'000, '[');
  CHECK(says(conversation_refusal(deep), "x.jsonl:1: is not JSON"));
  CHECK(says(conversation_refusal(deep + std::string(1'000'000, ']')),
             "is not JSON from its byte 129 on"));
}

TEST_CASE("jsonl: three texts are a preference as they are") {
  const std::string line = R"({"prompt": "Q:", "chosen": " yes", "rejected": " yesterday"})";
  const TemporaryFolder folder;
  data::write_gzip(folder / "p.jsonl.gz", line + "\r\n" + line);
  const auto rows = data::read_preferences(folder / "p.jsonl.gz");
  REQUIRE(rows.size() == 2);
  CHECK(rows[1].prompt == "Q:");
  CHECK(rows[1].chosen == " yes");
  CHECK(rows[1].rejected == " yesterday");
}

TEST_CASE("jsonl: two dialogues have their beginning in common") {
  const auto rows = preferences(
      R"({"chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: dear", )"
      R"("rejected": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: deer\n\nHuman: e"})"
      "\n"
      R"({"chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], )"
      R"("rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]})"
      "\n"
      R"({"prompt": [{"role": "user", "content": "a"}], )"
      R"("chosen": [{"role": "assistant", "content": "b"}], )"
      R"("rejected": [{"role": "assistant", "content": "bc"}]})");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].prompt == "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:");
  CHECK(rows[0].chosen == " dear");
  CHECK(rows[0].rejected == " deer\n\nHuman: e");
  for (const std::size_t i : {1, 2}) {
    CHECK(rows[i].prompt == "\n\nUser: a\n\nAssistant:");
    CHECK(rows[i].chosen == " b");
  }
  CHECK(rows[1].rejected == " c");
  CHECK(rows[2].rejected == " bc");
}

TEST_CASE("jsonl: preferences that make no sense are refused, by line") {
  CHECK(preference_refusal("{\"chosen\": \"a\"}") ==
        "x.jsonl:1: there is no \"rejected\"; its fields are \"chosen\"");
  CHECK(says(preference_refusal(R"({"rejected": "a", "prompt": "b"})"), "there is no \"chosen\""));
  CHECK(says(preference_refusal(R"({"chosen": "", "rejected": "b"})"), "\"chosen\" is empty"));
  CHECK(says(preference_refusal(R"({"prompt": "", "chosen": "a", "rejected": "b"})"),
             "\"prompt\" is empty"));
  CHECK(says(preference_refusal(R"({"prompt": 1, "chosen": "a", "rejected": "b"})"),
             "\"prompt\" is no list of messages"));
  CHECK(preference_refusal(R"({"prompt": "p", "chosen": "a", "rejected": "a"})") ==
        "x.jsonl:1: \"chosen\" and \"rejected\" are equal; leave the line out");
  CHECK(
      preference_refusal(R"({"chosen": "a", "rejected": "b"})") ==
      "x.jsonl:1: \"chosen\" and \"rejected\" have no turn \"\\n\\nAssistant:\" in common; give a "
      "\"prompt\"");
  CHECK(says(preference_refusal(R"({"chosen": "\n\nAssistant: a", "rejected": "\n\nAssistant:"})"),
             "\"chosen\" or \"rejected\" is empty after what they have in common"));
  CHECK(
      preferences(R"({"prompt": "p", "chosen": "a", "rejected": "b", "margin": 1.5})")[0].margin ==
      1.5);
  CHECK(preference_refusal(R"({"prompt": "p", "chosen": "a", "rejected": "b", "margin": -1})") ==
        "x.jsonl:1: \"margin\" is -1; it must be a number of at least 0 that float32 can hold");
  CHECK(
      says(preference_refusal(R"({"prompt": "p", "chosen": "a", "rejected": "b", "margin": 1e39})"),
           "\"margin\" is 1e+39"));
}
