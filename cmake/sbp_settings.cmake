# sbp_settings: the language, include path, code model and sanitizers of everything of ours.
# Linked privately, so that nothing of it reaches other people's targets.
add_library(sbp_settings INTERFACE)
target_compile_features(sbp_settings INTERFACE cxx_std_20)
target_include_directories(sbp_settings INTERFACE "${PROJECT_SOURCE_DIR}")
# One code model for libraries and programs: CMake's own property would give them -fPIC and -fPIE.
# The prefix map keeps the place of the sources out of what is built.
target_compile_options(sbp_settings INTERFACE -fPIC "$<$<CONFIG:Debug>:-g1>"
                                              "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
if(SBP_HAVE_LLD)
  target_link_options(sbp_settings INTERFACE -fuse-ld=lld)
endif()

if(SBP_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "SBP_FUZZ=ON: libFuzzer comes with clang, and the compiler is "
                        "'${CMAKE_CXX_COMPILER_ID}'; use tools/fuzz or the preset fuzz")
  endif()
  target_compile_options(sbp_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(SBP_SANITIZE)
  include(CheckCXXSourceCompiles)
  string(REPLACE ";" "," sanitizers "${SBP_SANITIZE}")
  set(flags "-fsanitize=${sanitizers}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
  set(CMAKE_REQUIRED_FLAGS "-fsanitize=${sanitizers}")
  string(MAKE_C_IDENTIFIER "SBP_HAVE_SANITIZE_${sanitizers}" probe)
  check_cxx_source_compiles("int main() { return 0; }" ${probe})
  unset(CMAKE_REQUIRED_FLAGS)
  if(NOT ${probe})
    message(FATAL_ERROR "SBP_SANITIZE='${SBP_SANITIZE}': this compiler cannot link a program with "
                        "-fsanitize=${sanitizers}; install its sanitizer libraries or leave it empty")
  endif()
  target_compile_options(sbp_settings INTERFACE ${flags})
  target_link_options(sbp_settings INTERFACE "-fsanitize=${sanitizers}")
endif()
