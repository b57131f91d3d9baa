#pragma once

#include <string>

namespace retrace::tools {

/// `retrace new NAME`: a folder NAME in the current one, with a program to change into one's own:
/// a model, its data and its loss, and all that train/ does around them. What to type next, as a
/// text. UsageError for a name that is none for a program; WriteError when there is such a folder,
/// or none can be made.
std::string make_project(const std::string& name);

}  // namespace retrace::tools
