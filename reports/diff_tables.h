// What the differences of all kinds of report share. Private to reports/diff*.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/data_table.h"
#include "reports/report.h"

namespace sbp::reports {

// "sbp:keep=0.5" -> "sbp".
std::string name_of(const std::string& spec);

// after / before; unknown where `before` is not above 0.
Cell times_of(const Cell& before, const Cell& after);

// A row an entry: `labels`, then before, after, change, ratio.
DataTable change_table(std::string name, std::string title, std::vector<DataTable::Column> labels);
void add_change(DataTable& table, std::vector<Cell> labels, const Cell& before, const Cell& after);

// The same for named figures: programs read the name, people the words.
DataTable figures_change_table(std::string name, std::string title);
void add_figure_change(DataTable& table, std::string name, std::string words, const Cell& before,
                       const Cell& after);

// Categories at the peak, by what they are for.
DataTable categories_change(const profiler::CategoryBytes& before,
                            const profiler::CategoryBytes& after);

// What layers save and own at the peak, with what lies below them, by the size of the change;
// those that did not change are counted and left out.
DataTable layers_change(const std::vector<profiler::LayerMemory>& before,
                        const std::vector<profiler::LayerMemory>& after);

// A sentence for each setting and version that differs, apart from model and strategy.
std::vector<std::string> settings_notes(const Header& before, const Header& after);
std::string differs_note(std::string_view what, const std::string& before,
                         const std::string& after);

// A document of two runs without its tables: their strategies, and what else differs.
struct RunPair {
  struct Run {
    const Header& header;
    const ModelFacts& model;
    const StrategyOutcome& strategy;
  };
  std::string title;
  Run before;
  Run after;
};
Document difference_document(const RunPair& pair);

// Throws Error where the models are not of one name. `what`: "profiles".
void require_same_model(std::string_view what, const ModelFacts& before, const ModelFacts& after);

}  // namespace sbp::reports
