// What documents of several kinds share.
#include <algorithm>
#include <numeric>

#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/json_words.h"
#include "reports/sections.h"

namespace sbp::reports {

std::string kind_of(const AnyReport& report) {
  struct Word {
    std::string_view operator()(const ProfileReport&) const { return kProfileKind; }
    std::string_view operator()(const TrainReport&) const { return kTrainKind; }
    std::string_view operator()(const CorrelateReport&) const { return kCorrelateKind; }
    std::string_view operator()(const SweepReport&) const { return kSweepKind; }
    std::string_view operator()(const PredictionReport&) const { return kPredictionKind; }
  };
  return std::string(std::visit(Word(), report));
}

Document document_of(const AnyReport& report) {
  return std::visit([](const auto& any) { return document_of(any); }, report);
}

DataTable plan_table(const std::vector<PlanEntry>& plan) {
  const std::string nothing_dropped = "no rows are dropped at this site";
  DataTable table{.name = "plan", .title = "plan"};
  table.columns = {text_column("site"),
                   text_column("kind"),
                   text_column("claimed_by", "by"),
                   text_column("select"),
                   {"keep_ratio", "keep"},
                   {"effective_keep_ratio", "effective"},
                   {"rows"},
                   {"kept_rows"},
                   text_column("mask_group", "mask"),
                   text_column("materialise", "memory"),
                   text_column("code")};
  for (const PlanEntry& entry : plan) {
    table.add({cell::Text{entry.site}, cell::Text{entry.kind}, cell::Text{entry.claimed_by},
               cell::Text{entry.select}, cell_or<cell::Number>(entry.keep_ratio, nothing_dropped),
               cell_or<cell::Number>(entry.effective_keep_ratio, nothing_dropped),
               cell::Count{entry.rows}, cell::Count{entry.kept_rows}, cell::Text{entry.mask_group},
               cell::Text{entry.materialise}, cell::Text{entry.code}});
  }
  return table;
}

DataTable categories_table(const profiler::CategoryBytes& bytes, std::int64_t whole_bytes) {
  DataTable table{.name = "categories", .title = "alive at the peak"};
  table.columns = {text_column("category"), {"bytes", "bytes"}, {"share"}};
  std::vector<std::size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return bytes[i]; });
  for (const std::size_t i : order) {
    if (bytes[i] == 0) continue;
    table.add({cell::Word{std::string(to_string(static_cast<profiler::Category>(i)))},
               cell::Bytes{bytes[i]},
               cell::Percent{static_cast<double>(bytes[i]) / static_cast<double>(whole_bytes)}});
  }
  return table;
}

DataTable summary_table(const ModelFacts& model, const StrategyOutcome& strategy,
                        const PointFigures& figures) {
  DataTable table{.name = "summary", .title = "summary"};
  table.columns = {text_column("model"), text_column("strategy")};
  std::vector<Cell> row = {cell::Text{model.spec}, cell::Text{strategy.spec}};
  std::ranges::copy(figure_columns(), std::back_inserter(table.columns));
  add_figures(row, figures);
  table.add(std::move(row));
  // People read these figures above the tables.
  table.readers = DataTable::Readers::programs;
  return table;
}

}  // namespace sbp::reports
