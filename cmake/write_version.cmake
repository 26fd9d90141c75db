# Run at build time: writes OUTPUT from TEMPLATE with VERSION and the commit of SOURCE_DIR, only
# when it would change. `+` after the commit: tracked files differ from it.
execute_process(COMMAND git rev-parse --short=12 HEAD WORKING_DIRECTORY "${SOURCE_DIR}"
                OUTPUT_VARIABLE COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE
                RESULT_VARIABLE failed ERROR_QUIET)
if(failed)
  set(COMMIT "unknown")
else()
  execute_process(COMMAND git diff-index --quiet HEAD -- WORKING_DIRECTORY "${SOURCE_DIR}"
                  RESULT_VARIABLE changed ERROR_QUIET)
  if(changed)
    string(APPEND COMMIT "+")
  endif()
endif()
configure_file("${TEMPLATE}" "${OUTPUT}" @ONLY)
