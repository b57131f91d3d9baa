# LibDw::LibDw: elfutils' reader of line tables.
find_library(LibDw_LIBRARY NAMES dw)
find_path(LibDw_INCLUDE_DIR NAMES elfutils/libdwfl.h)
mark_as_advanced(LibDw_LIBRARY LibDw_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibDw DEFAULT_MSG LibDw_LIBRARY LibDw_INCLUDE_DIR)

if(LibDw_FOUND AND NOT TARGET LibDw::LibDw)
  add_library(LibDw::LibDw UNKNOWN IMPORTED)
  set_target_properties(LibDw::LibDw PROPERTIES
    IMPORTED_LOCATION ${LibDw_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${LibDw_INCLUDE_DIR})
endif()
