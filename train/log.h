#pragma once

#include <string_view>

namespace retrace::train {

/// Lines for people about what a program is doing, on standard error through spdlog: in colour only
/// on a terminal and without NO_COLOR.
void log_info(std::string_view line);
void log_warning(std::string_view line);
void log_error(std::string_view line);
/// From now on only errors are told.
void silence_log();

}  // namespace retrace::train
