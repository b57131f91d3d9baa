# As an overlay port it lies in the tree that it builds.
vcpkg_cmake_configure(
  SOURCE_PATH ${CMAKE_CURRENT_LIST_DIR}/../../..
  OPTIONS
    -DRETRACE_NATIVE=OFF -DRETRACE_BUILD_TESTS=OFF -DRETRACE_BUILD_EXAMPLES=OFF
    -DRETRACE_BUILD_BENCH=OFF -DRETRACE_BUILD_TOOLS=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/retrace)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/debug/include)
vcpkg_install_copyright(FILE_LIST ${CMAKE_CURRENT_LIST_DIR}/../../../LICENSE)
