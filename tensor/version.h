#pragma once

// The version of the library, in one place: CMakeLists.txt reads it from here. Until 1.0 a minor
// version may change declarations (CHANGELOG.md says which).

#define RETRACE_VERSION_MAJOR 0
#define RETRACE_VERSION_MINOR 1
#define RETRACE_VERSION_PATCH 0

namespace retrace {

/// "0.1.0": that of the library which runs; as a shared one it can be another than the headers'.
const char* version();

}  // namespace retrace
