#include "reports/budget.h"

#include <algorithm>
#include <array>

#include "reports/format.h"
#include "reports/layer_tables.h"
#include "sbp/base/error.h"
#include "sbp/base/pattern.h"

namespace sbp::reports {
namespace {

// Of a report, what limits are held against.
struct Part {
  std::string name;
  std::vector<std::pair<std::string_view, std::int64_t>> figures;

  std::optional<std::int64_t> figure(std::string_view wanted) const {
    for (const auto& [name_, bytes] : figures) {
      if (name_ == wanted) return bytes;
    }
    return std::nullopt;
  }

  std::string names() const {
    std::vector<std::string> all;
    for (const auto& [name_, bytes] : figures) all.emplace_back(name_);
    return join(all);
  }
};

struct Budgeted {
  Part total;
  profiler::CategoryBytes categories{};
  std::vector<Part> phases{};
  std::vector<Part> layers{};
  std::string limits{};  // what else it does not have, as a sentence
};

void add_saved(Part& part, const profiler::SavedBytes& saved) {
  part.figures.insert(part.figures.end(), {{"saved_logical_bytes", saved.logical_bytes},
                                           {"saved_distinct_bytes", saved.distinct_bytes},
                                           {"saved_marginal_bytes", saved.marginal_bytes},
                                           {"saved_index_bytes", saved.index_bytes}});
}

Budgeted budgeted(const profiler::MemoryProfile& memory) {
  Budgeted result{.total = {"",
                            {{"peak_bytes", memory.peak.bytes},
                             {"transient_peak_bytes", memory.transient_peak_bytes}}},
                  .categories = memory.categories_at_peak,
                  .limits = "a profile tells nothing of a GPU: predict it"};
  add_saved(result.total, memory.saved);
  for (const profiler::PhaseMemory& phase : memory.phases) {
    result.phases.push_back({std::string(to_string(phase.phase)),
                             {{"peak_bytes", phase.peak_bytes},
                              {"live_at_end_bytes", phase.live_at_end_bytes},
                              {"allocated_bytes", phase.allocated_bytes}}});
  }
  for (const profiler::LayerMemory& layer : memory.layers) {
    result.layers.push_back({layer.name, {{"own_peak_bytes", layer.own_peak_bytes}}});
    add_saved(result.layers.back(), layer.saved);
  }
  return result;
}

Budgeted budgeted(const MemorySummary& memory) {
  Budgeted result{.total = {"",
                            {{"peak_bytes", memory.peak_bytes},
                             {"transient_peak_bytes", memory.transient_peak_bytes}}},
                  .categories = memory.categories_at_peak,
                  .limits = "a training run reports totals and categories only: profile the model"};
  add_saved(result.total, memory.saved);
  return result;
}

Budgeted budgeted(const PredictionReport& report) {
  const predict::Prediction& prediction = report.prediction;
  Budgeted result{.total = {"",
                            {{"peak_requested_bytes", prediction.peak_requested_bytes},
                             {"peak_allocated_bytes", prediction.peak_allocated_bytes},
                             {"peak_reserved_bytes", prediction.peak_reserved_bytes},
                             {"peak_device_bytes", prediction.peak_device_bytes}}},
                  .categories = requested_by_category(prediction),
                  .limits = "a prediction tells of a GPU at its peak alone: profile the model"};
  add_saved(result.total, report.saved);
  for (const predict::LayerBytes& layer : prediction.layers) {
    result.layers.push_back(
        {layer.name,
         {{"requested_bytes", layer.requested_bytes}, {"block_bytes", layer.block_bytes}}});
    add_saved(result.layers.back(), layer.saved);
  }
  return result;
}

std::int64_t category_figure(const Budgeted& budgeted, const std::string& category) {
  for (std::size_t i = 0; i < budgeted.categories.size(); ++i) {
    if (to_string(static_cast<profiler::Category>(i)) == category) return budgeted.categories[i];
  }
  throw Error(concat("unknown category '", category, "'"));  // the reader lets none through
}

[[noreturn]] void fail_to_name(const BudgetLimit& limit, const NamedReport& report,
                               const std::string& known) {
  throw UsageError(concat("the budget's ", to_string(limit.part), " '", limit.subject,
                          "' names nothing of '", report.name, "'; it has ", known));
}

class Checker {
 public:
  Checker(const NamedReport& report, const Budgeted& budgeted)
      : report_(report), budgeted_(budgeted) {}

  void take(const BudgetLimit& limit, std::vector<BudgetLine>& lines) const {
    switch (limit.part) {
      case BudgetPart::total: return take_figure(limit, budgeted_.total, lines);
      case BudgetPart::categories:
        return lines.push_back({limit, category_figure(budgeted_, limit.subject), {}});
      case BudgetPart::phases: return take_phase(limit, lines);
      case BudgetPart::layers: return take_layers(limit, lines);
    }
  }

 private:
  void take_figure(const BudgetLimit& limit, const Part& part,
                   std::vector<BudgetLine>& lines) const {
    const std::optional<std::int64_t> bytes = part.figure(limit.figure);
    lines.push_back(
        {limit, bytes, bytes ? "" : concat(budgeted_.limits, ", or limit ", part.names())});
  }

  void take_phase(const BudgetLimit& limit, std::vector<BudgetLine>& lines) const {
    if (budgeted_.phases.empty()) return lines.push_back({limit, std::nullopt, budgeted_.limits});
    std::vector<std::string> known;
    for (const Part& phase : budgeted_.phases) {
      if (phase.name == limit.subject) return take_figure(limit, phase, lines);
      known.push_back(phase.name);
    }
    fail_to_name(limit, report_, join(known));
  }

  void take_layers(const BudgetLimit& limit, std::vector<BudgetLine>& lines) const {
    if (budgeted_.layers.empty()) return lines.push_back({limit, std::nullopt, budgeted_.limits});
    bool found = false;
    for (const Part& layer : budgeted_.layers) {
      if (!matches_pattern(limit.subject, layer.name)) continue;
      found = true;
      BudgetLimit named = limit;
      named.subject = layer.name;
      take_figure(named, layer, lines);
    }
    if (found) return;
    std::vector<std::string> some;
    for (const Part& layer : budgeted_.layers) {
      if (some.size() < kMostNamed && !layer.name.empty()) some.push_back(layer.name);
    }
    fail_to_name(limit, report_, some.empty() ? "no layers" : join(some) + " and so on");
  }

  static constexpr std::size_t kMostNamed = 8;

  const NamedReport& report_;
  const Budgeted& budgeted_;
};

void require_exact(const NamedReport& report, const profiler::LedgerCheck& ledger) {
  if (ledger.balanced && !ledger.peak_is_lower_bound) return;
  throw Error(concat("cannot hold '", report.name, "' to a budget: its books do not balance (",
                     ledger.first_problem.empty() ? "events were lost" : ledger.first_problem,
                     "); profile it again"));
}

BudgetCheck check_lines(const Budget& budget, const NamedReport& report, const Budgeted& budgeted) {
  BudgetCheck check{.report = report.name, .budget = budget.source, .lines = {}};
  const Checker checker(report, budgeted);
  for (const BudgetLimit& limit : budget.limits) checker.take(limit, check.lines);
  const bool any = std::ranges::any_of(
      check.lines, [](const BudgetLine& line) { return line.actual_bytes.has_value(); });
  if (!any) {
    throw Error(concat("cannot hold '", report.name, "' to the budget '", budget.source,
                       "': ", check.lines.front().reason));
  }
  return check;
}

std::string words_of(const BudgetLimit& limit) {
  constexpr std::array<std::string_view, 4> kWords = {"total", "phase", "category", "layer"};
  const std::string_view word = kWords.at(static_cast<std::size_t>(limit.part));
  return limit.subject.empty() ? concat(word, " ", limit.figure)
                               : concat(word, " ", limit.subject, " ", limit.figure);
}

std::vector<Cell> row_of(const std::string& report, const BudgetLine& line) {
  const BudgetLimit& limit = line.limit;
  const bool zero = limit.limit_bytes == 0;
  Cell share = cell::Unknown{zero ? "the limit is 0" : line.reason};
  if (line.actual_bytes && !zero) {
    share = cell::Percent{static_cast<double>(*line.actual_bytes) /
                          static_cast<double>(limit.limit_bytes)};
  }
  const char* verdict = "not checked";
  if (line.actual_bytes) verdict = line.is_over() ? "OVER" : "ok";
  return {cell::Text{report},
          cell::Text{std::string(to_string(limit.part))},
          cell::Text{limit.subject},
          cell::Text{limit.figure},
          cell::Bytes{limit.limit_bytes},
          cell_or<cell::Bytes>(line.actual_bytes, line.reason),
          share,
          cell::Text{verdict}};
}

}  // namespace

BudgetCheck check_budget(const Budget& budget, const NamedReport& report) {
  if (const auto* profile = std::get_if<ProfileReport>(&report.report)) {
    require_exact(report, profile->memory.ledger);
    return check_lines(budget, report, budgeted(profile->memory));
  }
  if (const auto* prediction = std::get_if<PredictionReport>(&report.report)) {
    return check_lines(budget, report, budgeted(*prediction));
  }
  const auto* train = std::get_if<TrainReport>(&report.report);
  if (train == nullptr) {
    throw Error(concat("cannot hold '", report.name, "' of kind '", kind_of(report.report),
                       "' to a budget; give a report of sbp-profile or sbp-train"));
  }
  if (!train->memory) {
    throw Error(concat("cannot hold '", report.name,
                       "' to a budget: it has no memory, no step was traced"));
  }
  require_exact(report, train->memory->ledger);
  return check_lines(budget, report, budgeted(*train->memory));
}

Document document_of(const std::vector<BudgetCheck>& checks) {
  Document document{.title = "budget"};
  if (!checks.empty()) document.facts = {{"budget", checks.front().budget}};
  DataTable table{.name = "budget", .title = "limits", .nothing = "none"};
  table.columns = {text_column("report"),
                   text_column("part"),
                   text_column("subject", "of"),
                   text_column("figure"),
                   {"limit_bytes"},
                   {"actual_bytes"},
                   {"share"},
                   text_column("verdict")};
  std::int64_t unchecked = 0;
  std::vector<std::string> reasons;
  for (const BudgetCheck& check : checks) {
    for (const BudgetLine& line : check.lines) {
      table.add(row_of(check.report, line));
      if (line.actual_bytes) continue;
      ++unchecked;
      if (std::ranges::find(reasons, line.reason) == reasons.end()) reasons.push_back(line.reason);
    }
  }
  document.tables = {std::move(table)};
  document.main_table = "budget";
  if (unchecked > 0) {
    document.notes = {concat(unchecked, unchecked == 1 ? " limit was" : " limits were",
                             " not checked: ", join(reasons, "; "))};
  }
  return document;
}

std::string over_budget_text(const BudgetCheck& check) {
  constexpr std::size_t kMostNamed = 10;
  std::vector<std::string> offenders;
  for (const BudgetLine& line : check.lines) {
    if (!line.is_over()) continue;
    offenders.push_back(concat(words_of(line.limit), " (", count_text(*line.actual_bytes), " of ",
                               count_text(line.limit.limit_bytes), " bytes)"));
  }
  if (offenders.empty()) return {};
  const std::size_t all = offenders.size();
  if (all > kMostNamed) offenders.resize(kMostNamed);
  return concat("'", check.report, "' is over the budget '", check.budget, "': ", join(offenders),
                all > kMostNamed ? concat(" and ", all - kMostNamed, " more") : "");
}

}  // namespace sbp::reports
