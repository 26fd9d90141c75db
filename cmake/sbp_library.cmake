# How each folder declares what it builds. Sources are listed by name.

# sbp_library(NAME SOURCES file... [PUBLIC target...] [PRIVATE target...])
# The static library sbp_NAME with alias sbp::NAME. PUBLIC: targets that its headers need.
function(sbp_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(sbp_${name} STATIC ${arg_SOURCES})
  add_library(sbp::${name} ALIAS sbp_${name})
  target_compile_features(sbp_${name} INTERFACE cxx_std_20)
  # How we compile is no business of those who use an installed library.
  target_link_libraries(sbp_${name} PUBLIC ${arg_PUBLIC}
                                    PRIVATE ${arg_PRIVATE} "$<BUILD_INTERFACE:sbp_settings>"
                                            "$<BUILD_INTERFACE:sbp_warnings>")
endfunction()

# sbp_program(NAME SOURCES file... PRIVATE target...): the program bin/NAME.
function(sbp_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_PRIVATE} sbp_settings sbp_warnings)
endfunction()
