#include <retrace/tensor/version.h>

#define RETRACE_TEXT_(x) #x
#define RETRACE_TEXT(x) RETRACE_TEXT_(x)

namespace retrace {

const char* version() {
  return RETRACE_TEXT(RETRACE_VERSION_MAJOR) "." RETRACE_TEXT(
      RETRACE_VERSION_MINOR) "." RETRACE_TEXT(RETRACE_VERSION_PATCH);
}

}  // namespace retrace
