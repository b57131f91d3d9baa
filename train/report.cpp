#include <retrace/train/report.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>

#include <fmt/format.h>

#include <retrace/tensor/file.h>
#include <retrace/train/exit.h>
#include <retrace/train/log.h>

namespace retrace::train {
namespace {

// Length of the well-formed UTF-8 character that `text` starts with, 0 if there is none.
std::size_t character_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  const std::size_t length = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // No longer forms than needed, no surrogates, nothing beyond U+10FFFF.
  const bool allowed = (byte(0) != 0xE0 || byte(1) >= 0xA0) &&
                       (byte(0) != 0xED || byte(1) < 0xA0) &&
                       (byte(0) != 0xF0 || byte(1) >= 0x90) && (byte(0) != 0xF4 || byte(1) < 0x90);
  return allowed ? length : 0;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = character_length(text);
    if (length == 0) {
      result += "\\ufffd";  // a path may hold any bytes
    } else if (c == '"' || c == '\\') {
      result += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", c);
    } else {
      result += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return result + '"';
}

constexpr std::string_view kCsvHeader = "step,loss,lr,gradient_norm,seconds,stage";

}  // namespace

std::string number_text(double value) {
  if (!std::isfinite(value)) return "";
  const auto rounded = static_cast<float>(value);
  return static_cast<double>(rounded) == value ? fmt::format("{}", rounded)
                                               : fmt::format("{}", value);
}

JsonObject& JsonObject::add_raw(std::string_view name, std::string_view value) {
  if (!members_.empty()) members_ += ',';
  members_ += quoted(name);
  members_ += ':';
  members_ += value;
  return *this;
}

JsonObject& JsonObject::add(std::string_view name, double value) {
  return add_raw(name, std::isfinite(value) ? number_text(value) : "null");
}
JsonObject& JsonObject::add(std::string_view name, std::int64_t value) {
  return add_raw(name, fmt::format("{}", value));
}
JsonObject& JsonObject::add(std::string_view name, std::uint64_t value) {
  return add_raw(name, fmt::format("{}", value));
}
JsonObject& JsonObject::add(std::string_view name, bool value) {
  return add_raw(name, value ? "true" : "false");
}
JsonObject& JsonObject::add(std::string_view name, std::string_view value) {
  return add_raw(name, quoted(value));
}
JsonObject& JsonObject::add(std::string_view name, const JsonObject& value) {
  return add_raw(name, value.str());
}

void LineFile::Close::operator()(std::FILE* file) const {
  if (file != stdout) static_cast<void>(std::fclose(file));  // flush() tells what failed
}

namespace {

// A process that was killed may have left half a line.
void cut_after_last_line(const std::string& path) {
  std::error_code error;  // what is not there has no lines
  if (!std::filesystem::is_regular_file(path, error)) return;
  const InputFile file(path);
  std::uint64_t end = file.size();
  for (std::byte last; end > 0; --end) {
    file.read(end - 1, {&last, 1});
    if (last == std::byte{'\n'}) break;
  }
  if (end != file.size()) std::filesystem::resize_file(path, end, error);
  if (error) throw WriteError(fmt::format("{}: cannot cut: {}", path, error.message()));
}

constexpr std::string_view kJsonStart = R"({"event":)";

// The beginning of a file, as much as there is of `size`; nothing of what is no file.
std::string beginning(const std::string& path, std::size_t size) {
  std::error_code none;
  if (path == "-" || !std::filesystem::is_regular_file(path, none)) return {};
  const InputFile file(path);
  std::string begins(std::min<std::uint64_t>(size, file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(begins)));
  return begins;
}

}  // namespace

void require_own(const std::string& path, std::string_view start, std::string_view what) {
  if (!writing([&] { return start.starts_with(beginning(path, start.size())); }))
    throw WriteError(fmt::format(
        "{}: is there already, and is no {}; remove it, or name another file", path, what));
}

bool has_steps(const std::string& path) {
  return beginning(path, kCsvHeader.size()) == kCsvHeader ||
         beginning(path, kJsonStart.size()) == kJsonStart;
}

LineFile::LineFile(std::string path, bool append, std::string head)
    : path_(std::move(path)), head_(std::move(head)), append_(append) {
  if (path_ == "-") {
    file_.reset(stdout);
    path_ = "standard output";
    return;
  }
  open();
  if (!append) return;
  if (is_file()) writing([this] { cut_after_last_line(path_); });
  begin();
}

namespace {

bool is_same_file(const struct ::stat& one, const struct ::stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

}  // namespace

// Standard output is none, by whatever name, though it may end in one.
bool LineFile::is_file() const {
  struct ::stat status {
  }, out{};
  return file_.get() != stdout && ::fstat(::fileno(file_.get()), &status) == 0 &&
         S_ISREG(status.st_mode) &&
         !(::fstat(STDOUT_FILENO, &out) == 0 && is_same_file(status, out));
}

void LineFile::open() {
  for (;;) {
    std::FILE* const file = std::fopen(path_.c_str(), "ae");
    if (file == nullptr) fail_to("open");
    file_.reset(file);
    if (!is_file()) return;
    if (!lock_to_write(::fileno(file)))
      throw WriteError(
          fmt::format("{}: is being written already, by another process or for "
                      "another option",
                      path_));
    // Who kept only a part of it may have put another file in its place, before the lock.
    struct ::stat status {
    }, now{};
    if (::fstat(::fileno(file), &status) == 0 && ::stat(path_.c_str(), &now) == 0 &&
        is_same_file(status, now))
      return;
  }
}

void LineFile::begin() {
  begun_ = true;
  if (!append_ && is_file() && ::ftruncate(::fileno(file_.get()), 0) != 0) fail_to("empty");
  std::error_code error;
  if (!head_.empty() && (!is_file() || std::filesystem::file_size(path_, error) == 0)) write(head_);
}

void LineFile::keep(const std::function<std::string(const std::string&)>& kept) {
  std::error_code error;
  if (!is_file()) return;
  flush();
  writing([&] {
    const std::string text = read_file(path_), rest = kept(text);
    if (rest == text) return;
    if (text.starts_with(rest)) {
      std::filesystem::resize_file(path_, rest.size(), error);
      if (error) throw WriteError(fmt::format("{}: cannot cut: {}", path_, error.message()));
    } else {
      write_file(path_, rest);
      open();
    }
  });
}

void LineFile::write(std::string_view line) {
  if (!begun_) begin();
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
      std::fputc('\n', file_.get()) == EOF)
    fail_to("write");
}

void LineFile::flush() {
  if (std::fflush(file_.get()) != 0) fail_to("write");
}

void LineFile::sync() {
  flush();
  while (is_file() && ::fdatasync(::fileno(file_.get())) != 0)
    if (errno != EINTR) fail_to("sync");
}

void LineFile::fail_to(const char* what) const {
  throw WriteError(fmt::format("{}: cannot {}: {}", path_, what, std::strerror(errno)));
}

Report::Report(const std::string& json_path, const std::string& csv_path, bool append) {
  // Whoever takes --csv for the table to learn from must not lose it.
  require_own(json_path, kJsonStart, "record of steps");
  require_own(csv_path, kCsvHeader, "record of steps");
  has_ends_ = append;
  if (!json_path.empty()) json_.emplace(json_path, append);
  if (csv_path.empty()) return;
  csv_.emplace(csv_path, append, std::string(kCsvHeader));
}

namespace {

// A line of a report, as far as a run that goes on must know it.
struct Line {
  enum class Of { step, validation, end, other } of = Of::other;
  std::string_view stage = {};  // as it is written
  std::int64_t step = 0;
  double seconds = 0;
};

// The number behind the first `key`.
template <class T>
bool read_number(std::string_view text, std::string_view key, T* number) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return false;
  text.remove_prefix(at + key.size());
  return std::from_chars(text.data(), text.data() + text.size(), *number).ec == std::errc();
}

// Inside of a text its quotes are escaped, so that none of these keys is found there.
Line json_line(std::string_view text) {
  constexpr std::string_view stage = R"(,"stage":)", step = R"(,"step":)";
  const auto is = [text](std::string_view event) {
    return text.starts_with(fmt::format(R"({{"event":"{}")", event));
  };
  Line line;
  if (is("result") || is("distributed")) line.of = Line::Of::end;
  if (!read_number(text, step, &line.step)) return line;
  if (is("validation")) line.of = Line::Of::validation;
  if (!is("step") || !read_number(text, R"(,"seconds":)", &line.seconds)) return line;
  line.of = Line::Of::step;
  const std::size_t begin = text.find(stage), end = text.find(step);  // a metric comes later
  if (begin < end) line.stage = text.substr(begin + stage.size(), end - begin - stage.size());
  return line;
}

Line csv_line(std::string_view text) {
  Line line;
  std::string_view rest = text.substr(0, text.find('\n'));
  for (int cell = 0; cell < 5; ++cell) {
    if (cell == 4 && !read_number(rest, "", &line.seconds)) return line;
    const std::size_t comma = rest.find(',');
    if (comma == std::string_view::npos) return line;
    rest.remove_prefix(comma + 1);
  }
  line.stage = rest;
  if (read_number(text, "", &line.step)) line.of = Line::Of::step;
  return line;
}

// Keeps the lines, ends and all, of which stays(line) is true; false for what is no regular file.
template <class F>
bool keep_lines(LineFile& file, F&& stays) {
  bool was_read = false;
  file.keep([&](const std::string& text) {
    was_read = true;
    std::string kept;
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view next = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
      if (stays(next)) kept += next;
      rest.remove_prefix(next.size());
    }
    return kept;
  });
  return was_read;
}

// Takes out what a run makes again that goes on behind `done`, and says which steps are missing;
// the seconds of the last row of its stage that stays.
double take_out(LineFile& file, Line (*read)(std::string_view), std::string_view stage,
                std::int64_t done) {
  double seconds = 0;
  std::int64_t last = 0, missing = 0;
  bool is_of_stage = false;  // a validation is of the stage of the step before
  const bool was_read = keep_lines(file, [&](std::string_view text) {
    const Line line = read(text);
    const bool is_step = line.of == Line::Of::step;
    if (is_step) is_of_stage = line.stage == stage;
    const bool counts = is_of_stage && (is_step || line.of == Line::Of::validation);
    if (counts && line.step > done) return false;
    if (is_of_stage && is_step) {
      seconds = line.seconds;
      missing += std::max<std::int64_t>(0, line.step - last - 1);
      last = std::max(last, line.step);
    }
    return true;
  });
  if (was_read) missing += done - last;
  if (missing > 0)
    log_warning(fmt::format("{}: has not all of the {} steps that were made before, {} are missing",
                            file.path(), done, missing));
  return seconds;
}

}  // namespace

// Before something follows.
void Report::take_out_ends() {
  has_ends_ = false;
  if (json_)
    keep_lines(*json_, [](std::string_view text) { return json_line(text).of != Line::Of::end; });
}

void Report::go_on_after(const std::string& stage, std::int64_t step, double trained) {
  double last = 0;
  if (json_) last = take_out(*json_, json_line, stage.empty() ? "" : train::quoted(stage), step);
  if (csv_) last = std::max(last, take_out(*csv_, csv_line, stage, step));
  seconds_before_ = std::max(seconds_before_, last - trained);
}

void Report::step(const StepRecord& record) {
  if (has_ends_) take_out_ends();
  const double seconds = seconds_before_ + record.seconds;
  if (json_) {
    JsonObject object;
    object.add("event", "step");
    if (!record.stage.empty()) object.add("stage", record.stage);
    object.add("step", record.step)
        .add("loss", record.loss)
        .add("lr", record.lr)
        .add("gradient_norm", record.gradient_norm)
        .add("seconds", seconds);
    for (const auto& [name, value] : record.metrics) object.add(name, value);
    json_->write(object.str());
  }
  if (csv_) {
    const auto text = [](const std::optional<double>& value) {
      return value ? number_text(*value) : std::string();
    };
    csv_->write(fmt::format("{},{},{},{},{},{}", record.step, number_text(record.loss),
                            text(record.lr), text(record.gradient_norm), number_text(seconds),
                            record.stage));
  }
}

void Report::event(const JsonObject& object) {
  if (has_ends_) take_out_ends();
  if (json_) json_->write(object.str());
}

void Report::flush() {
  if (json_) json_->flush();
  if (csv_) csv_->flush();
}

void Report::sync() {
  if (json_) json_->sync();
  if (csv_) csv_->sync();
}

}  // namespace retrace::train
