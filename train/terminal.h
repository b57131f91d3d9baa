#pragma once

#include <string_view>

namespace retrace::train {

/// What a stream can show.
struct Terminal {
  bool interactive = false;  ///< a terminal that can rewrite its last line
  bool colour = false;       ///< and the user has not set NO_COLOR
  int columns = 80;
};

Terminal error_terminal();

/// Whether texts may hold more than ASCII: the locale of the environment is UTF-8.
bool speaks_utf8();

/// Writes the text to standard output, to the end. False when nobody reads any more, as behind
/// `| head`; WriteError when it cannot be written for another reason.
bool print(std::string_view text);

/// Writes the text to standard error, whether anybody reads it or not.
void print_error(std::string_view text);

}  // namespace retrace::train
