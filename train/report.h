#pragma once

// What a run reports for programs to read: JSON, an object a line, and CSV.

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <retrace/train/table.h>

namespace retrace::train {

/// A JSON object, put together in order. Numbers are written in their shortest exact form; what is
/// not finite or not known becomes null.
class JsonObject {
 public:
  JsonObject& add(std::string_view name, double value);
  JsonObject& add(std::string_view name, std::int64_t value);
  JsonObject& add(std::string_view name, std::uint64_t value);
  JsonObject& add(std::string_view name, bool value);
  JsonObject& add(std::string_view name, std::string_view value);
  JsonObject& add(std::string_view name, const char* value) {
    return add(name, std::string_view(value));
  }
  JsonObject& add(std::string_view name, const JsonObject& value);
  template <class T>
  JsonObject& add(std::string_view name, const std::optional<T>& value) {
    return value ? add(name, *value) : add_raw(name, "null");
  }
  std::string str() const { return "{" + members_ + "}"; }

 private:
  JsonObject& add_raw(std::string_view name, std::string_view value);
  std::string members_;
};

/// A number in the shortest form that reads back the same, whatever the locale; "" unless finite.
/// One that is a float32, as losses are, in the shortest form that reads back the same float32.
std::string number_text(double value);

/// Whether there is a file that a Report has written.
bool has_steps(const std::string& path);
/// WriteError when `path` is a file that is there and does not begin as `what`, which is to be
/// written to it, does: somebody else's. An empty file, a device and "-" are nobody's.
void require_own(const std::string& path, std::string_view start, std::string_view what);

/// A text file that is written line by line, by one process at a time. WriteError, naming the path,
/// when that fails.
class LineFile {
 public:
  /// "-" is standard output. `append` goes on behind what the file has; else that is replaced when
  /// the first line is written, and not before: a run that comes to nothing takes nothing away.
  /// What is empty then begins with `head`.
  LineFile(std::string path, bool append, std::string head = {});
  const std::string& path() const { return path_; }
  void write(std::string_view line);
  void flush();
  /// Flushes, and waits until a power failure would leave what was written.
  void sync();
  /// Of a regular file only: what `kept` makes of its text is what stays. Where that is its
  /// beginning, the rest is cut off in one piece, else a new file takes its place (OutputFile): at
  /// no moment is anything missing that stays.
  void keep(const std::function<std::string(const std::string&)>& kept);

 private:
  void open();
  void begin();
  bool is_file() const;
  struct Close {
    void operator()(std::FILE* file) const;
  };
  [[noreturn]] void fail_to(const char* what) const;

  std::string path_, head_;
  bool append_, begun_ = false;
  std::unique_ptr<std::FILE, Close> file_;
};

/// One step of training.
struct StepRecord {
  std::string stage = {};  ///< of a training before the one that the run is about, its name
  std::int64_t step = 0;   ///< from 1 on
  double loss = 0;         ///< mean over the step's samples, before the update
  double samples = 0;      ///< how many those are, in all processes; not written
  std::optional<double> lr = {};
  std::optional<double> gradient_norm = {};  ///< before clipping
  double seconds = 0;                        ///< since training began, in this run
  Metrics metrics = {};                      ///< what else the batch told; not in the CSV
};

/// Sends the steps and the result of a run to where the user wants them.
class Report {
 public:
  /// Paths may be empty. WriteError for a file that is there and holds something else.
  Report(const std::string& json_path, const std::string& csv_path, bool append);

  /// Before training goes on behind a step of a stage: takes out what is made again, which is that
  /// stage's later steps and their validations; with what follows then, the result, too. The
  /// seconds of steps then go on from the last row that stays; `trained` of them are of this run. A
  /// warning is logged when steps before it are missing, as when there was no room for them.
  void go_on_after(const std::string& stage, std::int64_t step, double trained);

  void step(const StepRecord& record);
  /// Any other object, its "event" included.
  void event(const JsonObject& object);
  void flush();
  void sync();

 private:
  void take_out_ends();

  std::optional<LineFile> json_, csv_;
  bool has_ends_ = false;      // it may have: of the run before
  double seconds_before_ = 0;  // that runs before this one trained
};

}  // namespace retrace::train
