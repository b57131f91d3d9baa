#include <retrace/train/option_values.h>

#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <retrace/optim/by_name.h>
#include <retrace/tensor/check.h>
#include <retrace/train/exit.h>
#include <retrace/train/report.h>

namespace retrace::train {
namespace {

template <class T>
std::optional<T> parsed(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

}  // namespace

std::optional<std::vector<double>> parsed_list(std::string_view text) {
  std::vector<double> numbers;
  for (bool more = true; more;) {
    const std::size_t comma = text.find(',');
    const auto number = parsed<double>(text.substr(0, comma));
    if (!number) return {};
    numbers.push_back(*number);
    more = comma != std::string_view::npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return numbers;
}

std::string canonical(const std::string& text) {
  if (parsed<std::int64_t>(text) || parsed<std::uint64_t>(text)) return text;
  const std::optional<double> number = parsed<double>(text);
  return number ? number_text(*number) : text;
}

Check at_least(std::int64_t low) {
  return [low](const std::string& text) {
    const auto value = parsed<std::int64_t>(text);
    return value && *value >= low
               ? std::string()
               : fmt::format("{} is not a whole number of at least {}", text, low);
  };
}

Check is_seed() {
  return [](const std::string& text) {
    return parsed<std::uint64_t>(text)
               ? std::string()
               : fmt::format("{} is not a whole number from 0 to 2^64 - 1", text);
  };
}

Check is_optimizer() {
  return [](std::string& text) {
    const std::optional<std::string_view> name = optim::find_name(text);
    if (!name) {
      return fmt::format("there is none called {}; give one of {}", text,
                         fmt::join(optim::names(), ", "));
    }
    text = *name;
    return std::string();
  };
}

Check in_interval(const std::string& interval) {
  std::string bare = interval;
  std::erase(bare, ' ');
  const bool with_low = bare.starts_with('['), with_high = bare.ends_with(']');
  std::optional<std::vector<double>> ends;
  if ((with_low || bare.starts_with('(')) && (with_high || bare.ends_with(')')))
    ends = parsed_list(std::string_view(bare).substr(1, bare.size() - 2));
  require<ValueError>(ends && ends->size() == 2,
                      "CommandLine: {} is no interval; write it as (0, 1] or [0, inf)", interval);
  return [=, low = ends->front(), high = ends->back()](const std::string& text) {
    const auto value = parsed<double>(text);
    const bool inside = value && (*value > low || (with_low && *value == low)) &&
                        (*value < high || (with_high && *value == high));
    return inside ? std::string() : fmt::format("{} is not a number in {}", text, interval);
  };
}

Check rising(double low, double high) {
  return [low, high](const std::string& text) {
    const auto list = parsed_list(text);
    if (!list) return fmt::format("{} is not a list of numbers with commas between them", text);
    double below = low;
    for (const double number : *list) {
      if (!(number > below && number < high))
        return fmt::format("{} does not rise from above {} to below {}: at {}", text, low, high,
                           number);
      below = number;
    }
    return std::string();
  };
}

namespace {

namespace fs = std::filesystem;

// Where a path leads; of links, also of those to what is not there yet.
fs::path target_of(fs::path path) {
  std::error_code error;
  for (int links = 0; links < 40 && fs::is_symlink(path, error); ++links)
    path = path.parent_path() / fs::read_symlink(path, error);
  const fs::path canonical = fs::weakly_canonical(fs::absolute(path, error), error);
  return error ? path : canonical;
}

}  // namespace

void require_apart(const NamedPath& other, const NamedPath& written) {
  std::error_code ignored;  // files that are not there are told apart by their paths
  const std::string& path = written.second;
  if (path.empty() || other.second.empty()) return;
  if (fs::exists(path, ignored) && !fs::is_regular_file(path, ignored)) return;
  require<UsageError>(
      target_of(path) != target_of(other.second) && !fs::equivalent(path, other.second, ignored),
      "{} and {} name the same file", other.first, written.first);
}

void require_files_apart(const Options& o) {
  const NamedPath files[] = {
      {"--data", o.data}, {"--test", o.test},     {"--predict", o.predict},
      {"--out", o.out},   {"--report", o.report}, {"--json", o.json},
      {"--csv", o.csv},   {"--trace", o.trace},   {"--trace-html", o.trace_html},
      {"--save", o.save}};
  constexpr std::ptrdiff_t read = 3;
  for (const NamedPath* written = std::begin(files) + read; written != std::end(files); ++written)
    for (const NamedPath* other = std::begin(files); other != written; ++other)
      require_apart(*other, *written);
}

void require_no_steps(const Options& options) {
  std::error_code none;
  if (std::filesystem::exists(options.save, none)) return;
  for (const std::string& path : {options.json, options.csv})
    require<UsageError>(!has_steps(path),
                        "--resume {}: there is no such folder, and {} has steps of a run; remove "
                        "it, or name another file",
                        options.save, path);
}

}  // namespace retrace::train
