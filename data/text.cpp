#include <algorithm>

#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/utf8.h>

namespace retrace::data {

std::string as_text(const std::string& path, std::string contents) {
  require<IoError>(!contents.starts_with("\xff\xfe") && !contents.starts_with("\xfe\xff"),
                   "{}: is UTF-16; save it as UTF-8", path);
  const std::size_t invalid = find_invalid_utf8(contents);
  if (invalid != contents.size()) {
    const auto line = 1 + std::count(contents.begin(),
                                     contents.begin() + static_cast<std::ptrdiff_t>(invalid), '\n');
    fail<IoError>("{}:{}: byte {:#04x} is not UTF-8; save the file as UTF-8", path, line,
                  static_cast<unsigned char>(contents[invalid]));
  }
  if (contents.starts_with("\xef\xbb\xbf")) contents.erase(0, 3);
  return contents;
}

std::string read_text(const std::string& path, const UnpackLimits& limits) {
  std::string text = as_text(path, read_plain_or_gzip(path, limits));
  require<IoError>(!text.empty(), "{}: is empty", path);
  return text;
}

}  // namespace retrace::data
