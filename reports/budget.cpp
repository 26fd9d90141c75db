#include "reports/budget.h"

#include <algorithm>
#include <array>

#include "reports/format.h"
#include "sbp/base/error.h"
#include "sbp/base/pattern.h"

namespace sbp::reports {
namespace {

using profiler::LayerMemory;
using profiler::PhaseMemory;
using profiler::SavedBytes;

// What both kinds of report have.
struct Totals {
  std::int64_t peak_bytes;
  std::int64_t transient_peak_bytes;
  const SavedBytes& saved;
  const profiler::CategoryBytes& categories_at_peak;
};

std::int64_t saved_figure(const SavedBytes& saved, const std::string& figure) {
  if (figure == "saved_logical_bytes") return saved.logical_bytes;
  if (figure == "saved_distinct_bytes") return saved.distinct_bytes;
  if (figure == "saved_marginal_bytes") return saved.marginal_bytes;
  return saved.index_bytes;
}

std::int64_t total_figure(const Totals& totals, const std::string& figure) {
  if (figure == "peak_bytes") return totals.peak_bytes;
  if (figure == "transient_peak_bytes") return totals.transient_peak_bytes;
  return saved_figure(totals.saved, figure);
}

std::int64_t category_figure(const Totals& totals, const std::string& category) {
  for (std::size_t i = 0; i < totals.categories_at_peak.size(); ++i) {
    if (to_string(static_cast<profiler::Category>(i)) == category) {
      return totals.categories_at_peak[i];
    }
  }
  throw Error(concat("unknown category '", category, "'"));  // the reader lets none through
}

std::int64_t phase_figure(const PhaseMemory& phase, const std::string& figure) {
  if (figure == "peak_bytes") return phase.peak_bytes;
  return figure == "live_at_end_bytes" ? phase.live_at_end_bytes : phase.allocated_bytes;
}

std::int64_t layer_figure(const LayerMemory& layer, const std::string& figure) {
  return figure == "own_peak_bytes" ? layer.own_peak_bytes : saved_figure(layer.saved, figure);
}

[[noreturn]] void fail_to_name(const BudgetLimit& limit, const NamedReport& report,
                               const std::string& known) {
  throw UsageError(concat("the budget's ", to_string(limit.part), " '", limit.subject,
                          "' names nothing of '", report.name, "'; it has ", known));
}

class Checker {
 public:
  Checker(const NamedReport& report, const Totals& totals, const profiler::MemoryProfile* profile)
      : report_(report), totals_(totals), profile_(profile) {}

  void take(const BudgetLimit& limit, std::vector<BudgetLine>& lines) const {
    switch (limit.part) {
      case BudgetPart::total:
        return lines.push_back({limit, total_figure(totals_, limit.figure), {}});
      case BudgetPart::categories:
        return lines.push_back({limit, category_figure(totals_, limit.subject), {}});
      case BudgetPart::phases: break;
      case BudgetPart::layers: break;
    }
    if (profile_ == nullptr) {
      lines.push_back({limit, std::nullopt, "a training run reports totals and categories only"});
    } else if (limit.part == BudgetPart::phases) {
      take_phase(limit, lines);
    } else {
      take_layers(limit, lines);
    }
  }

 private:
  void take_phase(const BudgetLimit& limit, std::vector<BudgetLine>& lines) const {
    std::vector<std::string> known;
    for (const PhaseMemory& phase : profile_->phases) {
      known.emplace_back(to_string(phase.phase));
      if (known.back() != limit.subject) continue;
      return lines.push_back({limit, phase_figure(phase, limit.figure), {}});
    }
    fail_to_name(limit, report_, join(known));
  }

  void take_layers(const BudgetLimit& limit, std::vector<BudgetLine>& lines) const {
    bool found = false;
    for (const LayerMemory& layer : profile_->layers) {
      if (!matches_pattern(limit.subject, layer.name)) continue;
      found = true;
      BudgetLimit named = limit;
      named.subject = layer.name;
      lines.push_back({named, layer_figure(layer, limit.figure), {}});
    }
    if (found) return;
    std::vector<std::string> some;
    for (const LayerMemory& layer : profile_->layers) {
      if (some.size() < kMostNamed && !layer.name.empty()) some.push_back(layer.name);
    }
    fail_to_name(limit, report_, some.empty() ? "no layers" : join(some) + " and so on");
  }

  static constexpr std::size_t kMostNamed = 8;

  const NamedReport& report_;
  const Totals& totals_;
  const profiler::MemoryProfile* profile_;
};

void require_exact(const NamedReport& report, const profiler::LedgerCheck& ledger) {
  if (ledger.balanced && !ledger.peak_is_lower_bound) return;
  throw Error(concat("cannot hold '", report.name, "' to a budget: its books do not balance (",
                     ledger.first_problem.empty() ? "events were lost" : ledger.first_problem,
                     "); profile it again"));
}

BudgetCheck check_lines(const Budget& budget, const NamedReport& report, const Totals& totals,
                        const profiler::MemoryProfile* profile) {
  BudgetCheck check{.report = report.name, .budget = budget.source, .lines = {}};
  const Checker checker(report, totals, profile);
  for (const BudgetLimit& limit : budget.limits) checker.take(limit, check.lines);
  const bool any = std::ranges::any_of(
      check.lines, [](const BudgetLine& line) { return line.actual_bytes.has_value(); });
  if (!any) {
    throw Error(concat("cannot hold '", report.name, "' to the budget '", budget.source,
                       "': ", check.lines.front().reason, "; give a report of sbp-profile"));
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
    const profiler::MemoryProfile& memory = profile->memory;
    require_exact(report, memory.ledger);
    const Totals totals{memory.peak.bytes, memory.transient_peak_bytes, memory.saved,
                        memory.categories_at_peak};
    return check_lines(budget, report, totals, &memory);
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
  const Totals totals{train->memory->peak_bytes, train->memory->transient_peak_bytes,
                      train->memory->saved, train->memory->categories_at_peak};
  return check_lines(budget, report, totals, nullptr);
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
  for (const BudgetCheck& check : checks) {
    for (const BudgetLine& line : check.lines) {
      table.add(row_of(check.report, line));
      if (!line.actual_bytes) ++unchecked;
    }
  }
  document.tables = {std::move(table)};
  document.main_table = "budget";
  if (unchecked > 0) {
    document.notes = {concat(unchecked, unchecked == 1 ? " limit was" : " limits were",
                             " not checked: a training run reports totals and categories only; "
                             "profile the model for the rest")};
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
