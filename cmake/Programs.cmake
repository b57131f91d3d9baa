# examples/NAME.cpp -> examples/NAME, also in examples/lessons; tools/*.cpp -> tools/retrace; bench/
# has a list of its own.

# With line tables and all its frames, so that call sites and traces can name its lines.
set(retrace_program_flags $<$<NOT:$<CONFIG:Debug>>:-g1> -fno-optimize-sibling-calls)

# A program of the project, written to FOLDER/NAME of the build tree.
function(retrace_program target folder name)
  add_executable(${target} ${ARGN})
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${folder})
  target_compile_options(${target} PRIVATE ${retrace_program_flags})
  target_link_libraries(${target} PRIVATE retrace::retrace fmt::fmt spdlog::spdlog CLI11::CLI11
    nlohmann_json::nlohmann_json)
  retrace_warnings(${target})
endfunction()

if(RETRACE_BUILD_EXAMPLES)
  file(GLOB example_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.cpp)
  foreach(source IN LISTS example_sources)
    cmake_path(GET source STEM name)
    retrace_program(example_${name} examples ${name} ${source})
  endforeach()
  file(GLOB lesson_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/lessons/*.cpp)
  foreach(source IN LISTS lesson_sources)
    cmake_path(GET source STEM name)
    retrace_program(lesson_${name} examples/lessons ${name} ${source})
    list(APPEND lessons lesson_${name})
  endforeach()
  add_custom_target(lessons DEPENDS ${lessons})
endif()

if(RETRACE_BUILD_BENCH)
  add_subdirectory(bench)
endif()

file(GLOB_RECURSE tool_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tools/*.cpp)
list(FILTER tool_sources EXCLUDE REGEX /template/)
if(RETRACE_BUILD_TOOLS AND tool_sources)
  retrace_page_files(atlas_files tools/atlas atlas
    atlas.css plot.js card.js overlay.js atlas.js)
  retrace_program(retrace_tool tools retrace ${tool_sources} ${atlas_files})
  target_link_libraries(retrace_tool PRIVATE retrace::catalogue)
  # Without a shared library of ours there is nothing to look for, and no place kept for a path.
  if(BUILD_SHARED_LIBS)
    set_target_properties(retrace_tool PROPERTIES INSTALL_RPATH
      $ORIGIN/../${CMAKE_INSTALL_LIBDIR})
  endif()
  target_compile_definitions(retrace_tool PRIVATE
    RETRACE_COMPILER="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
    RETRACE_TEMPLATE="${PROJECT_SOURCE_DIR}/tools/template"
    RETRACE_PACKAGE="${PROJECT_BINARY_DIR}/cmake")
  if(CURSES_FOUND)
    target_compile_definitions(retrace_tool PRIVATE RETRACE_HAVE_NCURSES ${CURSES_CFLAGS})
    target_include_directories(retrace_tool SYSTEM PRIVATE ${CURSES_INCLUDE_DIRS})
    target_link_libraries(retrace_tool PRIVATE ${CURSES_LIBRARIES})
  endif()
  # docs/catalogue.md from the table, the headers and the tape.
  add_custom_target(catalogue_page
    COMMAND retrace_tool catalogue --headers ${PROJECT_SOURCE_DIR}
            -o ${PROJECT_SOURCE_DIR}/docs/catalogue.md
    COMMENT "Writing docs/catalogue.md" VERBATIM)
  install(TARGETS retrace_tool COMPONENT tools RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES tools/gdb/retrace.py COMPONENT tools
    DESTINATION ${CMAKE_INSTALL_DATADIR}/retrace/gdb)
  install(DIRECTORY tools/template COMPONENT tools
    DESTINATION ${CMAKE_INSTALL_DATADIR}/retrace)
endif()
