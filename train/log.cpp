#include <retrace/train/log.h>

#include <memory>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <retrace/train/terminal.h>

namespace retrace::train {
namespace {

spdlog::logger& logger() {
  static const auto instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_st>(
        error_terminal().colour ? spdlog::color_mode::always : spdlog::color_mode::never);
    auto result = std::make_shared<spdlog::logger>("retrace", std::move(sink));
    result->set_pattern("%^%l:%$ %v");
    return result;
  }();
  return *instance;
}

}  // namespace

void log_info(std::string_view line) { logger().info(line); }
void log_warning(std::string_view line) { logger().warn(line); }
void log_error(std::string_view line) { logger().error(line); }
void silence_log() { logger().set_level(spdlog::level::err); }

}  // namespace retrace::train
