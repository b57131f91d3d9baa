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

# Loops over elements are vectorised for one processor and may fuse multiply and add, but NaN and
# infinity keep their meaning: never -ffast-math.
function(retrace_kernel_flags)
  set(flags -ffp-contract=fast -fno-math-errno -fno-trapping-math)
  # g++ 12 may otherwise leave the upper halves of vector registers dirty across calls within a
  # file, and code without AVX pays some 200 ns for that: every call into BLAS did, twice.
  list(APPEND flags -fno-ipa-ra)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    if(RETRACE_NATIVE)
      list(APPEND flags -march=native -mprefer-vector-width=512)
    else()
      list(APPEND flags -march=${RETRACE_MARCH})
    endif()
  elseif(RETRACE_NATIVE)
    list(APPEND flags -mcpu=native)
  endif()
  set(known "")
  foreach(flag IN LISTS flags)
    string(MAKE_C_IDENTIFIER "RETRACE_HAS${flag}" known_to_compiler)
    check_cxx_compiler_flag(${flag} ${known_to_compiler})
    if(${known_to_compiler})
      list(APPEND known ${flag})
    endif()
  endforeach()
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    list(APPEND known -O3)
  endif()
  set(kernels ${ARGV})
  list(FILTER kernels INCLUDE REGEX
    "^${PROJECT_SOURCE_DIR}/(tensor/kernels/|autograd/ops/|losses/|optim/|tests/tensor/math_test)")
  set_source_files_properties(${kernels} PROPERTIES COMPILE_OPTIONS "${known}")
endfunction()

# Sanitizers see each allocation only when the pools pass straight to malloc and free.
if(RETRACE_SANITIZE)
  list(JOIN RETRACE_SANITIZE "," sanitizers)
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizers})
  add_compile_definitions(RETRACE_NO_POOL)
endif()
