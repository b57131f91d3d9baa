# How the project's own code is compiled. Nothing here reaches a program that links retrace.
include(CheckCXXCompilerFlag)

set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Clang counts sign conversions under -Wconversion, g++ does not; both check the same here.
function(retrace_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow
    $<$<CXX_COMPILER_ID:Clang,AppleClang>:-Wno-sign-conversion;-Wno-pass-failed>)
  # Under a sanitizer g++ sees uninitialised values where there are none.
  if(RETRACE_WERROR AND NOT RETRACE_SANITIZE)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# Libraries that are headers alone: whoever links `target` need not have them.
function(retrace_use_headers target)
  foreach(library IN LISTS ARGN)
    target_include_directories(${target} SYSTEM
      PRIVATE $<TARGET_PROPERTY:${library},INTERFACE_INCLUDE_DIRECTORIES>)
  endforeach()
endfunction()

# Of a shared library only namespace retrace is seen from outside.
function(retrace_hide_others target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL SHARED_LIBRARY AND UNIX AND NOT APPLE)
    set(script ${PROJECT_SOURCE_DIR}/cmake/exports.map)
    target_link_options(${target} PRIVATE LINKER:--version-script=${script})
    set_target_properties(${target} PROPERTIES LINK_DEPENDS ${script})
  endif()
endfunction()

# The library is compiled for one processor. Loops over elements, in kernels, may fuse multiply and
# add; NaN and infinity keep their meaning: never -ffast-math. (Flags that define a macro must be
# the same everywhere: a precompiled header is refused otherwise.)
set(kernel_flags -ffp-contract=fast)
set(library_flags -ffp-contract=off -fno-math-errno -fno-trapping-math)
# g++ 12 may otherwise leave the upper halves of vector registers dirty across calls within a file,
# and code without AVX pays some 200 ns for that: every call into BLAS did, twice.
list(APPEND library_flags -fno-ipa-ra)
# What -O3 adds beyond -O2 and this doubles the time to compile some files, and made none faster.
list(APPEND library_flags -fvect-cost-model=dynamic)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  if(RETRACE_NATIVE)
    list(APPEND library_flags -march=native -mprefer-vector-width=512)
  else()
    list(APPEND library_flags -march=${RETRACE_MARCH})
  endif()
elseif(RETRACE_NATIVE)
  list(APPEND library_flags -mcpu=native)
endif()
foreach(list_of_flags IN ITEMS kernel_flags library_flags)
  set(retrace_${list_of_flags} "")
  foreach(flag IN LISTS ${list_of_flags})
    string(MAKE_C_IDENTIFIER "RETRACE_HAS${flag}" known_to_compiler)
    check_cxx_compiler_flag(${flag} ${known_to_compiler})
    if(${known_to_compiler})
      list(APPEND retrace_${list_of_flags} ${flag})
    endif()
  endforeach()
endforeach()
# Between a program and its kernels no loop is long: compiled well, a quarter more time for nothing.
set(retrace_hot_flags "")
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  list(APPEND retrace_library_flags -O1)
  list(APPEND retrace_hot_flags -O2)
endif()

# Sanitizers see each allocation only when the pools pass straight to malloc and free.
if(RETRACE_SANITIZE)
  list(JOIN RETRACE_SANITIZE "," sanitizers)
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizers})
  add_compile_definitions(RETRACE_NO_POOL)
  # What g++ defines by itself, and clang 14 does not.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    if("address" IN_LIST RETRACE_SANITIZE)
      add_compile_definitions(__SANITIZE_ADDRESS__)
    endif()
    if("thread" IN_LIST RETRACE_SANITIZE)
      add_compile_definitions(__SANITIZE_THREAD__)
    endif()
  endif()
endif()
