# OpenBLAS::OpenBLAS. Debian's pthread variant is preferred: the serial one hands out its buffers
# without a lock and gives wrong products when two threads call it at once.
#
# Every variant has the soname libopenblas.so.0, which the loader would look up through Debian's
# alternatives and so might load another variant than the one linked: the run path pins the folder.
find_library(OpenBLAS_LIBRARY NAMES openblas PATH_SUFFIXES openblas-pthread openblas-openmp openblas-serial)
find_path(OpenBLAS_INCLUDE_DIR NAMES openblas_config.h
  PATH_SUFFIXES openblas-pthread openblas-openmp openblas-serial openblas)
mark_as_advanced(OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS DEFAULT_MSG OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)

if(OpenBLAS_FOUND AND NOT TARGET OpenBLAS::OpenBLAS)
  add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
  set_target_properties(OpenBLAS::OpenBLAS PROPERTIES
    IMPORTED_LOCATION ${OpenBLAS_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${OpenBLAS_INCLUDE_DIR})
  cmake_path(GET OpenBLAS_LIBRARY PARENT_PATH openblas_folder)
  if(NOT openblas_folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    set_property(TARGET OpenBLAS::OpenBLAS
      PROPERTY INTERFACE_LINK_OPTIONS LINKER:-rpath,${openblas_folder})
  endif()
endif()
