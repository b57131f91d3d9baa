# PCRE2::8bit: regular expressions with the properties of Unicode's characters.
find_library(PCRE2_LIBRARY NAMES pcre2-8)
find_path(PCRE2_INCLUDE_DIR NAMES pcre2.h)
mark_as_advanced(PCRE2_LIBRARY PCRE2_INCLUDE_DIR)

if(PCRE2_INCLUDE_DIR)
  file(STRINGS ${PCRE2_INCLUDE_DIR}/pcre2.h PCRE2_VERSION REGEX "define PCRE2_(MAJOR|MINOR)")
  list(TRANSFORM PCRE2_VERSION REPLACE "[^0-9]*PCRE2_[A-Z]+[^0-9]+([0-9]+).*" "\\1")
  list(JOIN PCRE2_VERSION "." PCRE2_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(PCRE2 REQUIRED_VARS PCRE2_LIBRARY PCRE2_INCLUDE_DIR
  VERSION_VAR PCRE2_VERSION)

if(PCRE2_FOUND AND NOT TARGET PCRE2::8bit)
  add_library(PCRE2::8bit UNKNOWN IMPORTED)
  set_target_properties(PCRE2::8bit PROPERTIES
    IMPORTED_LOCATION ${PCRE2_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${PCRE2_INCLUDE_DIR})
endif()
