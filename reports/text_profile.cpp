#include "reports/format.h"
#include "reports/layer_tables.h"
#include "reports/sections.h"
#include "reports/table.h"
#include "reports/text.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Align = Table::Align;

std::string moment_text(const profiler::PeakMoment& moment) {
  return concat(bytes_text(moment.bytes), " in ", to_string(moment.phase),
                moment.layer.empty() ? ", outside every layer" : ", at " + moment.layer);
}

std::string totals_text(const ProfileReport& report, bool color) {
  return "\n" + heading("memory of one training step", color) + facts_text(memory_facts(report));
}

std::string phases_text(const std::vector<profiler::PhaseMemory>& phases) {
  Table table({{"phase"},
               {"peak", Align::right},
               {"left at its end", Align::right},
               {"allocated in all", Align::right},
               {"allocations", Align::right}});
  for (const auto& phase : phases) {
    table.add({std::string(to_string(phase.phase)), bytes_text(phase.peak_bytes),
               bytes_text(phase.live_at_end_bytes), bytes_text(phase.allocated_bytes),
               count_text(phase.allocate_events)});
  }
  return table.text();
}

std::string times_text(const StepTimes& times) {
  Table table({{"part"},
               {"median", Align::right},
               {"minimum", Align::right},
               {"maximum", Align::right},
               {"steps", Align::right}});
  const auto add = [&table](std::string name, const TimeSummary& time) {
    table.add({std::move(name), seconds_text(time.median), seconds_text(time.minimum),
               seconds_text(time.maximum), count_text(time.count)});
  };
  add("step", times.step);
  add("forward", times.forward);
  add("backward", times.backward);
  add("optimizer", times.optimizer);
  return table.text() +
         concat("  ", number_text(times.samples_per_second, 1), " samples per second\n");
}

// What lived at the peak, the phases, the layers.
std::string parts_text(const profiler::MemoryProfile& memory, const TextOptions& options) {
  const bool color = options.color;
  std::string text = "\n" + heading("alive at the peak", color) +
                     categories_text(memory.categories_at_peak, memory.peak.bytes);
  if (!memory.phases.empty()) {
    text += "\n" + heading("phases", color) + phases_text(memory.phases);
  }
  if (!memory.layers.empty()) {
    text += "\n" + heading("blocks, and layers outside them", color) + blocks_text(memory);
    text += "\n" +
            heading(options.top == 0 ? "all layers (saved bytes of a parent include its children's)"
                                     : "layers that own most at the peak",
                    color) +
            layers_text(memory, options.top);
  }
  return text;
}

// The device's memory at the peak as one sum, and what is beside PyTorch's.
void add_device_facts(const DeviceMemory& memory, Facts& facts) {
  facts.emplace_back("device", concat(bytes_text(memory.reserved_bytes),
                                      " reserved: ", bytes_text(memory.requested_bytes),
                                      " asked for, ", bytes_text(memory.rounding_bytes),
                                      " rounding, ", bytes_text(memory.cached_bytes), " cached"));
  if (memory.awaiting_bytes > 0) {
    facts.emplace_back("", concat(bytes_text(memory.awaiting_bytes), " in use by other streams"));
  }
  facts.emplace_back("", concat(bytes_text(memory.peak_reserved_bytes), " reserved at most"));
  const std::string unseen = memory.cupti_reason.empty() ? bytes_text(memory.unseen_bytes)
                                                         : "not known, " + memory.cupti_reason;
  facts.emplace_back("beside PyTorch", unseen);
  if (memory.nameless_bytes) {
    facts.emplace_back("", concat(bytes_text(*memory.nameless_bytes),
                                  " more on the device: contexts, kernel code, other processes"));
  }
}

}  // namespace

Facts memory_facts(const ProfileReport& report) {
  const profiler::MemoryProfile& memory = report.memory;
  Facts facts = {{"peak", moment_text(memory.peak)}};
  facts.emplace_back("transient", concat(bytes_text(memory.transient_peak_bytes), " of the peak (",
                                         share_text(memory.transient_peak_bytes, memory.peak.bytes),
                                         "): workspace, autograd detail, temporary"));
  const bool other = memory.runner_up != profiler::PeakMoment{};
  facts.emplace_back("runner-up", other ? moment_text(memory.runner_up) : std::string("none"));
  facts.emplace_back("saved", saved_text(memory.saved));
  if (report.resident_set) {
    const ResidentSet& set = *report.resident_set;
    facts.emplace_back("resident set", concat(bytes_text(set.peak_bytes), " at most, ",
                                              change_text(set.peak_bytes - set.before_bytes),
                                              " since before the model was built"));
  }
  if (report.device_memory) add_device_facts(*report.device_memory, facts);
  if (report.loss) facts.emplace_back("loss", number_text(*report.loss, 6));
  facts.emplace_back("ledger", ledger_text(memory.ledger));
  return facts;
}

std::string to_text(const profiler::MemoryProfile& memory, const TextOptions& options) {
  ProfileReport report;
  report.memory = memory;
  return totals_text(report, options.color).substr(1) + parts_text(memory, options);
}

std::string to_text(const ProfileReport& report, const TextOptions& options) {
  const bool color = options.color;
  std::string text =
      header_text("profile of one step", report.header, report.model, &report.strategy, color);
  text += totals_text(report, color) + parts_text(report.memory, options);
  const std::string plan = plan_rows_text(report.plan);
  if (!plan.empty()) text += "\n" + heading("plan", color) + plan;
  if (report.time) {
    text += "\n" + heading("time of untraced steps", color) + times_text(*report.time);
  }
  return text + warnings_text(report.header, color);
}

}  // namespace sbp::reports
