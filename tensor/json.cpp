#include <retrace/tensor/json.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>
#include <vector>

#include <retrace/tensor/check.h>
#include <retrace/tensor/utf8.h>

namespace retrace {
namespace {

constexpr int kMostDepth = 128;

[[noreturn]] void refuse(std::size_t byte, const char* why) {
  throw nlohmann::json::parse_error::create(101, byte, why, nullptr);
}

// The library parses without recursion, but copies, compares and prints by it what is nested; and
// it takes a NUL for the end and ignores what follows.
void check_nesting(std::string_view text) {
  int depth = 0;
  bool is_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_quoted) {
      if (c == '"') is_quoted = false;
      if (c == '\\') ++i;
      continue;
    }
    if (c == '"') is_quoted = true;
    if (c == '\0') refuse(i + 1, "a NUL");
    if ((c == '[' || c == '{') && ++depth > kMostDepth) refuse(i + 1, "nested too deep");
    if (c == ']' || c == '}') --depth;
  }
}

// What the library's own parse() makes, but that takes the last of two members of one name. (With a
// callback its time is quadratic in the length of a list.)
class Tree final : public nlohmann::json_sax<nlohmann::json> {
 public:
  using Json = nlohmann::json;
  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(std::int64_t value) override { return put(value); }
  bool number_unsigned(std::uint64_t value) override { return put(value); }
  bool number_float(double value, const std::string&) override { return put(value); }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // there is none in a text

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    const auto [member, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(name, nullptr);
    if (!is_new) fail<IoError>("{} comes twice in one object", json_excerpt(name));
    member_ = &member->second;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const Json::exception& error) override {
    if (const auto* syntax = dynamic_cast<const Json::parse_error*>(&error)) throw *syntax;
    throw dynamic_cast<const Json::out_of_range&>(error);
  }

 private:
  // Where the next value belongs gets this one.
  Json& place(Json&& value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return *member_ = std::move(value);
    auto& list = open_.back()->get_ref<Json::array_t&>();
    return list.emplace_back(std::move(value));
  }
  bool put(Json&& value) {
    place(std::move(value));
    return true;
  }
  bool open(Json&& value) {
    open_.push_back(&place(std::move(value)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json root_;
  std::vector<Json*> open_;  // the lists and objects around; what holds one does not grow meanwhile
  Json* member_ = nullptr;   // of the innermost object
};

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  check_nesting(text);
  Tree tree;
  nlohmann::json::sax_parse(text.begin(), text.end(), &tree);
  return tree.take();
}

// Event by event ----------------------------------------------------------------------------------

namespace {

// The library's own sax_parse keeps what it reads twice, and grows both by doubling: eight times
// the text of a long key.
class Events {
 public:
  using Sax = nlohmann::json_sax<nlohmann::json>;
  Events(std::string_view text, Sax& reader) : text_(text), reader_(reader) {}

  bool read() {
    if (!value()) return false;
    while (!open_.empty()) {
      if (!next()) return false;
    }
    skip_space();
    return at_ == text_.size() || wrong();
  }

 private:
  bool wrong() {
    constexpr const char* kWhy = "not JSON";
    return reader_.parse_error(at_ + 1, "",
                               nlohmann::json::parse_error::create(101, at_ + 1, kWhy, nullptr));
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\n\r").find(text_[at_]) != std::string::npos)
      ++at_;
  }
  // The next character that is no space; NUL at the end.
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  // The next element or member of the innermost list or object, or its end.
  bool next() {
    const bool is_object = open_.back() == '{';
    if (take(is_object ? '}' : ']')) {
      open_.pop_back();
      is_first_ = false;
      return is_object ? reader_.end_object() : reader_.end_array();
    }
    if (!is_first_ && !take(',')) return wrong();
    is_first_ = false;
    if (is_object) {
      std::string key;
      if (!take('"') || !string(key)) return wrong();
      if (!reader_.key(key)) return false;
      if (!take(':')) return wrong();
    }
    return value();
  }

  bool value() {
    const char c = peek();
    if (c == '{' || c == '[') {
      ++at_;
      open_ += c;
      is_first_ = true;
      constexpr auto kUnknown = static_cast<std::size_t>(-1);
      return c == '{' ? reader_.start_object(kUnknown) : reader_.start_array(kUnknown);
    }
    if (take('"')) {
      std::string text;
      return string(text) ? reader_.string(text) : wrong();
    }
    for (const auto& [word, is_true] : {std::pair("true", true), std::pair("false", false)}) {
      if (literal(word)) return reader_.boolean(is_true);
    }
    return literal("null") ? reader_.null() : number();
  }
  bool literal(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool digits() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > begin;
  }
  bool follows(std::string_view any) {
    const bool is_there = at_ < text_.size() && any.find(text_[at_]) != std::string::npos;
    at_ += is_there;
    return is_there;
  }
  bool number() {
    const std::size_t begin = at_;
    const bool is_negative = follows("-");
    if (!follows("0") && !digits()) return wrong();
    const std::size_t end_of_whole = at_;
    if (follows(".") && !digits()) return wrong();
    if (follows("eE")) {
      follows("+-");
      if (!digits()) return wrong();
    }
    const std::string_view token = text_.substr(begin, at_ - begin);
    const auto converted = [&](auto& to) {
      return std::from_chars(token.data(), token.data() + token.size(), to).ec == std::errc();
    };
    if (at_ == end_of_whole) {
      std::int64_t signed_value = 0;
      if (is_negative && converted(signed_value)) return reader_.number_integer(signed_value);
      std::uint64_t value = 0;
      if (!is_negative && converted(value)) return reader_.number_unsigned(value);
    }
    double value = is_negative ? -0.0 : 0.0;
    // One too small to be told from 0 is a number.
    const bool is_number = converted(value) || is_too_small(token);
    return is_number ? reader_.number_float(value, std::string(token)) : wrong();
  }
  // Of a number that no double holds, by the power of ten of its first digit that is not 0.
  static bool is_too_small(std::string_view number) {
    const std::size_t end = std::min(number.find_first_of("eE"), number.size());
    const std::size_t first = number.find_first_of("123456789");
    if (first >= end) return true;
    const std::size_t point = std::min(number.find('.'), end);
    std::string_view exponent = number.substr(std::min(end + 1, number.size()));
    if (exponent.starts_with('+')) exponent.remove_prefix(1);
    std::int64_t power = 0;
    const std::errc error =
        std::from_chars(exponent.data(), exponent.data() + exponent.size(), power).ec;
    if (error == std::errc::result_out_of_range) return exponent.starts_with('-');
    return power < static_cast<std::int64_t>(first) - static_cast<std::int64_t>(point);
  }

  // Behind the quote that opens it; `to` gets it unescaped.
  bool string(std::string& to) {
    std::size_t end = at_;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return false;
    to.reserve(end - at_);
    while (at_ < end) {
      const char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\')
        to += c;
      else if (!escaped(to))
        return false;
    }
    ++at_;
    return true;
  }
  bool escaped(std::string& to) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    const char letter = text_[at_++];
    if (const std::size_t i = kLetters.find(letter); i != std::string::npos) {
      to += kMeant[i];
      return true;
    }
    std::uint32_t code = 0, low = 0;
    if (letter != 'u' || !unit(code) || (code >= 0xdc00 && code < 0xe000)) return false;
    if (code >= 0xd800 && code < 0xdc00) {
      if (!literal("\\u") || !unit(low) || low < 0xdc00 || low >= 0xe000) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    append_utf8(to, code);
    return true;
  }
  // Four hex digits.
  bool unit(std::uint32_t& code) {
    const std::string_view hex = text_.substr(at_, 4);
    const auto [stop, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    at_ += hex.size();
    return error == std::errc() && hex.size() == 4 && stop == hex.data() + 4;
  }
  static void append_utf8(std::string& to, std::uint32_t code) {
    const auto byte = [&](std::uint32_t bits) { to += static_cast<char>(bits); };
    if (code < 0x80) return byte(code);
    if (code < 0x800) {
      byte(0xc0 | code >> 6);
    } else {
      if (code < 0x10000) {
        byte(0xe0 | code >> 12);
      } else {
        byte(0xf0 | code >> 18);
        byte(0x80 | (code >> 12 & 63));
      }
      byte(0x80 | (code >> 6 & 63));
    }
    byte(0x80 | (code & 63));
  }

  std::string_view text_;
  Sax& reader_;
  std::size_t at_ = 0;
  std::string open_;  // the brackets around what comes next
  bool is_first_ = false;
};

}  // namespace

bool parse_json(std::string_view text, nlohmann::json_sax<nlohmann::json>& reader) {
  return Events(text, reader).read();
}

std::string json_text(const nlohmann::json& value) { return value.dump(); }

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return value.dump(indent);
}

std::string json_excerpt(const nlohmann::json& value) {
  constexpr std::size_t kMost = 60;
  std::string text = json_text(value);
  if (text.size() <= kMost) return text;
  return std::string(utf8_prefix(text, kMost)) + "...";
}

std::string json_string(std::string_view text) { return nlohmann::json(text).dump(); }

}  // namespace retrace
