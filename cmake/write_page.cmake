# Run at build time: puts the page's style and scripts into its skeleton and writes OUTPUT, a C++
# source. FOLDER: reports/html; SCRIPTS: files in it, in order. The page allows only this style and
# this script, by their hashes.

# SHA-256 as a content security policy writes it: 'sha256-' and base64.
function(policy_hash text result)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(SHA256 hex "${text}")
  set(encoded "")
  # Three hexadecimal digits are two letters; of the 64 digits one is left, which is one more.
  foreach(at RANGE 0 60 3)
    string(SUBSTRING "${hex}" ${at} 3 digits)
    math(EXPR high "0x${digits} >> 6")
    math(EXPR low "0x${digits} & 63")
    string(SUBSTRING "${alphabet}" ${high} 1 first)
    string(SUBSTRING "${alphabet}" ${low} 1 second)
    string(APPEND encoded "${first}${second}")
  endforeach()
  string(SUBSTRING "${hex}" 63 1 digit)
  math(EXPR last "0x${digit} << 2")
  string(SUBSTRING "${alphabet}" ${last} 1 letter)
  set(${result} "sha256-${encoded}${letter}=" PARENT_SCOPE)
endfunction()

file(READ "${FOLDER}/page.html" page)
file(READ "${FOLDER}/page.css" style)
set(script "\"use strict\";\n")
string(REPLACE "," ";" scripts "${SCRIPTS}")
foreach(name IN LISTS scripts)
  file(READ "${FOLDER}/${name}" text)
  string(APPEND script "\n${text}")
endforeach()

policy_hash("${script}" script_hash)
policy_hash("${style}" style_hash)
string(REPLACE "@SCRIPT_HASH@" "${script_hash}" page "${page}")
string(REPLACE "@STYLE_HASH@" "${style_hash}" page "${page}")
string(REPLACE "@STYLE@" "${style}" page "${page}")
string(REPLACE "@SCRIPT@" "${script}" page "${page}")

set(source "// Written by cmake/write_page.cmake from reports/html.\n")
string(APPEND source "#include \"reports/html_page.h\"\n\nnamespace sbp::reports {\n\n")
string(APPEND source "const std::string_view kHtmlPage = R\"sbp_page(${page})sbp_page\";\n\n")
string(APPEND source "}  // namespace sbp::reports\n")
file(WRITE "${OUTPUT}" "${source}")
