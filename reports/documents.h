// Reports as documents: what render.h shows as text, Markdown, CSV or JSON.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "reports/data_table.h"
#include "reports/json.h"

namespace sbp::reports {

Document document_of(const ProfileReport& report);
Document document_of(const TrainReport& report);
Document document_of(const CorrelateReport& report);
Document document_of(const PredictionReport& report);
// `baseline`: see summary_of.
Document document_of(const SweepReport& report, const std::string& baseline = {});
Document document_of(const AnyReport& report);

// A report and where it came from (a file).
struct NamedReport {
  std::string name;
  AnyReport report;
};

// One row a report (of sbp-correlate: one a strategy), and what differs between their
// configurations. Throws Error for a sweep, whose points are rows of its own.
Document comparison_of(const std::vector<NamedReport>& reports);

// "profile", "train", ...; the kind's word in JSON.
std::string kind_of(const AnyReport& report);

// ---- tables that several kinds have

DataTable plan_table(const std::vector<PlanEntry>& plan);
// Largest first.
DataTable categories_table(const profiler::CategoryBytes& bytes, std::int64_t whole_bytes);
// One row: model, strategy and the figures.
DataTable summary_table(const ModelFacts& model, const StrategyOutcome& strategy,
                        const PointFigures& figures);

}  // namespace sbp::reports
