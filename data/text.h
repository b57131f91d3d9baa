#pragma once

#include <string>

#include <retrace/data/gzip.h>

namespace retrace::data {

/// A text, plain or gzip, as UTF-8 without a byte order mark. Line ends stay as they are. IoError,
/// beginning with the path, when it is empty, or naming the line that is not UTF-8.
std::string read_text(const std::string& path, const UnpackLimits& limits = {});

/// `contents` of the file `path`, checked as read_text does but not for being empty.
std::string as_text(const std::string& path, std::string contents);

}  // namespace retrace::data
