// The page's skeleton with style and scripts, made from reports/html at build time.
#pragma once

#include <string_view>

namespace sbp::reports {

// HTML with the places @TITLE@ and @DATA@.
extern const std::string_view kHtmlPage;

}  // namespace sbp::reports
