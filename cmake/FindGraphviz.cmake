# Graphviz_INCLUDE_DIRS: headers of the library that lays graphs out. It is loaded when a page is
# written (trace/page/layout.cpp), so nothing is linked. Graphviz_SONAME: the library that the
# headers belong to; another version has other structs.
find_path(Graphviz_INCLUDE_DIR NAMES graphviz/gvc.h)
find_library(Graphviz_LIBRARY NAMES gvc)
mark_as_advanced(Graphviz_INCLUDE_DIR Graphviz_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Graphviz DEFAULT_MSG Graphviz_LIBRARY Graphviz_INCLUDE_DIR)
# They include each other without their folder.
set(Graphviz_INCLUDE_DIRS ${Graphviz_INCLUDE_DIR} ${Graphviz_INCLUDE_DIR}/graphviz)
if(Graphviz_FOUND)
  file(REAL_PATH ${Graphviz_LIBRARY} graphviz_file)
  string(REGEX MATCH "libgvc\\.so\\.[0-9]+" Graphviz_SONAME ${graphviz_file})
  if(NOT Graphviz_SONAME)
    set(Graphviz_SONAME libgvc.so.6)
  endif()
endif()
