#include "cli/report_page.h"

#include <vector>

#include "cli/output.h"
#include "reports/html.h"
#include "reports/json.h"

namespace sbp::cli {

void write_page(const ReportCommand& command) {
  const OutputFile file(command.html, command.force);
  std::vector<reports::PageInput> inputs;
  for (const std::string& name : command.files) {
    inputs.push_back({.name = name == "-" ? "standard input" : name,
                      .report = reports::parse_report(read_file(name), name)});
  }
  file.write(reports::html_page(inputs));
}

}  // namespace sbp::cli
