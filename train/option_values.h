#pragma once

// For .cpp files: what stands on the command line, as values.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <retrace/train/options.h>

namespace retrace::train {

/// "0.1,0.5" as numbers; nothing when a part is none.
std::optional<std::vector<double>> parsed_list(std::string_view text);
/// One spelling of numbers that are equal: 1e-2 and 0.01.
std::string canonical(const std::string& text);

/// What is wrong with a text, empty when nothing is; it may put another text in its place.
using Check = std::function<std::string(std::string&)>;
Check at_least(std::int64_t low);
Check is_seed();
/// Gives it the capitals that it has there.
Check is_optimizer();
/// Numbers in an interval as it is written: "(0, 1]", "[0, inf)".
Check in_interval(const std::string& interval);
/// A list of numbers that rise, between two others.
Check rising(double low, double high);

/// An option and the path that it names.
using NamedPath = std::pair<const char*, const std::string&>;
/// UsageError when a file to be written is `other`, too, spelled the same or otherwise, or through
/// a link. A device or a pipe may be both.
void require_apart(const NamedPath& other, const NamedPath& written);
/// What is written must be neither read nor written by another option. UsageError.
void require_files_apart(const Options& options);

// UsageError where --resume names a folder that is not there, and --json or --csv has steps: a
// misspelt folder must not cost another run its own.
void require_no_steps(const Options& options);

}  // namespace retrace::train
