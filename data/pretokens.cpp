#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <memory>

#include <retrace/data/pretokens.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/utf8.h>

namespace retrace::data {
namespace {

// PCRE2's own \s would have U+180E, which is no white space since Unicode 6.3.
constexpr std::string_view kPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+)"
    R"(|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+)";

PCRE2_SPTR bytes_of(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

[[noreturn]] void fail_with(int error) {
  char message[256] = "";
  pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
  fail<ValueError>("tokenizer: cannot cut the text into words: {}", message);
}

using Code = std::unique_ptr<pcre2_code, void (*)(pcre2_code*)>;
using Match = std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)>;

Code compile() {
  int error = 0;
  PCRE2_SIZE place = 0;
  Code code(pcre2_compile(bytes_of(kPattern), kPattern.size(), PCRE2_UTF | PCRE2_ANCHORED, &error,
                          &place, nullptr),
            pcre2_code_free);
  if (!code) fail_with(error);
  // Where that is not to be had, matching is slower, and no different.
  static_cast<void>(pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE));
  return code;
}

const pcre2_code* pattern() {
  static const Code code = compile();
  return code.get();
}

}  // namespace

void for_each_pretoken(std::string_view text, const std::function<void(std::string_view)>& f) {
  const Match match(pcre2_match_data_create(1, nullptr), pcre2_match_data_free);
  require<ValueError>(match != nullptr, "tokenizer: no memory to cut a text into words");
  while (!text.empty()) {
    const std::string_view sound = text.substr(0, find_invalid_utf8(text));
    for (std::size_t begin = 0; begin < sound.size();) {
      const int status = pcre2_match(pattern(), bytes_of(sound), sound.size(), begin,
                                     PCRE2_NO_UTF_CHECK, match.get(), nullptr);
      if (status < 0) fail_with(status);
      const std::size_t end = pcre2_get_ovector_pointer(match.get())[1];
      f(sound.substr(begin, end - begin));
      begin = end;
    }
    text.remove_prefix(sound.size());
    if (text.empty()) break;
    f(text.substr(0, 1));
    text.remove_prefix(1);
  }
}

}  // namespace retrace::data
