#include "reports/html.h"

#include <string_view>

#include "reports/html_data.h"
#include "reports/html_page.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

// Text between tags.
std::string escaped(std::string_view text) {
  std::string safe;
  for (const char byte : text) {
    switch (byte) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      default: safe += byte;
    }
  }
  return safe;
}

// JSON that can stand in a script element: no '<' ends it, and nothing in it ends a line of a
// script. All three signs occur inside JSON's strings alone, where the escape means the same.
std::string in_script(std::string_view json) {
  std::string safe;
  safe.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] == '<') {
      safe += "\\u003c";
    } else if (json.substr(i, 3) == "\u2028") {
      safe += "\\u2028";
      i += 2;
    } else if (json.substr(i, 3) == "\u2029") {
      safe += "\\u2029";
      i += 2;
    } else {
      safe += json[i];
    }
  }
  return safe;
}

std::string dumped(const Json& value) {
  // Bytes that are not UTF-8 (a file name may hold any) become U+FFFD instead of an exception.
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string title_of(const std::vector<PageInput>& inputs) {
  std::string title;
  for (std::size_t i = 0; i < inputs.size() && i < 3; ++i) {
    if (i > 0) title += ", ";
    title += inputs[i].name;
  }
  if (inputs.size() > 3) title += concat(" and ", inputs.size() - 3, " more");
  return title;
}

// The page around its title and data.
std::string filled_page(std::string_view title, std::string_view data) {
  constexpr std::string_view kTitle = "@TITLE@";
  constexpr std::string_view kData = "@DATA@";
  const std::size_t title_at = kHtmlPage.find(kTitle);
  const std::size_t data_at = kHtmlPage.find(kData);
  const std::size_t after_title = title_at + kTitle.size();
  std::string page;
  page.reserve(kHtmlPage.size() + title.size() + data.size());
  page += kHtmlPage.substr(0, title_at);
  page += title;
  page += kHtmlPage.substr(after_title, data_at - after_title);
  page += data;
  page += kHtmlPage.substr(data_at + kData.size());
  return page;
}

}  // namespace

std::string html_page(const std::vector<PageInput>& inputs) {
  Json data = Json::object();
  Json list = Json::array();
  for (const PageInput& input : inputs) {
    Json entry = Json::object();
    entry["name"] = input.name;
    entry["report"] = page_data(input.report);
    const auto* sweep = std::get_if<SweepReport>(&input.report);
    if (sweep != nullptr && input.points) add_point_details(entry["report"], *sweep, input.points);
    list.push_back(std::move(entry));
  }
  data["inputs"] = std::move(list);
  // Through a dump, so that a name that is not UTF-8 is mended in the title as in the data.
  const std::string title = Json::parse(dumped(Json(title_of(inputs)))).get<std::string>();
  return filled_page(escaped(title), in_script(dumped(data)));
}

}  // namespace sbp::reports
