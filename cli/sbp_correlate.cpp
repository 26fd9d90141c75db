// sbp-correlate: gradients under strategies against the exact one.
#include <unistd.h>

#include "cli/command.h"
#include "cli/delivery.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "experiments/runs/correlate_run.h"
#include "reports/json.h"
#include "reports/text.h"

namespace sbp::cli {
namespace {

ExitCode correlate(const std::vector<std::string>& arguments) {
  const auto parsed = parse_correlate(arguments);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) {
    write_stdout(answer->text);
    return ExitCode::ok;
  }
  const auto& command = std::get<CorrelateCommand>(parsed);
  if (!command.list.empty()) {
    write_stdout(listing(command.list));
    return ExitCode::ok;
  }

  const Delivery delivery("sbp-correlate", command.output);
  RunWatch watch(command.output.quiet);
  const reports::CorrelateReport report = experiments::run_correlate(command.run, watch.progress());
  watch.finish();
  const reports::TextOptions text{.top = command.top, .color = wants_color(STDOUT_FILENO)};
  delivery.deliver(reports::to_json(report), reports::to_text(report, text),
                   report.header.warnings);
  return report.interrupted ? ExitCode::interrupted : ExitCode::ok;
}

}  // namespace
}  // namespace sbp::cli

int main(int argc, char** argv) {
  sbp::cli::wait_without_spinning(argv);
  return sbp::cli::run_command("sbp-correlate", argc, argv, sbp::cli::correlate);
}
