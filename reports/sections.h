// Pieces that the texts of several reports share.
#pragma once

#include <string>
#include <string_view>

#include "reports/report.h"
#include "reports/text.h"

namespace sbp::reports {

// The value of a configuration key as text; empty when there is none.
std::string configured(const Header& header, std::string_view key);

// "heading\n", bold where `color`.
std::string heading(std::string_view text, bool color);

// "sbp-profile of NAME" and what was run: model, data, strategy (nullptr: several), device.
std::string header_text(std::string_view title, const Header& header, const ModelFacts& model,
                        const StrategyOutcome* strategy, bool color);

// "effective keep ratio 0.5025, forward exact".
std::string outcome_text(const StrategyOutcome& strategy);

// "180.0 MiB distinct, 190.0 MiB logical in 412 saves, 1.2 KiB of them indices and scales".
std::string saved_text(const profiler::SavedBytes& saved);

// "balanced: 1,204 allocations, 1,100 frees, 0 dropped"; the first problem when it is not.
std::string ledger_text(const profiler::LedgerCheck& ledger);

// What lived at the peak, largest first, with a last line for the total.
std::string categories_text(const profiler::CategoryBytes& bytes, std::int64_t peak_bytes);

// The plan's rows that differ from plain, or nothing when none does.
std::string plan_rows_text(const std::vector<PlanEntry>& plan);

// A heading and one line a warning, or nothing when there is none.
std::string warnings_text(const Header& header, bool color);

}  // namespace sbp::reports
