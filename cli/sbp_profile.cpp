// sbp-profile: one traced training step.
#include <unistd.h>

#include "cli/command.h"
#include "cli/delivery.h"
#include "cli/listing.h"
#include "cli/options.h"
#include "experiments/runs/predict_run.h"
#include "experiments/runs/profile_run.h"
#include "experiments/runs/published_run.h"
#include "reports/format.h"
#include "reports/json.h"
#include "reports/render.h"
#include "reports/text.h"

namespace sbp::cli {
namespace {

ExitCode print_plan(const ProfileCommand& command) {
  const experiments::PlanPreview preview = experiments::preview_plan(command.run);
  if (command.output.json) {
    write_stdout(reports::plan_json(preview.plan, preview.strategy));
  } else if (!command.output.quiet) {
    write_stdout(reports::plan_text(preview.plan, preview.strategy));
  }
  if (command.output.quiet) return ExitCode::ok;
  for (const std::string& warning : preview.warnings) {
    write_stderr("sbp-profile: warning: " + reports::printable(warning) + "\n");
  }
  return ExitCode::ok;
}

template <typename Report>
void deliver(const Delivery& delivery, const Report& report, const ProfileCommand& command,
             RunWatch& watch) {
  watch.finish();
  const reports::TextOptions text{.top = command.top, .color = wants_color(STDOUT_FILENO)};
  delivery.deliver(reports::to_json(report), reports::to_text(report, text),
                   report.header.warnings);
}

ExitCode profile(const std::vector<std::string>& arguments) {
  const auto parsed = parse_profile(arguments);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) {
    write_stdout(answer->text);
    return ExitCode::ok;
  }
  const auto& command = std::get<ProfileCommand>(parsed);
  if (!command.list.empty()) {
    write_stdout(listing(command.list));
    return ExitCode::ok;
  }
  const bool writes_report = !command.output.path.empty() || command.output.json;
  if (command.run.keep_blocks && (command.print_plan || !writes_report)) {
    throw UsageError("--blocks keeps them in the report, which is not written; add --output FILE");
  }
  if (command.print_plan) return print_plan(command);

  const Delivery delivery("sbp-profile", command.output);
  RunWatch watch(command.output.quiet);
  if (!command.published.empty()) {
    const reports::Document document =
        experiments::predict_published(command.published, command.run.predict, watch.progress());
    watch.finish();
    const reports::TextOptions text{.top = command.top, .color = wants_color(STDOUT_FILENO)};
    delivery.deliver(reports::document_json(document), reports::document_text(document, text), {});
  } else if (!command.run.predict.empty()) {
    deliver(delivery, experiments::run_prediction(command.run, watch.progress()), command, watch);
  } else {
    deliver(delivery, experiments::run_profile(command.run, watch.progress()), command, watch);
  }
  return ExitCode::ok;
}

}  // namespace
}  // namespace sbp::cli

int main(int argc, char** argv) {
  sbp::cli::wait_without_spinning(argv);
  return sbp::cli::run_command("sbp-profile", argc, argv, sbp::cli::profile);
}
