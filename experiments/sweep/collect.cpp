#include "experiments/sweep/collect.h"

#include <algorithm>
#include <type_traits>

#include "reports/figures.h"
#include "sbp/base/error.h"

namespace sbp::sweep {
namespace {

using namespace reports;

template <typename Report>
const char* command_of(const Report&) {
  if constexpr (std::is_same_v<Report, TrainReport>) return "train";
  if constexpr (std::is_same_v<Report, ProfileReport>) return "profile";
  if constexpr (std::is_same_v<Report, CorrelateReport>) return "correlate";
  if constexpr (std::is_same_v<Report, PredictionReport>) return "profile";
  return "sweep";
}

PointFigures figures_of_any(const ProfileReport& report) {
  return figures_of(report);
}
PointFigures figures_of_any(const PredictionReport& report) {
  return figures_of(report);
}
PointFigures figures_of_any(const TrainReport& report) {
  return figures_of(report);
}
PointFigures figures_of_any(const SweepReport&) {
  return {};
}
// Of its strategy, where there is one alone.
PointFigures figures_of_any(const CorrelateReport& report) {
  if (report.strategies.size() == 1) return figures_of(report, report.strategies.front());
  return {};
}

template <typename Report>
bool is_interrupted(const Report& report) {
  if constexpr (requires { report.interrupted; })
    return report.interrupted;
  else
    return false;
}

template <typename Report>
void check(const Report& report, const std::string& command,
           const std::vector<std::string>& words) {
  if (command_of(report) != command) {
    throw Error(concat("it is a report of sbp-", command_of(report), ", not of sbp-", command));
  }
  if (is_interrupted(report)) throw Error("it is of a run that was interrupted");
  const std::vector<std::string>& line = report.header.command_line;
  const bool same =
      line.size() > words.size() && std::equal(words.begin(), words.end(), line.begin() + 1);
  if (!same) throw Error("it is a report of other options than this point has");
}

}  // namespace

std::string version_text(const Environment& environment) {
  std::string text = environment.sbp_version;
  if (!environment.git_commit.empty()) text += " (" + environment.git_commit + ")";
  if (!environment.libtorch_version.empty()) text += ", LibTorch " + environment.libtorch_version;
  return text;
}

PointFacts facts_of(const AnyReport& report, const std::string& command,
                    const std::vector<std::string>& words) {
  return std::visit(
      [&](const auto& any) {
        check(any, command, words);
        return PointFacts{.figures = figures_of_any(any),
                          .version = version_text(any.header.environment),
                          .machine = any.header.environment.processor,
                          .threads = any.header.environment.threads};
      },
      report);
}

}  // namespace sbp::sweep
