#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/format.h"
#include "reports/sections.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

constexpr const char* kNotEvaluated = "not evaluated after this epoch";

DataTable epochs_table(const std::vector<EpochResult>& epochs) {
  DataTable table{.name = "epochs", .title = "epochs"};
  table.columns = {{"epoch"},
                   {"steps"},
                   {"train_loss"},
                   {"test_loss"},
                   {"top1", "top-1"},
                   {"top5", "top-5"},
                   {"averaged_top1", "averaged top-1"},
                   {"learning_rate"},
                   {"samples_per_second", "samples/s"},
                   {"data_wait_seconds", "waited"},
                   {"seconds", "time"},
                   {"resident_bytes", "", Table::Align::right, DataTable::Readers::programs}};
  for (const EpochResult& epoch : epochs) {
    std::vector<Cell> row = {cell::Count{epoch.epoch}, cell::Count{epoch.steps},
                             cell::Number{epoch.train_loss}};
    if (epoch.evaluation) {
      row.insert(row.end(),
                 {cell::Number{epoch.evaluation->loss}, cell::Percent{epoch.evaluation->top1},
                  cell::Percent{epoch.evaluation->top5}});
    } else {
      row.insert(row.end(), 3, cell::Unknown{kNotEvaluated});
    }
    if (epoch.averaged_evaluation) {
      row.emplace_back(cell::Percent{epoch.averaged_evaluation->top1});
    } else {
      row.emplace_back(
          cell::Unknown{epoch.evaluation ? "no averaged weights were kept" : kNotEvaluated});
    }
    row.insert(row.end(),
               {cell::Number{epoch.learning_rate, -1}, cell::Number{epoch.samples_per_second, 1},
                cell::Seconds{epoch.data_wait_seconds}, cell::Seconds{epoch.seconds},
                cell_or<cell::Bytes>(epoch.resident_bytes, "not measured")});
    table.add(std::move(row));
  }
  return table;
}

DataTable steps_table(const std::vector<double>& losses) {
  DataTable table{.name = "steps", .title = "loss of each step"};
  table.columns = {{"step"}, {"loss"}};
  table.readers = DataTable::Readers::programs;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    table.add({cell::Count{static_cast<std::int64_t>(i) + 1}, cell::Number{losses[i]}});
  }
  return table;
}

DataTable fidelity_table(const std::vector<FidelityPoint>& points) {
  const std::string why = "the exact gradient is zero";
  DataTable table{.name = "fidelity", .title = "gradient against the exact one"};
  table.columns = {{"step"},
                   {"cosine"},
                   {"relative_error"},
                   {"norm_ratio"},
                   {"sign_agreement"},
                   {"mean_layer_cosine"},
                   {"minimum_layer_cosine"},
                   text_column("minimum_layer", "of layer")};
  for (const FidelityPoint& point : points) {
    const LayerSpread& layers = point.cosine_over_layers;
    table.add({cell::Count{point.step}, cell_or<cell::Number>(point.agreement.cosine, why),
               cell_or<cell::Number>(point.agreement.relative_error, why),
               cell_or<cell::Number>(point.agreement.norm_ratio, why),
               cell_or<cell::Percent>(point.agreement.sign_agreement, why),
               cell_or<cell::Number>(layers.mean, why), cell_or<cell::Number>(layers.minimum, why),
               cell::Text{layers.minimum_layer}});
  }
  return table;
}

}  // namespace

Document document_of(const TrainReport& report) {
  Document document{.title = "training run"};
  document.facts = header_facts(report.header, report.model, &report.strategy);
  for (auto& fact : result_facts(report)) document.facts.push_back(std::move(fact));
  if (report.interrupted) {
    document.notes.push_back(concat("interrupted after ", count_text(report.steps),
                                    report.steps == 1 ? " step" : " steps"));
  }
  document.tables = {summary_table(report.model, report.strategy, figures_of(report)),
                     epochs_table(report.epochs), steps_table(report.step_losses),
                     fidelity_table(report.fidelity)};
  if (report.memory) {
    for (auto& fact : memory_facts(*report.memory)) document.facts.push_back(std::move(fact));
    document.tables.push_back(
        categories_table(report.memory->categories_at_peak, report.memory->peak_bytes));
  }
  document.tables.push_back(plan_table(report.plan));
  document.main_table = "epochs";
  document.warnings = report.header.warnings;
  return document;
}

}  // namespace sbp::reports
