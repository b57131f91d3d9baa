#include <doctest/doctest.h>

#include <retrace/data/gzip.h>
#include <retrace/data/text.h>
#include <retrace/tensor/error.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

std::string refusal(const std::string& path, const data::UnpackLimits& limits = {}) {
  const std::string message = message_of<IoError>([&] { data::read_plain_or_gzip(path, limits); });
  CHECK(message.starts_with(path + ": "));
  return message;
}

// Text that does not pack well.
std::string noise(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

}  // namespace

TEST_CASE("gzip files are told by their first bytes, not by their names") {
  const TemporaryFolder folder;
  for (const std::string& contents :
       {std::string(), std::string("text\n"), std::string(1'000'000, 'a'), noise(700'000)}) {
    data::write_gzip(folder / "packed", contents);
    CHECK(data::read_plain_or_gzip(folder / "packed") == contents);
    folder.put("plain.gz", contents);
    CHECK(data::read_plain_or_gzip(folder / "plain.gz") == contents);
  }
  CHECK(folder.files() == 2);
  data::write_gzip(folder / "again", noise(700'000));
  CHECK(contents_of(folder / "again") == contents_of(folder / "packed"));
}

TEST_CASE("several members are one text") {
  const TemporaryFolder folder;
  data::write_gzip(folder / "a", "one ");
  data::write_gzip(folder / "b", noise(100'000));
  const std::string both =
      contents_of(folder / "a") + contents_of(folder / "b") + contents_of(folder / "a");
  CHECK(data::read_plain_or_gzip(folder.put("both", both)) == "one " + noise(100'000) + "one ");
  CHECK(says(refusal(folder.put("more", both + "tail")), "something else follows"));
}

TEST_CASE("damaged and cut gzip files are refused") {
  const TemporaryFolder folder;
  data::write_gzip(folder / "good", noise(3000) + std::string(3000, 'x'));
  const std::string good = contents_of(folder / "good");
  for (std::size_t size = 2; size < good.size(); ++size) {
    const std::string path = folder.put("cut", good.substr(0, size));
    REQUIRE(says(message_of<IoError>([&] { data::read_plain_or_gzip(path); }), "cut short"));
  }
  for (const std::size_t place : {good.size() - 1, good.size() - 6, good.size() / 2}) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 1);
    CHECK(says(refusal(folder.put("bad", bad)), "damaged gzip file"));
  }
  CHECK(says(refusal(folder / "none"), "No such file"));
}

TEST_CASE("a bomb is refused before it fills the memory") {
  const TemporaryFolder folder;
  data::write_gzip(folder / "bomb", std::string(40 << 20, '\0'));
  CHECK(says(refusal(folder / "bomb"), "more than 200 times"));
  CHECK(data::read_plain_or_gzip(folder / "bomb", {.ratio = 2000}).size() == 40 << 20);
  CHECK(says(refusal(folder / "bomb", {.bytes = 1 << 20, .ratio = 2000}), "limit of 1048576"));
}

TEST_CASE("texts") {
  const TemporaryFolder folder;
  const auto text_refusal = [&](const std::string& contents) {
    return message_of<IoError>([&] { data::read_text(folder.put("t", contents)); });
  };
  CHECK(data::read_text(folder.put("t", "\xef\xbb\xbfgr\xc3\xbc\xc3\x9f\r\n")) ==
        "gr\xc3\xbc\xc3\x9f\r\n");
  data::write_gzip(folder / "t.gz", "packed");
  CHECK(data::read_text(folder / "t.gz") == "packed");
  CHECK(text_refusal("") == folder / "t" + ": is empty");
  CHECK(says(text_refusal("a\nb\nc\xff"), "/t:3: byte 0xff is not UTF-8"));
  CHECK(says(text_refusal(std::string("\xff\xfe"
                                      "a\0",
                                      4)),
             "UTF-16"));
}
