// Pieces that the texts of several reports share.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reports/report.h"
#include "reports/text.h"

namespace sbp::reports {

// The value of a configuration key as text; empty when there is none.
std::string configured(const Header& header, std::string_view key);

// What figures of two reports may differ by although their settings are the same.
inline constexpr std::array<std::pair<const char*, std::string Environment::*>, 5> kVersions = {{
    {"program version", &Environment::sbp_version},
    {"program commit", &Environment::git_commit},
    {"LibTorch version", &Environment::libtorch_version},
    {"compiler", &Environment::compiler},
    {"processor", &Environment::processor},
}};

// "heading\n", bold where `color`.
std::string heading(std::string_view text, bool color);

// Lines of two words and more: a label and what it says. An empty label goes on with the last.
using Facts = std::vector<std::pair<std::string, std::string>>;
std::string facts_text(const Facts& facts);

// What was run: model, data, strategy (nullptr: several), device.
Facts header_facts(const Header& header, const ModelFacts& model, const StrategyOutcome* strategy);
// The memory of a profile in short: the peak, what of it is transient, saved bytes, the ledger.
Facts memory_facts(const ProfileReport& report);
// What a training run came to: steps, losses, evaluation.
Facts result_facts(const TrainReport& report);
Facts memory_facts(const MemorySummary& memory);
// The training state that gradients were compared at.
Facts state_facts(const CorrelateReport& report);
// What a sweep is of, and how many of its points are finished.
Facts sweep_facts(const SweepReport& report);
// "profile of one step" and the facts.
std::string header_text(std::string_view title, const Header& header, const ModelFacts& model,
                        const StrategyOutcome* strategy, bool color);

// "effective keep ratio 0.5025, forward exact".
std::string outcome_text(const StrategyOutcome& strategy);

// "180.0 MiB distinct, 190.0 MiB logical in 412 saves, 1.2 KiB of them indices and scales".
std::string saved_text(const profiler::SavedBytes& saved);

// "balanced: 1,204 allocations, 1,100 frees, 0 dropped"; the first problem when it is not.
std::string ledger_text(const profiler::LedgerCheck& ledger);

// "blocks.0.mlp", and for what belongs to none "outside every layer".
std::string layer_text(const std::string& name);
// "weight_copy" -> "weight copy".
std::string spaced(std::string_view word);

// What lived at the peak, largest first, with a last line for the total.
std::string categories_text(const profiler::CategoryBytes& bytes, std::int64_t peak_bytes);

// The plan's rows that differ from plain, or nothing when none does.
std::string plan_rows_text(const std::vector<PlanEntry>& plan);

// A heading and one line a warning, or nothing when there is none.
std::string warnings_text(const Header& header, bool color);

}  // namespace sbp::reports
