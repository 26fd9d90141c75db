# Finds LibTorch without its own package file, which asks for a CUDA compiler.
#
# Looks, in this order, at SBP_LIBTORCH_DIR (CMake or environment) and at build/deps/torch, where
# tools/setup puts it ($SBP_DEPS_DIR/torch when that is set; build/deps-cuda with SBP_WITH_CUDA). Both layouts are taken: the torch/
# folder of the Python wheel and the libtorch/ folder of the C++ distribution.
#
# Gives the imported targets sbp_libtorch::torch_cpu and sbp_libtorch::c10, with SBP_WITH_CUDA also
# sbp_libtorch::torch_cuda and sbp_libtorch::c10_cuda (FindLibTorchCuda.cmake), and LibTorch_VERSION,
# LibTorch_MINOR_VERSION, LibTorch_DIR, LibTorch_CUDA_RUNTIME (where libcupti and libcudart come
# from, in words), LibTorch_CUDA_FILES (the two, if needed), LibTorch_CUDA_RPATH (their folders, if
# programs must say them).

function(sbp_libtorch_place out)
  if(SBP_LIBTORCH_DIR)
    set(place "${SBP_LIBTORCH_DIR}")
  elseif(DEFINED ENV{SBP_LIBTORCH_DIR} AND NOT "$ENV{SBP_LIBTORCH_DIR}" STREQUAL "")
    set(place "$ENV{SBP_LIBTORCH_DIR}")
  elseif(DEFINED ENV{SBP_DEPS_DIR} AND NOT "$ENV{SBP_DEPS_DIR}" STREQUAL "")
    set(place "$ENV{SBP_DEPS_DIR}/torch")
  elseif(SBP_WITH_CUDA)
    set(place "${PROJECT_SOURCE_DIR}/build/deps-cuda/torch")
  else()
    set(place "${PROJECT_SOURCE_DIR}/build/deps/torch")
  endif()
  get_filename_component(place "${place}" ABSOLUTE BASE_DIR "${PROJECT_SOURCE_DIR}")
  # A folder that holds the folder is a natural slip.
  foreach(candidate IN ITEMS "${place}" "${place}/torch" "${place}/libtorch")
    if(EXISTS "${candidate}/lib/libtorch_cpu.so")
      set(${out} "${candidate}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "Looking for LibTorch: '${place}' has no lib/libtorch_cpu.so; run tools/setup "
                      "to fetch it, or give yours with -DSBP_LIBTORCH_DIR=PATH")
endfunction()

# The version from the headers; older releases kept it elsewhere.
function(sbp_libtorch_version out directory)
  set(version "")
  foreach(header IN ITEMS torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(EXISTS "${directory}/include/${header}")
      file(STRINGS "${directory}/include/${header}" lines
           REGEX "^#define TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
      if(lines)
        string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
        list(JOIN numbers "." version)
        break()
      endif()
    endif()
  endforeach()
  if(NOT version)
    message(FATAL_ERROR "Reading LibTorch's version: '${directory}/include' has no "
                        "torch/headeronly/version.h with TORCH_VERSION_MAJOR; is it LibTorch?")
  endif()
  set(${out} "${version}" PARENT_SCOPE)
endfunction()

# The folder of libcupti.so.13 and libcudart.so.13, which a CUDA build's libtorch_cpu.so needs.
# Beside the wheel its own run path finds them; elsewhere our programs must say where they are.
function(sbp_libtorch_cuda_runtime directory out_text out_files out_rpath)
  set(${out_rpath} "" PARENT_SCOPE)
  set(${out_files} "" PARENT_SCOPE)
  get_filename_component(beside "${directory}/../nvidia/cu13/lib" ABSOLUTE)
  if(EXISTS "${beside}/libcupti.so.13" AND EXISTS "${beside}/libcudart.so.13")
    set(${out_text} "beside LibTorch" PARENT_SCOPE)
    set(${out_files} "${beside}/libcupti.so.13" "${beside}/libcudart.so.13" PARENT_SCOPE)
    return()
  endif()
  set(needed "")
  if(CMAKE_READELF)
    execute_process(COMMAND "${CMAKE_READELF}" -d "${directory}/lib/libtorch_cpu.so"
                    OUTPUT_VARIABLE needed ERROR_QUIET)
  endif()
  if(NOT needed MATCHES "libcupti\\.so\\.13")
    set(${out_text} "not needed by this LibTorch" PARENT_SCOPE)
    return()
  endif()
  set(toolkits /usr/local/cuda /usr/local/cuda-13.0 $ENV{CUDA_HOME} $ENV{CUDA_PATH})
  find_library(SBP_CUPTI NAMES libcupti.so.13
               HINTS ${toolkits} PATH_SUFFIXES lib64 lib extras/CUPTI/lib64 NO_CACHE)
  find_library(SBP_CUDART NAMES libcudart.so.13
               HINTS ${toolkits} PATH_SUFFIXES lib64 lib NO_CACHE)
  if(NOT SBP_CUPTI OR NOT SBP_CUDART)
    message(FATAL_ERROR "Looking for libcupti.so.13 and libcudart.so.13, which '${directory}' needs: "
                        "neither '${beside}' nor a CUDA 13 toolkit has them; unpack the wheels "
                        "nvidia-cuda-cupti and nvidia-cuda-runtime there, or run tools/setup without "
                        "SBP_LIBTORCH_DIR")
  endif()
  get_filename_component(cupti "${SBP_CUPTI}" DIRECTORY)
  get_filename_component(cudart "${SBP_CUDART}" DIRECTORY)
  set(folders "${cupti}" "${cudart}")
  list(REMOVE_DUPLICATES folders)
  set(${out_text} "${folders}" PARENT_SCOPE)
  set(${out_files} "${SBP_CUPTI}" "${SBP_CUDART}" PARENT_SCOPE)
  set(${out_rpath} "${folders}" PARENT_SCOPE)
endfunction()

sbp_libtorch_place(LibTorch_DIR)
sbp_libtorch_version(LibTorch_VERSION "${LibTorch_DIR}")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" LibTorch_MINOR_VERSION "${LibTorch_VERSION}")
if(NOT LibTorch_MINOR_VERSION VERSION_EQUAL LibTorch_FIND_VERSION)
  message(FATAL_ERROR "LibTorch at '${LibTorch_DIR}' is version '${LibTorch_VERSION}'; this project "
                      "hooks into internals of ${LibTorch_FIND_VERSION} and needs a "
                      "${LibTorch_FIND_VERSION}.x: run tools/setup to fetch it, or give another path "
                      "with -DSBP_LIBTORCH_DIR=PATH")
endif()
sbp_libtorch_cuda_runtime("${LibTorch_DIR}" LibTorch_CUDA_RUNTIME LibTorch_CUDA_FILES
                          LibTorch_CUDA_RPATH)

if(NOT TARGET sbp_libtorch::c10)
  add_library(sbp_libtorch::c10 SHARED IMPORTED)
  set_target_properties(sbp_libtorch::c10 PROPERTIES
    IMPORTED_LOCATION "${LibTorch_DIR}/lib/libc10.so"
    INTERFACE_INCLUDE_DIRECTORIES # imported, therefore SYSTEM: its warnings are not ours
      "${LibTorch_DIR}/include;${LibTorch_DIR}/include/torch/csrc/api/include")
  add_library(sbp_libtorch::torch_cpu SHARED IMPORTED)
  set_target_properties(sbp_libtorch::torch_cpu PROPERTIES
    IMPORTED_LOCATION "${LibTorch_DIR}/lib/libtorch_cpu.so"
    INTERFACE_LINK_LIBRARIES sbp_libtorch::c10)
  foreach(folder IN LISTS LibTorch_CUDA_RPATH)
    # The old tag, because libtorch_cpu.so's own needs are looked up along it too.
    set_property(TARGET sbp_libtorch::torch_cpu APPEND PROPERTY INTERFACE_LINK_OPTIONS
      "LINKER:--disable-new-dtags" "LINKER:-rpath,${folder}" "LINKER:-rpath-link,${folder}")
  endforeach()
endif()
if(SBP_WITH_CUDA)
  include("${CMAKE_CURRENT_LIST_DIR}/FindLibTorchCuda.cmake")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LibTorch_DIR VERSION_VAR LibTorch_VERSION)
