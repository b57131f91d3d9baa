# Headers, library and package files: find_package(retrace) gives retrace::retrace.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/retrace)

install(TARGETS retrace retrace_catalogue EXPORT retraceTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
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
install(FILES
  ${PROJECT_BINARY_DIR}/cmake/retraceConfig.cmake
  ${PROJECT_BINARY_DIR}/cmake/retraceConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindLibDw.cmake
  ${PROJECT_SOURCE_DIR}/cmake/FindPCRE2.cmake
  DESTINATION ${package_folder})
