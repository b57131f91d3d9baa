# Headers, library and package files: find_package(retrace) gives retrace::retrace, pkg-config
# retrace the same to those without CMake. Components, which are Debian packages of their own
# (Packaging.cmake): runtime, development, tools.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/retrace)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)

install(TARGETS retrace retrace_catalogue EXPORT retraceTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development)
# Where glibc's loader looks first, on the processors that can.
foreach(level IN LISTS RETRACE_LEVELS)
  install(TARGETS retrace_${level}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/glibc-hwcaps/x86-64-${level}
    COMPONENT runtime NAMELINK_SKIP)
endforeach()
install(EXPORT retraceTargets NAMESPACE retrace:: DESTINATION ${package_folder})

foreach(room IN LISTS rooms ITEMS catalogue)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} OPTIONAL
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/retrace FILES_MATCHING PATTERN "*.h" PATTERN page EXCLUDE)
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/retrace.h OPTIONAL
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/retrace)

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/retraceConfig.cmake.in
  ${PROJECT_BINARY_DIR}/cmake/retraceConfig.cmake INSTALL_DESTINATION ${package_folder}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cmake/retraceConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
set(find_modules
  ${PROJECT_SOURCE_DIR}/cmake/FindLibDw.cmake ${PROJECT_SOURCE_DIR}/cmake/FindPCRE2.cmake)
install(FILES
  ${PROJECT_BINARY_DIR}/cmake/retraceConfig.cmake
  ${PROJECT_BINARY_DIR}/cmake/retraceConfigVersion.cmake
  ${find_modules}
  DESTINATION ${package_folder})
# The build itself can be used in the same way: -Dretrace_DIR=BUILD/cmake.
export(EXPORT retraceTargets NAMESPACE retrace::
  FILE ${PROJECT_BINARY_DIR}/cmake/retraceTargets.cmake)
foreach(module IN LISTS find_modules)
  file(COPY ${module} DESTINATION ${PROJECT_BINARY_DIR}/cmake)
endforeach()

# What a static library is made of must be linked by the program, that of a shared one not.
set(pc_libraries fmt spdlog zlib libpcre2-8)
if(LibDw_FOUND)
  list(APPEND pc_libraries libdw)
endif()
list(JOIN pc_libraries ", " pc_libraries)
if(BUILD_SHARED_LIBS)
  set(pc_requires "Requires.private: ${pc_libraries}")
else()
  set(pc_requires "Requires: ${pc_libraries}")
endif()
# From where the file lies, which may be moved; unless its folder is named in full.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  string(REGEX REPLACE "[^/]+" ".." pc_up "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
  set(pc_prefix "\${pcfiledir}/${pc_up}")
endif()
foreach(folder IN ITEMS lib include)
  string(TOUPPER "CMAKE_INSTALL_${folder}DIR" chosen)
  set(pc_${folder}dir "\${prefix}")
  cmake_path(APPEND pc_${folder}dir "${${chosen}}")  # what is absolute stands alone
endforeach()
configure_file(${PROJECT_SOURCE_DIR}/cmake/retrace.pc.in ${PROJECT_BINARY_DIR}/cmake/retrace.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cmake/retrace.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
