# Graphviz_INCLUDE_DIRS: headers of the library that lays graphs out. It is loaded when a page is
# written (trace/page/graphviz.h), so nothing is linked.
find_path(Graphviz_INCLUDE_DIR NAMES graphviz/gvc.h)
mark_as_advanced(Graphviz_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Graphviz DEFAULT_MSG Graphviz_INCLUDE_DIR)
# They include each other without their folder.
set(Graphviz_INCLUDE_DIRS ${Graphviz_INCLUDE_DIR} ${Graphviz_INCLUDE_DIR}/graphviz)
