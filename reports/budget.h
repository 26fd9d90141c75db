// A memory budget: limits that a report is held to, for CI.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/documents.h"

namespace sbp::reports {

// {"total": {"peak_bytes": "350 MiB"}, "phases": {"backward": "340 MiB"},
//  "categories": {"activation": 280000000}, "layers": {"blocks.*.mlp": {"saved_distinct_bytes":
//  ..}}}
enum class BudgetPart { total, phases, categories, layers };
std::string_view to_string(BudgetPart part);

struct BudgetLimit {
  BudgetPart part = BudgetPart::total;
  std::string subject;  // a phase, a category, or a pattern of layers' names; empty: the total
  std::string figure;   // "peak_bytes"
  std::int64_t limit_bytes = 0;

  bool operator==(const BudgetLimit&) const = default;
};

struct Budget {
  std::string source;  // the file
  std::vector<BudgetLimit> limits;
};

// Throws UsageError naming `source` and what of it is wrong: no JSON, an unknown or repeated key, a
// size that is negative or cannot be read, no limit at all.
Budget parse_budget(std::string_view json, std::string_view source);

// One figure of the report beside its limit.
struct BudgetLine {
  BudgetLimit limit;                         // its subject is a name now, no pattern
  std::optional<std::int64_t> actual_bytes;  // absent: this kind of report does not have it
  std::string reason;                        // why it is absent

  bool is_over() const { return actual_bytes && *actual_bytes > limit.limit_bytes; }
};

struct BudgetCheck {
  std::string report;
  std::string budget;
  std::vector<BudgetLine> lines;
};

// Every limit against every figure that it names; a pattern names each layer whose whole name
// matches. Throws UsageError where one names nothing, Error where a report cannot be held to a
// budget: another kind, no memory in it, a peak that is a lower bound.
BudgetCheck check_budget(const Budget& budget, const NamedReport& report);

// Of one budget.
Document document_of(const std::vector<BudgetCheck>& checks);
// "'run.json' is over the budget 'b.json': total peak_bytes (3,145,728 of
// 2,097,152 bytes)"; empty: it is
// not.
std::string over_budget_text(const BudgetCheck& check);

}  // namespace sbp::reports
