#include <retrace/catalogue/declarations.h>
#include <retrace/tensor/check.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

namespace fs = std::filesystem;

namespace retrace::catalogue {
namespace {

void append(std::string& text, std::string_view line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  while (line.ends_with(' ')) line.remove_suffix(1);
  if (line.empty()) return;
  if (!text.empty()) text += ' ';
  text += line;
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == ' ') text.pop_back();
  text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

// Where the gradient begins: at "Gradient:", or at the first "dx = " of any input.
std::size_t gradient_at(const std::string& comment) {
  const std::size_t word = comment.find("Gradient:");
  if (word != std::string::npos) return word;
  static const std::regex derivative(R"((^|[ ,])d\w+(\([^)]*\))? = )");
  std::smatch match;
  if (!std::regex_search(comment, match, derivative)) return std::string::npos;
  return static_cast<std::size_t>(match.position() + match.length(1));
}

// A sentence ends in a full stop before a space or at the end; "d. h." there are none of.
std::size_t end_of_sentence(const std::string& text, std::size_t from) {
  for (std::size_t i = from; i < text.size(); ++i) {
    if (text[i] == '.' && (i + 1 == text.size() || text[i + 1] == ' ') &&
        (i == 0 || text[i - 1] != '.'))
      return i;
  }
  return text.size();
}

std::string after(const std::string& text, std::string_view word) {
  const std::size_t at = text.find(word);
  return at == std::string::npos ? std::string() : trimmed(text.substr(at + word.size()));
}

bool declares(const std::string& line, std::string& name) {
  static const std::regex declaration(
      R"(^(?:inline |constexpr )*(?:Tensor&?|TensorPair|std::vector<Tensor>|bool|double|[A-Z]\w+) (\w+)\()");
  std::smatch match;
  if (!std::regex_search(line, match, declaration) || match[1] == "operator") return false;
  name = match[1];
  return true;
}

// Where ; or { stands outside of all parentheses: within them it belongs to a default, "= {}".
std::size_t end_of_signature(const std::string& text) {
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (depth == 0 && (text[i] == ';' || text[i] == '{')) return i;
  }
  return std::string::npos;
}

void read_header(const fs::path& path, const std::string& header, std::vector<Declaration>& all) {
  std::ifstream in(path);
  std::string top, comment, line, name;
  bool at_top = true, fresh = false;
  while (std::getline(in, line)) {
    if (line.starts_with("namespace")) {
      at_top = false;
      if (top.find("For .cpp files") != std::string::npos) return;
    }
    if (at_top) {
      if (line.starts_with("//")) append(top, line.substr(2));
      continue;
    }
    if (line.starts_with("///")) {
      if (!fresh) comment.clear();
      fresh = true;
      append(comment, line.substr(3));
      continue;
    }
    fresh = false;
    if (line.empty()) comment.clear();
    if (!declares(line, name)) continue;
    std::string signature = line;
    while (end_of_signature(signature) == std::string::npos && std::getline(in, line))
      append(signature, line);
    signature = trimmed(signature.substr(0, end_of_signature(signature)));
    if (std::none_of(all.begin(), all.end(), [&](const Declaration& d) { return d.name == name; }))
      all.push_back({name, signature, comment, header, top});
  }
}

}  // namespace

std::string Declaration::summary() const {
  const std::size_t end = std::min({gradient_at(comment), comment.find("Errors:"),
                                    comment.find("Error:"), comment.find("Source:")});
  return trimmed(comment.substr(0, end));
}

std::string Declaration::gradient() const {
  const std::size_t begin = gradient_at(comment);
  if (begin == std::string::npos) return {};
  constexpr std::string_view kWord = "Gradient:";
  const std::string text = comment.substr(0, end_of_sentence(comment, begin));
  const std::size_t skip = comment.compare(begin, kWord.size(), kWord) == 0 ? kWord.size() : 0;
  return trimmed(text.substr(begin + skip));
}

std::string Declaration::source() const {
  const std::string own = after(comment, "Source:");
  return own.empty() ? after(top, "Source:") : own;
}

std::vector<Declaration> declarations(const std::string& root) {
  std::vector<Declaration> all;
  for (const char* folder : {"autograd/ops", "losses"}) {
    const fs::path path = fs::path(root) / folder;
    require<IoError>(fs::is_directory(path),
                     "declarations: {} has no folder {}; give the root of the headers", root,
                     folder);
    std::vector<fs::path> headers;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.path().extension() == ".h") headers.push_back(entry.path());
    std::sort(headers.begin(), headers.end());
    for (const fs::path& header : headers)
      read_header(header, header.lexically_relative(root).generic_string(), all);
  }
  return all;
}

}  // namespace retrace::catalogue
