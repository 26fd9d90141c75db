# What `cmake --install` lays down: a tree that can be moved.
#
#   bin/  programs                        share/sbp/schema/           schemas of the reports
#   lib/  static libraries                share/man/man1/             from --help
#   lib/cmake/sbp/  find_package(sbp)     share/bash-completion/      from --help and --list
#   include/sbp/    their headers         share/doc/sbp/              README and pages
#   lib/sbp/torch/  LibTorch, with -DSBP_INSTALL_LIBTORCH=ON or --component libtorch
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

option(SBP_INSTALL_LIBTORCH "Install the LibTorch libraries that the programs load as well" OFF)

if(SBP_INSTALL_LIBTORCH AND SBP_WITH_CUDA)
  message(FATAL_ERROR "SBP_INSTALL_LIBTORCH=ON with SBP_WITH_CUDA=ON: LibTorch and the CUDA libraries "
                      "are 5 GB and are not copied; leave SBP_INSTALL_LIBTORCH off, and programs "
                      "load them from where they are")
endif()

set(sbp_headers "${CMAKE_INSTALL_INCLUDEDIR}/sbp")
set(sbp_package "${CMAKE_INSTALL_LIBDIR}/cmake/sbp")
set(sbp_own_libtorch "${CMAKE_INSTALL_LIBDIR}/sbp/torch/lib")

# Programs look beside themselves first; then where LibTorch was when they were built, unless
# theirs is installed with them.
file(RELATIVE_PATH up "/${CMAKE_INSTALL_BINDIR}" "/${sbp_own_libtorch}")
set(sbp_install_rpath "$ORIGIN/${up}")
if(NOT SBP_INSTALL_LIBTORCH)
  list(APPEND sbp_install_rpath "${LibTorch_DIR}/lib" ${LibTorch_CUDA_RPATH})
endif()

# sbp_install_library(NAME HEADERS file...): the library sbp_NAME as sbp::NAME, with the headers of
# this folder that users may include. Those may include each other and nothing else of ours.
function(sbp_install_library name)
  cmake_parse_arguments(arg "" "" "HEADERS" ${ARGN})
  set_target_properties(sbp_${name} PROPERTIES EXPORT_NAME ${name})
  install(TARGETS sbp_${name} EXPORT sbpTargets
          ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          INCLUDES DESTINATION "${sbp_headers}")
  file(RELATIVE_PATH folder "${PROJECT_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  install(FILES ${arg_HEADERS} DESTINATION "${sbp_headers}/${folder}")
endfunction()

# sbp_install_program(NAME): bin/NAME, its man page and its completion.
function(sbp_install_program name)
  set_target_properties(${name} PROPERTIES INSTALL_RPATH "${sbp_install_rpath}")
  install(TARGETS ${name} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  set_property(GLOBAL APPEND PROPERTY SBP_INSTALLED_PROGRAMS ${name})
endfunction()

# Man pages and completions are what the programs say of themselves. Written when they are
# installed, or by the target `man`.
function(sbp_install_pages)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(NOT Python3_FOUND)
    message(STATUS "No Python: man pages and bash completion will not be installed")
    return()
  endif()
  get_property(names GLOBAL PROPERTY SBP_INSTALLED_PROGRAMS)
  list(TRANSFORM names PREPEND "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/" OUTPUT_VARIABLE programs)
  set(pages "${PROJECT_BINARY_DIR}/pages")
  set(command "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/cmake/write_pages.py" "${pages}"
              ${programs})
  add_custom_target(man COMMAND ${command} DEPENDS ${names} VERBATIM
                    COMMENT "Writing man pages and bash completion into ${pages}")
  list(JOIN command "\" \"" quoted)
  install(CODE "execute_process(COMMAND \"${quoted}\" COMMAND_ERROR_IS_FATAL ANY)")
  install(DIRECTORY "${pages}/man1" DESTINATION "${CMAKE_INSTALL_MANDIR}")
  install(DIRECTORY "${pages}/completions"
          DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/bash-completion")
endfunction()

# What libtorch_cpu.so and the libraries beside it need of each other, laid out as it finds them.
# Hard links where the file system allows them: they are half a gigabyte.
function(sbp_install_libtorch)
  set(torch_files "${LibTorch_DIR}/lib/libtorch_cpu.so" "${LibTorch_DIR}/lib/libc10.so")
  file(GLOB openmp "${LibTorch_DIR}/lib/libgomp*.so*" "${LibTorch_DIR}/lib/libiomp*.so*")
  set(links "")
  foreach(file IN LISTS torch_files openmp)
    list(APPEND links "${file}" "${sbp_own_libtorch}")
  endforeach()
  foreach(file IN LISTS LibTorch_CUDA_FILES)
    list(APPEND links "${file}" "${CMAKE_INSTALL_LIBDIR}/sbp/nvidia/cu13/lib")
  endforeach()
  if(SBP_INSTALL_LIBTORCH)
    set(how COMPONENT libtorch)
  else()
    set(how COMPONENT libtorch EXCLUDE_FROM_ALL)
  endif()
  install(CODE "
    set(links \"${links}\")
    while(links)
      list(POP_FRONT links file folder)
      set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/\${folder}\")
      get_filename_component(name \"\${file}\" NAME)
      get_filename_component(real \"\${file}\" REALPATH)
      message(STATUS \"Installing: \${folder}/\${name}\")
      file(MAKE_DIRECTORY \"\${folder}\")
      file(CREATE_LINK \"\${real}\" \"\${folder}/\${name}\" COPY_ON_ERROR)
    endwhile()" ${how})
endfunction()

# Everything that no folder installs itself; after all of them.
function(sbp_install_rest)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/reports/schema" DESTINATION
          "${CMAKE_INSTALL_DATAROOTDIR}/sbp" FILES_MATCHING PATTERN "*.schema.json")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/experiments/recipes" DESTINATION
          "${CMAKE_INSTALL_DATAROOTDIR}/sbp" FILES_MATCHING PATTERN "*.json")
  install(FILES "${PROJECT_SOURCE_DIR}/README.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
  set(out "${PROJECT_BINARY_DIR}/package")
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/sbpConfig.cmake.in"
    "${out}/sbpConfig.cmake" INSTALL_DESTINATION "${sbp_package}")
  write_basic_package_version_file("${out}/sbpConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${out}/sbpConfig.cmake" "${out}/sbpConfigVersion.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/FindLibTorch.cmake"
                "${PROJECT_SOURCE_DIR}/cmake/FindLibTorchCuda.cmake" DESTINATION "${sbp_package}")
  install(EXPORT sbpTargets NAMESPACE sbp:: DESTINATION "${sbp_package}")
  sbp_install_pages()
  sbp_install_libtorch()
endfunction()
