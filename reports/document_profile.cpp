#include "reports/documents.h"
#include "reports/figures.h"
#include "reports/layer_tables.h"
#include "reports/sections.h"

namespace sbp::reports {
namespace {

using profiler::LayerMemory;

Cell layer_cell(const std::string& name) {
  return cell::Text{name};
}

DataTable phases_table(const std::vector<profiler::PhaseMemory>& phases) {
  DataTable table{.name = "phases", .title = "phases"};
  table.columns = {text_column("phase"),
                   {"peak_bytes", "peak"},
                   {"live_at_end_bytes", "left at its end"},
                   {"allocated_bytes", "allocated in all"},
                   {"allocate_events", "allocations"}};
  for (const auto& phase : phases) {
    table.add({cell::Text{std::string(to_string(phase.phase))}, cell::Bytes{phase.peak_bytes},
               cell::Bytes{phase.live_at_end_bytes}, cell::Bytes{phase.allocated_bytes},
               cell::Count{phase.allocate_events}});
  }
  return table;
}

DataTable table_of_layers(std::string name, std::string title, const std::string& peak_column) {
  DataTable table{.name = std::move(name), .title = std::move(title)};
  table.columns = {text_column("name", "layer"),
                   text_column("kind"),
                   {"saved_logical_bytes"},
                   {"saved_distinct_bytes", "distinct"},
                   {"saved_marginal_bytes", "marginal"},
                   {"saved_index_bytes", "", Table::Align::right, DataTable::Readers::programs},
                   {"saved_count", "", Table::Align::right, DataTable::Readers::programs},
                   {peak_column, "at the peak"}};
  return table;
}

void add_layer(DataTable& table, const LayerMemory& layer) {
  table.add({layer_cell(layer.name), cell::Text{layer.kind}, cell::Bytes{layer.saved.logical_bytes},
             cell::Bytes{layer.saved.distinct_bytes}, cell::Bytes{layer.saved.marginal_bytes},
             cell::Bytes{layer.saved.index_bytes}, cell::Count{layer.saved.count},
             cell::Bytes{layer.own_peak_bytes}});
}

DataTable blocks_table(const profiler::MemoryProfile& memory) {
  DataTable table = table_of_layers("blocks", "blocks, and layers outside them", "peak_bytes");
  for (LayerMemory unit : block_units(memory)) {
    unit.name = layer_text(unit.name);
    add_layer(table, unit);
  }
  return table;
}

DataTable layers_table(const profiler::MemoryProfile& memory) {
  DataTable table = table_of_layers(
      "layers", "layers (saved bytes of a parent include its children's)", "own_peak_bytes");
  table.ranked_by = "own_peak_bytes";
  for (const LayerMemory& layer : memory.layers) add_layer(table, layer);
  return table;
}

DataTable cells_table(const std::vector<profiler::PeakCell>& cells) {
  DataTable table{.name = "cells", .title = "alive at the peak, by layer, phase and category"};
  table.columns = {text_column("layer"), text_column("phase"), text_column("category"), {"bytes"}};
  table.readers = DataTable::Readers::programs;
  for (const auto& part : cells) {
    table.add({layer_cell(part.layer), cell::Text{std::string(to_string(part.phase))},
               cell::Word{std::string(to_string(part.category))}, cell::Bytes{part.bytes}});
  }
  return table;
}

DataTable timeline_table(const std::vector<profiler::TimelinePoint>& timeline) {
  DataTable table{.name = "timeline", .title = "live bytes over time"};
  table.columns = {{"time_ns"}, {"live_bytes"}, text_column("phase")};
  table.readers = DataTable::Readers::programs;
  for (const auto& point : timeline) {
    table.add({cell::Count{static_cast<std::int64_t>(point.time_ns)}, cell::Bytes{point.live_bytes},
               cell::Text{std::string(to_string(point.phase))}});
  }
  return table;
}

DataTable time_table(const std::optional<StepTimes>& times) {
  DataTable table{.name = "time", .title = "time of untraced steps"};
  table.columns = {text_column("part"),
                   {"median_seconds"},
                   {"minimum_seconds"},
                   {"maximum_seconds"},
                   {"count", "steps"}};
  if (!times) return table;
  const auto add = [&table](std::string name, const TimeSummary& time) {
    table.add({cell::Text{std::move(name)}, cell::Seconds{time.median}, cell::Seconds{time.minimum},
               cell::Seconds{time.maximum}, cell::Count{time.count}});
  };
  add("step", times->step);
  add("forward", times->forward);
  add("backward", times->backward);
  add("optimizer", times->optimizer);
  return table;
}

}  // namespace

Document document_of(const ProfileReport& report) {
  const profiler::MemoryProfile& memory = report.memory;
  Document document{.title = "profile of one step"};
  document.facts = header_facts(report.header, report.model, &report.strategy);
  for (auto& fact : memory_facts(report)) document.facts.push_back(std::move(fact));
  document.tables = {summary_table(report.model, report.strategy, figures_of(report)),
                     categories_table(memory.categories_at_peak, memory.peak.bytes),
                     phases_table(memory.phases),
                     blocks_table(memory),
                     layers_table(memory),
                     cells_table(memory.cells_at_peak),
                     plan_table(report.plan),
                     time_table(report.time),
                     timeline_table(memory.timeline)};
  document.main_table = "layers";
  document.warnings = report.header.warnings;
  return document;
}

}  // namespace sbp::reports
