#pragma once

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

}  // namespace retrace::train
