# Graphviz::Graphviz: the library that lays graphs out.
find_path(Graphviz_INCLUDE_DIR NAMES graphviz/gvc.h)
set(graphviz_libraries "")
foreach(part IN ITEMS gvc cgraph cdt)
  find_library(Graphviz_${part}_LIBRARY NAMES ${part})
  mark_as_advanced(Graphviz_${part}_LIBRARY)
  list(APPEND graphviz_libraries Graphviz_${part}_LIBRARY)
endforeach()
mark_as_advanced(Graphviz_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Graphviz DEFAULT_MSG ${graphviz_libraries} Graphviz_INCLUDE_DIR)

if(Graphviz_FOUND AND NOT TARGET Graphviz::Graphviz)
  add_library(Graphviz::Graphviz INTERFACE IMPORTED)
  # The headers include each other without their folder.
  target_include_directories(Graphviz::Graphviz SYSTEM INTERFACE
    ${Graphviz_INCLUDE_DIR} ${Graphviz_INCLUDE_DIR}/graphviz)
  target_link_libraries(Graphviz::Graphviz INTERFACE
    ${Graphviz_gvc_LIBRARY} ${Graphviz_cgraph_LIBRARY} ${Graphviz_cdt_LIBRARY})
endif()
