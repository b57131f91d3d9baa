#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include <retrace/trace/page/product.h>
#include <retrace/trace/story.h>

namespace retrace::trace::page {

namespace {

constexpr std::string_view kTransposed = "ᵀ";

// Parts between separators that stand in no brackets.
std::vector<std::string_view> split(std::string_view text, std::string_view separator) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '(') ++depth;
    if (text[at] == ')') --depth;
    if (depth != 0 || !text.substr(at).starts_with(separator)) continue;
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
    at = begin - 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// "W" or "Wᵀ" in a product.
struct Word {
  std::string letter;
  bool transposed;
};

// Reads the two factors of texts in which letters, but for these, are plain numbers.
class Reader {
 public:
  explicit Reader(std::vector<std::string> letters) : letters_(std::move(letters)) {}

  // Of "y = α·(a b) + β·c"; empty when it is not such a sum with one product of two.
  std::vector<Word> factors(std::string_view text) const {
    const std::size_t equals = text.find(" = ");
    if (equals == std::string_view::npos) return {};
    std::vector<Word> found;
    for (const std::string_view term : split(text.substr(equals + 3), " + ")) {
      const std::vector<Word> words = this->words(term);
      if (words.empty() || words.size() > 2 || (words.size() == 2 && !found.empty())) return {};
      if (words.size() == 2) found = words;
    }
    return found;
  }

 private:
  bool knows(std::string_view letter) const {
    return std::find(letters_.begin(), letters_.end(), letter) != letters_.end();
  }

  // Of a term without the numbers that scale it; empty when something is neither.
  std::vector<Word> words(std::string_view term) const {
    const std::vector<std::string_view> scaled = split(term, "·");
    for (std::size_t i = 0; i + 1 < scaled.size(); ++i) {
      const std::string_view number = trimmed(scaled[i]);
      if (knows(number) || number.empty() || number.find_first_of(" ()-") != std::string_view::npos)
        return {};
    }
    std::string_view last = trimmed(scaled.back());
    if (last.starts_with('(') && last.ends_with(')')) last = last.substr(1, last.size() - 2);
    std::vector<Word> words;
    for (std::string_view word : split(last, " ")) {
      const bool transposed = word.ends_with(kTransposed);
      if (transposed) word.remove_suffix(kTransposed.size());
      if (!knows(word)) return {};
      words.push_back({std::string(word), transposed});
    }
    return words;
  }

  std::vector<std::string> letters_;
};

// What an op multiplies: two of its inputs. One of a single dim is a row on the left and a column
// on the right, and the result then lacks that dim.
class Multiplying {
 public:
  Multiplying(const Trace& trace, const Node& made) : trace_(trace), made_(made) {
    if (made.op == kNone || trace.ops[made.op].elementwise) return;
    letters_ = letters(trace.ops[made.op], made.inputs.size());
    factors_ = Reader(letters_).factors(trace.ops[made.op].formula);
    if (factors_.empty()) return;
    left_ = index_of(factors_[0].letter);
    right_ = index_of(factors_[1].letter);
  }

  std::optional<Product> forward() const {
    const std::string& formula = made_.op == kNone ? "" : trace_.ops[made_.op].formula;
    return product(factors_, Part::kResult, formula.substr(0, formula.find(' ')));
  }

  std::optional<Product> backward(std::size_t input) const {
    if (factors_.empty() || (input != left_ && input != right_)) return {};
    std::vector<std::string> known = letters_;
    known.emplace_back("g");
    return product(Reader(known).factors(rule_of(trace_.ops[made_.op], input, made_.inputs.size())),
                   input, "d" + letters_[input]);
  }

 private:
  std::size_t index_of(std::string_view letter) const {
    const auto found = std::find(letters_.begin(), letters_.end(), letter);
    return found == letters_.end() ? Part::kResult
                                   : static_cast<std::size_t>(found - letters_.begin());
  }

  bool knows_sizes(std::size_t of) const {
    return of == Part::kResult || (of < made_.inputs.size() && made_.inputs[of] != kNone);
  }
  const Shape& sizes(std::size_t of) const {
    return of == Part::kResult ? made_.sizes : trace_.nodes[made_.inputs[of]].sizes;
  }
  bool is_vector(std::size_t of) const { return sizes(of).size() == 1; }

  // Leading dims are counted from the right, as broadcasting does.
  std::string dims(std::size_t of, char row, char column) const {
    const bool no_row = of != right_ && is_vector(left_);
    const bool no_column = of != left_ && is_vector(right_);
    std::string matrix;
    if (!no_row) matrix += row;
    if (!no_column) matrix += column;
    const Shape& all = sizes(of);
    const auto rank = static_cast<std::size_t>(all.size());
    if (rank < matrix.size()) return "";
    std::string leading;
    for (std::size_t d = 0; d < rank - matrix.size(); ++d) {
      const auto from_right = static_cast<char>(rank - matrix.size() - 1 - d);
      leading += all[static_cast<int>(d)] == 1 ? '.' : static_cast<char>('A' + from_right);
    }
    return leading + matrix;
  }

  std::optional<Product> product(const std::vector<Word>& words, std::size_t result,
                                 const std::string& letter) const {
    if (words.size() != 2 || !knows_sizes(left_) || !knows_sizes(right_)) return {};
    Product product;
    for (std::size_t i = 0; i < 2; ++i) {
      char row = i == 0 ? 'i' : 'k', column = i == 0 ? 'k' : 'j';
      if (words[i].transposed) std::swap(row, column);
      const std::size_t of = index_of(words[i].letter);
      if (of != Part::kResult && of != left_ && of != right_) return {};
      product.factors[i] = {of, words[i].letter, dims(of, row, column)};
    }
    product.result = {result, letter, dims(result, 'i', 'j')};
    if (!is_sound(product)) return {};
    return product;
  }

  // Dims of one letter have one size, and the factors have all that the result has.
  bool is_sound(const Product& product) const {
    std::map<char, std::int64_t> known;
    for (const Part* part : {&product.factors[0], &product.factors[1], &product.result}) {
      const Shape& all = sizes(part->of);
      if (part->dims.size() != static_cast<std::size_t>(all.size())) return false;
      for (std::size_t d = 0; d < part->dims.size(); ++d) {
        const char letter = part->dims[d];
        if (letter == '.') continue;
        if (part == &product.result && !known.contains(letter)) return false;
        const auto size = known.emplace(letter, all[static_cast<int>(d)]).first;
        if (size->second != all[static_cast<int>(d)]) return false;
      }
    }
    return true;
  }

  const Trace& trace_;
  const Node& made_;
  std::vector<std::string> letters_;
  std::vector<Word> factors_;
  std::size_t left_ = Part::kResult, right_ = Part::kResult;
};

}  // namespace

std::optional<Product> product_of(const Trace& trace, const Node& made) {
  return Multiplying(trace, made).forward();
}

std::optional<Product> gradient_product_of(const Trace& trace, const Node& made,
                                           std::size_t input) {
  return Multiplying(trace, made).backward(input);
}

}  // namespace retrace::trace::page
