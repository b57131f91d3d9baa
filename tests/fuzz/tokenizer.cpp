// vocab.json, and behind a NUL merges.txt: refused with the name of the file, or a tokenizer that
// gives back what it encodes, and can be kept.

#include <array>
#include <filesystem>
#include <numeric>

#include <retrace/data/tokenizer.h>
#include <retrace/tests/files.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

namespace {

// A folder with links to files in memory.
struct Folder {
  explicit Folder(bool with_merges) {
    std::filesystem::create_symlink(vocabulary.path(), folder / "vocab.json");
    if (with_merges) std::filesystem::create_symlink(merges.path(), folder / "merges.txt");
  }
  fuzz::MemoryFile vocabulary, merges;
  testing::TemporaryFolder folder;
};

void check(const data::Tokenizer& tokenizer) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(tokenizer.size()));
  std::iota(ids.begin(), ids.end(), 0);
  const std::string all = tokenizer.decode(ids);
  fuzz::expect(data::tokenizer_kind(name_of(tokenizer.kind())) == tokenizer.kind(),
               "a kind has a name");
  const bool any_text = tokenizer.kind() != data::TokenizerKind::character;
  for (const std::string& text : {all, std::string("the \xff\n \u00e9t\u00e9 \0", 14)}) {
    const bool encoded = fuzz::accepts<ValueError>("", [&] {
      fuzz::expect(tokenizer.decode(tokenizer.encode(text)) == text, "texts come back");
    });
    fuzz::expect(encoded || !any_text, "a tokenizer of bytes takes any text");
  }
  const std::string json = tokenizer.to_json();
  fuzz::expect(fuzz::accepted([&] { return data::Tokenizer::from_json(json); }).to_json() == json,
               "a tokenizer is kept");
}

// What was loaded, with a special token and in files again.
void change_and_keep(data::Tokenizer tokenizer, std::string_view input) {
  const std::string special(input.substr(std::min(input.size(), input.find_first_of("<[")), 9));
  const std::int64_t size = tokenizer.size();
  const bool added = fuzz::accepts<ValueError>("tokenizer: ", [&] {
    fuzz::expect(tokenizer.add_special(special) == size, "a special token comes last");
  });
  fuzz::expect(tokenizer.size() == size + (added ? 1 : 0), "a refused token changes nothing");
  fuzz::expect(!added || tokenizer.find(special) == size, "a special token is found");
  static testing::TemporaryFolder folder;
  fuzz::accepted([&] { tokenizer.save(folder.path()); });
  const auto again = fuzz::accepted([&] { return data::Tokenizer::load(folder.path()); });
  fuzz::expect(again.to_json() == tokenizer.to_json(), "a tokenizer's files are read again");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Folder characters(false), pairs(true);
  const std::string_view input = fuzz::text_of(data, size);
  const std::size_t end = input.find('\0');
  Folder& files = end == std::string_view::npos ? characters : pairs;
  files.vocabulary.put(input.substr(0, end));
  files.merges.put(end == std::string_view::npos ? "" : input.substr(end + 1));
  const std::string path = files.folder.path();
  fuzz::accepts(path, [&] {
    const data::Tokenizer tokenizer = data::Tokenizer::load(path);
    check(tokenizer);
    if (fuzz::turn_of(data, size) % 8 == 0) change_and_keep(tokenizer, input);
  });
  return 0;
}
