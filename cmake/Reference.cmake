# The API reference: `cmake --build BUILD --target reference` writes BUILD/reference/html. Every
# class, function and constant of a public header needs a comment, and what comments refer to must
# be there. (Headers that say "For .cpp files" are the library's own.)
find_package(Doxygen 1.9.4 QUIET)
find_package(Python3 QUIET COMPONENTS Interpreter)
if(NOT DOXYGEN_FOUND OR NOT Python3_FOUND)
  return()
endif()
set(reference_sources "")
foreach(room IN LISTS rooms ITEMS catalogue)
  file(GLOB_RECURSE room_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${room}/*.h)
  foreach(header IN LISTS room_headers)
    file(STRINGS ${header} own REGEX "^// For .*\\.cpp" LIMIT_COUNT 1)
    if(NOT own AND NOT header MATCHES "/(page|kernels)/")
      string(APPEND reference_sources " \\\n  \"${header}\"")
    endif()
  endforeach()
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/docs/reference/Doxyfile.in ${PROJECT_BINARY_DIR}/reference/Doxyfile
  @ONLY)
add_custom_target(reference
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/docs/reference/write.py
          ${DOXYGEN_EXECUTABLE} ${PROJECT_BINARY_DIR}/reference
  COMMENT "Writing reference/html" VERBATIM)
