#include "reports/sections.h"

#include <algorithm>
#include <numeric>

#include "reports/format.h"
#include "reports/table.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::reports {
namespace {

using Align = Table::Align;

std::string ratio_text(const std::optional<double>& ratio) {
  return ratio ? number_text(*ratio, 4) : std::string();
}

std::string with_word(std::string value, std::string_view word) {
  return value.empty() ? value : concat(word, " ", value);
}

std::string joined_facts(std::vector<std::string> facts) {
  std::erase(facts, "");
  return join(facts);
}

// What changes a step and is off by default.
std::string unusual_facts(const Header& header) {
  const auto fact = [&](const char* key, const char* word, std::string_view off) {
    const std::string value = configured(header, key);
    return value == off ? std::string() : with_word(value, word);
  };
  return joined_facts({fact("accumulate", "accumulate", "1"), fact("clip_norm", "clip norm", "0"),
                       fact("ema", "averaged weights", "0"), fact("augment", "augment", ""),
                       fact("schedule", "schedule", ""),
                       fact("label_smoothing", "label smoothing", "0"), fact("init", "init", ""),
                       fact("evaluated", "evaluated weights of", "")});
}

// "sbp:keep=0.5+dropit:gamma=0.9" -> "sbp+dropit".
std::string names_of(const std::string& specs) {
  std::string names;
  bool in_name = true;
  for (const char sign : specs) {
    if (sign == ':') in_name = false;
    if (sign == '+') in_name = true;
    if (in_name) names += sign;
  }
  return names;
}

}  // namespace

std::string configured(const Header& header, std::string_view key) {
  for (const auto& [name, value] : header.configuration) {
    if (name != key) continue;
    if (const double* real = std::get_if<double>(&value)) return exact_text(*real);
    if (const bool* flag = std::get_if<bool>(&value)) return *flag ? "yes" : "no";
    if (const std::int64_t* whole = std::get_if<std::int64_t>(&value)) {
      return std::to_string(*whole);
    }
    return std::get<std::string>(value);
  }
  return {};
}

std::string heading(std::string_view text, bool color) {
  return color ? concat("\x1b[1m", text, "\x1b[0m\n") : concat(text, "\n");
}

std::string outcome_text(const StrategyOutcome& strategy) {
  return concat("effective keep ratio ", number_text(strategy.effective_keep_ratio, 4),
                strategy.forward_exact ? ", forward exact" : ", forward changed");
}

std::string facts_text(const Facts& facts) {
  Table table({{""}, {""}});
  for (const auto& [label, fact] : facts) table.add({label, fact});
  return table.text();
}

Facts header_facts(const Header& header, const ModelFacts& model, const StrategyOutcome* strategy) {
  Facts facts = {{"model", model.spec}};
  std::string size =
      concat(count_text(model.parameter_count), " parameters, ", bytes_text(model.parameter_bytes));
  if (model.buffer_bytes > 0) size += concat(", buffers ", bytes_text(model.buffer_bytes));
  facts.emplace_back("", size);
  facts.emplace_back("data", joined_facts({configured(header, "data"),
                                           with_word(configured(header, "batch"), "batch")}));
  if (strategy != nullptr) {
    facts.emplace_back("strategy", strategy->spec);
    facts.emplace_back("", outcome_text(*strategy));
  }
  facts.emplace_back("optimizer", configured(header, "optimizer"));
  if (const std::string step = unusual_facts(header); !step.empty()) {
    facts.emplace_back("step", step);
  }
  facts.emplace_back("device",
                     joined_facts({configured(header, "device"), configured(header, "precision"),
                                   with_word(std::to_string(header.environment.threads), "threads"),
                                   with_word(configured(header, "seed"), "seed")}));
  return facts;
}

std::string header_text(std::string_view title, const Header& header, const ModelFacts& model,
                        const StrategyOutcome* strategy, bool color) {
  return heading(title, color) + facts_text(header_facts(header, model, strategy));
}

std::string layer_text(const std::string& name) {
  return name.empty() ? "outside every layer" : name;
}

std::string spaced(std::string_view word) {
  std::string text(word);
  std::replace(text.begin(), text.end(), '_', ' ');
  return text;
}

std::string saved_text(const profiler::SavedBytes& saved) {
  return concat(bytes_text(saved.distinct_bytes), " distinct, ", bytes_text(saved.logical_bytes),
                " logical in ", count_text(saved.count), " saves, ", bytes_text(saved.index_bytes),
                " of indices and scales");
}

std::string ledger_text(const profiler::LedgerCheck& ledger) {
  std::string text =
      concat(ledger.balanced ? "balanced: " : "NOT BALANCED: ", count_text(ledger.allocate_events),
             " allocations, ", count_text(ledger.free_events), " frees, ",
             count_text(ledger.dropped_events), " dropped");
  if (ledger.unmatched_frees > 0) {
    text += concat(", ", count_text(ledger.unmatched_frees), " unmatched frees");
  }
  if (!ledger.first_problem.empty()) text += concat("; ", printable(ledger.first_problem));
  if (ledger.peak_is_lower_bound) text += "; the peak is a lower bound";
  return text;
}

std::string categories_text(const profiler::CategoryBytes& bytes, std::int64_t peak_bytes) {
  std::vector<std::size_t> order(bytes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return bytes[a] > bytes[b]; });
  Table table({{"category"}, {"bytes", Align::right}, {"share", Align::right}});
  for (const std::size_t index : order) {
    if (bytes[index] == 0) continue;
    const std::string name = spaced(to_string(static_cast<profiler::Category>(index)));
    table.add({name, bytes_text(bytes[index]), share_text(bytes[index], peak_bytes)});
  }
  table.add({"total", bytes_text(peak_bytes), share_text(peak_bytes, peak_bytes)});
  return table.text();
}

std::string plan_rows_text(const std::vector<PlanEntry>& plan) {
  Table table({{"site"},
               {"kind"},
               {"select"},
               {"keep", Align::right},
               {"effective", Align::right},
               {"rows kept", Align::right},
               {"mask"},
               {"memory"},
               {"code"},
               {"by"}});
  std::int64_t plain = 0;
  for (const PlanEntry& entry : plan) {
    if (entry.claimed_by.empty()) {
      ++plain;
      continue;
    }
    // The whole spec stands above the table: names are enough to tell claims apart.
    const std::string claim = names_of(entry.claimed_by);
    const std::string rows =
        entry.rows > 0 ? concat(entry.kept_rows, " of ", entry.rows) : std::string();
    table.add({entry.site, entry.kind, entry.select, ratio_text(entry.keep_ratio),
               ratio_text(entry.effective_keep_ratio), rows, entry.mask_group, entry.materialise,
               entry.code, claim});
  }
  if (table.rows() == 0) return {};
  std::string text = table.text();
  if (plain > 0) text += concat("  and ", plain, plain == 1 ? " site" : " sites", " left plain\n");
  return text;
}

std::string warnings_text(const Header& header, bool color) {
  if (header.warnings.empty()) return {};
  std::string text = "\n" + heading("warnings", color);
  for (const std::string& warning : header.warnings) text += concat("  ", printable(warning), "\n");
  return text;
}

}  // namespace sbp::reports
