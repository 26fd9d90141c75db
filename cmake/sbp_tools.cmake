# Tools that only make the build quicker; a build without them gives the same programs.
# There is no precompiled header: sources include single operators of LibTorch, not all of it, so
# that one of `torch/torch.h` (44 s and 720 MB) would cost more than it saves.
find_program(SBP_CCACHE ccache)
mark_as_advanced(SBP_CCACHE)
if(SBP_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${SBP_CCACHE}")
endif()

include(CheckLinkerFlag)
check_linker_flag(CXX "-fuse-ld=lld" SBP_HAVE_LLD)
