# SBP_CUPTI_INCLUDE_DIR, SBP_CUDA_INCLUDE_DIR: where cupti.h and cuda.h of CUDA 13.0 are, beside
# LibTorch or in a toolkit. The first is empty where this build has no CUPTI.
set(toolkits $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda /usr/local/cuda-13.0)
find_path(SBP_CUPTI_INCLUDE_DIR cupti.h
          HINTS "${LibTorch_DIR}/../nvidia/cu13/include" ${toolkits}
          PATH_SUFFIXES include extras/CUPTI/include)
find_path(SBP_CUDA_INCLUDE_DIR cuda.h  # which cupti.h includes
          HINTS "${SBP_CUPTI_INCLUDE_DIR}" "${LibTorch_DIR}/../nvidia/cu13/include" ${toolkits}
          PATH_SUFFIXES include)
if(SBP_CUPTI_INCLUDE_DIR AND SBP_CUDA_INCLUDE_DIR)
  file(STRINGS "${SBP_CUPTI_INCLUDE_DIR}/cupti_version.h" line REGEX "^#define CUPTI_API_VERSION")
  string(REGEX MATCH "[0-9]+$" SBP_CUPTI_VERSION "${line}")
  set(summary_cupti "headers of API version ${SBP_CUPTI_VERSION} at ${SBP_CUPTI_INCLUDE_DIR}")
  if(NOT SBP_CUPTI_VERSION EQUAL 130001)
    set(summary_cupti "not in this build: ${SBP_CUPTI_INCLUDE_DIR} has API version "
                      "${SBP_CUPTI_VERSION}, CUDA 13.0 has 130001")
    list(JOIN summary_cupti "" summary_cupti)
    set(SBP_CUPTI_INCLUDE_DIR "")  # for this run; the cache keeps where it was found
  endif()
else()
  set(SBP_CUPTI_INCLUDE_DIR "")
  set(summary_cupti "not in this build: no cupti.h and cuda.h found")
endif()
