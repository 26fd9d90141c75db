# sbp_warnings: what the compiler must not be silent about in our own sources.
add_library(sbp_warnings INTERFACE)
target_compile_options(sbp_warnings INTERFACE
  -Wall -Wextra -Wpedantic
  -Wshadow                # a name that hides another is read wrongly
  -Wconversion            # bytes and counts must not lose bits silently
  -Wnon-virtual-dtor      # deleting through such a base is undefined
  # g++ 12 warns about its own std::string where "literal" + string is inlined.
  "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>"
  "$<$<BOOL:${SBP_WERROR}>:-Werror>")
