# Finds everything the build needs, and reports all that is missing at once, by Debian package.
set(missing_packages "")

macro(retrace_require debian_package package)
  find_package(${package} QUIET ${ARGN})
  if(NOT ${package}_FOUND)
    list(APPEND missing_packages ${debian_package})
  endif()
endmacro()

retrace_require(libc6-dev Threads)
retrace_require(libopenblas-pthread-dev OpenBLAS MODULE)
retrace_require(librandom123-dev Random123 MODULE)
retrace_require(libfmt-dev fmt)
retrace_require(libspdlog-dev spdlog)
retrace_require(zlib1g-dev ZLIB)
retrace_require(libpcre2-dev PCRE2 10.40 MODULE)  # knows White_Space from that version on
retrace_require(nlohmann-json3-dev nlohmann_json)
retrace_require(libcli11-dev CLI11)
if(RETRACE_MPI)
  enable_language(C)
  retrace_require("libopenmpi-dev openmpi-bin" MPI COMPONENTS C)
endif()
if(RETRACE_BUILD_TESTS)
  retrace_require(doctest-dev doctest)
endif()

if(missing_packages)
  list(JOIN missing_packages " " missing_packages)
  message(FATAL_ERROR "These libraries were not found; their Debian packages are:\n"
    "  apt-get install --no-install-recommends ${missing_packages}")
endif()

if(RETRACE_BUILD_TOOLS)
  set(CURSES_NEED_NCURSES TRUE)
  set(CURSES_NEED_WIDE TRUE)
  find_package(Curses QUIET)  # optional: the full-screen view of `retrace step`
  if(NOT CURSES_FOUND)
    message(STATUS "ncurses not found (Debian: libncurses-dev): `retrace step` will print only")
  endif()
endif()
find_package(LibDw QUIET MODULE)  # optional: names the line of a program that called an op
if(NOT LibDw_FOUND)
  message(STATUS "libdw not found (Debian: libdw-dev): call sites will not name files and lines")
endif()

find_package(Graphviz QUIET MODULE)  # optional: lays out the graph of a trace's page
if(NOT Graphviz_FOUND)
  message(STATUS "Graphviz not found (Debian: libgraphviz-dev): pages of traces show the tape as a list")
endif()
