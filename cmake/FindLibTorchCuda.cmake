# The CUDA half of LibTorch, for SBP_WITH_CUDA=ON. Included by FindLibTorch.cmake.
#
# Nothing here enables CMake's language CUDA: we compile no kernels, and CMake 3.25 does not know the
# C++20 dialect of nvcc. Headers come from beside LibTorch (tools/setup) or from a toolkit; the
# libraries that libtorch_cuda.so needs are looked for in both, and a missing one is named here
# rather than by the loader.
#
# Gives sbp_libtorch::c10_cuda and sbp_libtorch::torch_cuda, and LibTorch_CUDA_LIBRARIES, in words.

# What libtorch_cuda.so needs: file, folder beside LibTorch, and the wheel that has it.
set(sbp_cuda_needs
  "libcublas.so.13|cu13|nvidia-cublas"
  "libcublasLt.so.13|cu13|nvidia-cublas"
  "libcudart.so.13|cu13|nvidia-cuda-runtime"
  "libcudnn.so.9|cudnn|nvidia-cudnn-cu13"
  "libcufft.so.12|cu13|nvidia-cufft"
  "libcufile.so.0|cu13|nvidia-cufile"
  "libcurand.so.10|cu13|nvidia-curand"
  "libcusparse.so.12|cu13|nvidia-cusparse"
  "libcusparseLt.so.0|cusparselt|nvidia-cusparselt-cu13"
  "libnccl.so.2|nccl|nvidia-nccl-cu13"
  "libnvJitLink.so.13|cu13|nvidia-nvjitlink"
  "libnvrtc.so.13|cu13|nvidia-cuda-nvrtc"
  "libnvshmem_host.so.3|nvshmem|nvidia-nvshmem-cu13")

# The folders that our programs must say, for what is not beside LibTorch; all missing files named.
function(sbp_cuda_folders out_folders)
  set(toolkits $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda /usr/local/cuda-13.0)
  set(folders "")
  set(missing "")
  foreach(need IN LISTS sbp_cuda_needs)
    string(REPLACE "|" ";" need "${need}")
    list(GET need 0 file)
    list(GET need 1 folder)
    list(GET need 2 wheel)
    if(EXISTS "${LibTorch_DIR}/../nvidia/${folder}/lib/${file}")
      continue()  # its own run path finds it
    endif()
    unset(found)
    find_library(found NAMES "${file}" HINTS ${toolkits} PATH_SUFFIXES lib64 lib NO_CACHE)
    if(found)
      get_filename_component(directory "${found}" DIRECTORY)
      list(APPEND folders "${directory}")
    else()
      list(APPEND missing "${file} (wheel ${wheel})")
    endif()
  endforeach()
  if(missing)
    list(JOIN missing ", " missing)
    message(FATAL_ERROR "SBP_WITH_CUDA=ON: libtorch_cuda.so needs what is neither beside "
                        "'${LibTorch_DIR}' nor in a CUDA 13 toolkit: ${missing}; run tools/setup "
                        "with SBP_WITH_CUDA=1 in the environment")
  endif()
  list(REMOVE_DUPLICATES folders)
  set(${out_folders} "${folders}" PARENT_SCOPE)
endfunction()

foreach(file IN ITEMS libtorch_cuda.so libc10_cuda.so)
  if(NOT EXISTS "${LibTorch_DIR}/lib/${file}")
    message(FATAL_ERROR "SBP_WITH_CUDA=ON: '${LibTorch_DIR}/lib' has no ${file}; run tools/setup with "
                        "SBP_WITH_CUDA=1 in the environment, which fetches it into build/deps-cuda "
                        "or $SBP_DEPS_DIR, or give a CUDA build of LibTorch with "
                        "-DSBP_LIBTORCH_DIR=PATH")
  endif()
endforeach()
find_path(SBP_CUDA_RUNTIME_INCLUDE_DIR cuda_runtime_api.h
          HINTS "${LibTorch_DIR}/../nvidia/cu13/include" $ENV{CUDA_HOME} $ENV{CUDA_PATH}
                /usr/local/cuda /usr/local/cuda-13.0
          PATH_SUFFIXES include)
if(NOT SBP_CUDA_RUNTIME_INCLUDE_DIR)
  message(FATAL_ERROR "SBP_WITH_CUDA=ON: cuda_runtime_api.h is neither beside '${LibTorch_DIR}' nor in "
                      "a CUDA 13 toolkit; run tools/setup with SBP_WITH_CUDA=1 in the environment")
endif()
sbp_cuda_folders(sbp_cuda_folders)
if(sbp_cuda_folders)
  set(LibTorch_CUDA_LIBRARIES "${sbp_cuda_folders} and beside LibTorch")
else()
  set(LibTorch_CUDA_LIBRARIES "beside LibTorch")
endif()
list(APPEND LibTorch_CUDA_RPATH ${sbp_cuda_folders})
list(REMOVE_DUPLICATES LibTorch_CUDA_RPATH)

if(NOT TARGET sbp_libtorch::c10_cuda)
  add_library(sbp_libtorch::c10_cuda SHARED IMPORTED)
  set_target_properties(sbp_libtorch::c10_cuda PROPERTIES
    IMPORTED_LOCATION "${LibTorch_DIR}/lib/libc10_cuda.so"
    INTERFACE_INCLUDE_DIRECTORIES "${SBP_CUDA_RUNTIME_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES sbp_libtorch::c10)
  add_library(sbp_libtorch::torch_cuda SHARED IMPORTED)
  set_target_properties(sbp_libtorch::torch_cuda PROPERTIES
    IMPORTED_LOCATION "${LibTorch_DIR}/lib/libtorch_cuda.so"
    INTERFACE_LINK_LIBRARIES "sbp_libtorch::c10_cuda;sbp_libtorch::torch_cpu"
    # Nobody names a symbol of it: its kernels register themselves when it is loaded.
    INTERFACE_LINK_OPTIONS "LINKER:--no-as-needed")
  foreach(folder IN LISTS sbp_cuda_folders)
    set_property(TARGET sbp_libtorch::torch_cuda APPEND PROPERTY INTERFACE_LINK_OPTIONS
      "LINKER:--disable-new-dtags" "LINKER:-rpath,${folder}" "LINKER:-rpath-link,${folder}")
  endforeach()
endif()
