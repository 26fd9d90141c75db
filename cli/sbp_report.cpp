// sbp-report: reports as text and tables, and the difference of two.
#include <unistd.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report_inputs.h"
#include "cli/report_page.h"
#include "cli/terminal.h"
#include "reports/budget.h"
#include "reports/chrome_trace.h"
#include "reports/diff.h"
#include "reports/documents.h"
#include "reports/memory_events.h"
#include "reports/memory_pickle.h"
#include "reports/render.h"
#include "reports/text.h"

namespace sbp::cli {
namespace {

using Inputs = std::vector<ReportInput>;

std::vector<reports::NamedReport> named(const Inputs& inputs) {
  std::vector<reports::NamedReport> reports;
  for (const ReportInput& input : inputs) reports.push_back({input.name, input.report});
  return reports;
}

// A sweep's text needs the groups that its own command does not tell of.
std::string text_of(const ReportCommand& command, const reports::AnyReport& report,
                    const reports::TextOptions& options) {
  if (const auto* sweep = std::get_if<reports::SweepReport>(&report)) {
    return document_text(document_of(*sweep, command.baseline), options);
  }
  return std::visit([&](const auto& any) { return to_text(any, options); }, report);
}

// Every report's text, and of several a comparison behind them; a sweep is in none.
std::string texts_of(const ReportCommand& command, const Inputs& inputs,
                     const reports::TextOptions& options) {
  std::string text;
  for (const ReportInput& input : inputs) {
    if (!text.empty()) text += "\n";
    text += text_of(command, input.report, options);
  }
  const bool any_sweep = std::ranges::any_of(inputs, [](const ReportInput& input) {
    return std::holds_alternative<reports::SweepReport>(input.report);
  });
  if (inputs.size() == 1 || any_sweep) return text;
  return text + "\n" + document_text(comparison_of(named(inputs)), options);
}

std::string rendered(const ReportCommand& command, const reports::Document& document,
                     const std::string& subject, const reports::TextOptions& options) {
  if (command.table.empty()) {
    if (command.format == "text") return document_text(document, options);
    if (command.format == "markdown") return document_markdown(document, options);
    if (command.format == "json") return document_json(document);
  }
  const reports::DataTable& table =
      table_named(document, command.table.empty() ? document.main_table : command.table, subject);
  if (command.format == "markdown") return table_markdown(table, options);
  if (command.format == "csv") return table_csv(table);
  return command.format == "json" ? table_json(table) : table_text(table, options);
}

reports::TextOptions text_options(const ReportCommand& command) {
  const bool to_terminal = command.output.empty() && wants_color(STDOUT_FILENO);
  return {.top = command.top, .color = to_terminal};
}

std::string result_of(const ReportCommand& command, const Inputs& inputs) {
  const reports::TextOptions options = text_options(command);
  if (command.diff) {
    const auto reports = named(inputs);
    return rendered(command, difference_of(reports[0], reports[1]), "a difference", options);
  }
  const bool is_sweep = std::holds_alternative<reports::SweepReport>(inputs[0].report);
  if (!command.baseline.empty() && !is_sweep) {
    throw UsageError(concat("--baseline is for sweeps; '", inputs[0].name, "' is of kind '",
                            kind_of(inputs[0].report), "'"));
  }
  if (command.format == "text" && command.table.empty()) return texts_of(command, inputs, options);
  if (inputs.size() > 1) {
    return rendered(command, comparison_of(named(inputs)), "a comparison", options);
  }
  const reports::Document document =
      is_sweep ? document_of(std::get<reports::SweepReport>(inputs[0].report), command.baseline)
               : document_of(inputs[0].report);
  return rendered(command, document, concat("'", inputs[0].name, "'"), options);
}

// The tables, and what is over; empty: nothing is.
struct Result {
  std::string text;
  std::string over;
};

Result checked(const ReportCommand& command, const Inputs& inputs) {
  const reports::Budget budget = reports::parse_budget(read_file(command.budget), command.budget);
  std::vector<reports::BudgetCheck> checks;
  std::vector<std::string> over;
  for (const reports::NamedReport& report : named(inputs)) {
    checks.push_back(check_budget(budget, report));
    if (std::string text = over_budget_text(checks.back()); !text.empty()) over.push_back(text);
  }
  return {.text = rendered(command, document_of(checks), "a budget", text_options(command)),
          .over = join(over, "; ")};
}

void write_exports(const ReportCommand& command) {
  using Content = OutputFile::Content;
  const auto file_for = [&](const std::string& path, Content content) {
    return path.empty() ? std::nullopt
                        : std::optional<OutputFile>(std::in_place, path, command.force, content);
  };
  const std::optional<OutputFile> trace = file_for(command.chrome_trace, Content::text);
  const std::optional<OutputFile> pickle = file_for(command.memory_pickle, Content::binary);
  const Inputs inputs = read_report_inputs(command.files);
  const reports::NamedReport report = named(inputs).front();
  if (const reports::PredictionReport* prediction = prediction_with_blocks(report)) {
    if (trace) trace->write(chrome_trace(*prediction));
    if (pickle) pickle->write(memory_pickle(*prediction));
    return;
  }
  const reports::ProfileReport& profile = profile_with_blocks(report);
  if (trace) trace->write(chrome_trace(profile));
  if (pickle) pickle->write(memory_pickle(profile));
}

ExitCode report(const std::vector<std::string>& arguments) {
  const auto parsed = parse_report_command(arguments);
  if (const Answer* answer = std::get_if<Answer>(&parsed)) {
    write_stdout(answer->text);
    return ExitCode::ok;
  }
  const auto& command = std::get<ReportCommand>(parsed);
  if (!command.html.empty()) {
    write_page(command);
    return ExitCode::ok;
  }
  if (command.exports()) {
    write_exports(command);
    return ExitCode::ok;
  }
  const OutputFile file(command.output.empty() ? "-" : command.output, command.force);
  const Inputs inputs = read_report_inputs(command.files);
  const Result result =
      command.budget.empty() ? Result{result_of(command, inputs), {}} : checked(command, inputs);
  file.write(result.text);
  if (!result.over.empty()) throw Error(result.over);
  return ExitCode::ok;
}

}  // namespace
}  // namespace sbp::cli

int main(int argc, char** argv) {
  return sbp::cli::run_command("sbp-report", argc, argv, sbp::cli::report);
}
