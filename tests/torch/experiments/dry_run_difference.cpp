#include "tests/torch/experiments/dry_run_difference.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "experiments/runs/profile_run.h"
#include "sbp/base/error.h"

namespace sbp::tests {
namespace {

using profiler::BlockLife;
using profiler::Category;
using profiler::MemoryProfile;

bool is_plain(const BlockLife& life) {
  return life.category != Category::workspace && life.bytes > kScalarBytes;
}

std::int64_t peak_of(const std::vector<const BlockLife*>& lives) {
  std::map<std::int64_t, std::int64_t> changes;  // by record
  for (const BlockLife* life : lives) {
    changes[life->born_record] += life->bytes;
    if (life->died_record >= 0) changes[life->died_record] -= life->bytes;
  }
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (const auto& [record, change] : changes) peak = std::max(peak, live += change);
  return peak;
}

std::map<std::string, profiler::SavedBytes> saves_of(const MemoryProfile& memory) {
  std::map<std::string, profiler::SavedBytes> saves;
  for (const profiler::LayerMemory& layer : memory.layers) {
    if (layer.saved != profiler::SavedBytes{}) saves[layer.name] = layer.saved;
  }
  return saves;
}

std::string saved_text(const profiler::SavedBytes& saved) {
  return concat(saved.logical_bytes, "/", saved.distinct_bytes, "/", saved.marginal_bytes, "/",
                saved.index_bytes, " in ", saved.count);
}

std::vector<std::string> layer_differences(const MemoryProfile& cpu, const MemoryProfile& meta) {
  auto on_cpu = saves_of(cpu);
  auto on_meta = saves_of(meta);
  std::set<std::string> names;
  for (const auto& [name, saved] : on_cpu) names.insert(name);
  for (const auto& [name, saved] : on_meta) names.insert(name);
  std::vector<std::string> differences;
  for (const std::string& name : names) {
    if (on_cpu[name] == on_meta[name]) continue;
    differences.push_back(concat("'", name, "' cpu ", saved_text(on_cpu[name]), ", meta ",
                                 saved_text(on_meta[name])));
  }
  return differences;
}

// What a block looks like, and all that look like it: the longest-lived first, of those that live
// equally long the last one (a kernel casts its operands before it makes its result).
using Blocks = std::map<std::string, std::vector<const BlockLife*>>;

Blocks plain_blocks(const MemoryProfile& memory) {
  Blocks blocks;
  for (const BlockLife& life : memory.blocks->lives) {
    if (!is_plain(life)) continue;
    blocks[concat(life.layer, ", ", to_string(life.phase), ", ", to_string(life.category), ": ",
                  life.bytes)]
        .push_back(&life);
  }
  const auto records = [](const BlockLife* life) {
    constexpr std::int64_t kForever = std::int64_t{1} << 62;
    const bool stays = life->died_record < 0;
    return std::pair(stays ? kForever : life->died_record - life->born_record, life->born_record);
  };
  for (auto& [form, alike] : blocks) std::ranges::sort(alike, std::greater(), records);
  return blocks;
}

std::vector<const BlockLife*> all_of(const Blocks& blocks) {
  std::vector<const BlockLife*> all;
  for (const auto& [form, alike] : blocks) all.insert(all.end(), alike.begin(), alike.end());
  return all;
}

// Takes the CPU's scratch out of its blocks: of temporaries that look alike the shortest-lived ones
// that are too many.
void split_blocks(Blocks& cpu, const Blocks& meta, DryRunDifference& difference) {
  for (auto& [form, alike] : cpu) {
    const auto twins = meta.find(form);
    const std::size_t expected = twins == meta.end() ? 0 : twins->second.size();
    if (alike.size() <= expected) continue;
    const std::string line = concat(alike.size() - expected, " on the CPU of ", form);
    if (alike.front()->category == Category::temporary) {
      difference.scratch.push_back(line);
      alike.resize(expected);
    } else {
      difference.unexplained.push_back(line);
    }
  }
  for (const auto& [form, alike] : meta) {
    const auto twins = cpu.find(form);
    const std::size_t expected = twins == cpu.end() ? 0 : twins->second.size();
    if (alike.size() > expected) {
      difference.unexplained.push_back(concat(alike.size() - expected, " on Meta of ", form));
    }
  }
}

void compare(const MemoryProfile& cpu, const MemoryProfile& meta, DryRunDifference& difference) {
  difference.saved_logical_bytes = meta.saved.logical_bytes - cpu.saved.logical_bytes;
  difference.saved_distinct_bytes = meta.saved.distinct_bytes - cpu.saved.distinct_bytes;
  difference.saved_index_bytes = meta.saved.index_bytes - cpu.saved.index_bytes;
  difference.layers = layer_differences(cpu, meta);
  difference.peak_bytes = meta.peak.bytes - cpu.peak.bytes;
  Blocks on_cpu = plain_blocks(cpu);
  const Blocks on_meta = plain_blocks(meta);
  split_blocks(on_cpu, on_meta, difference);
  const auto cpu_lives = all_of(on_cpu), meta_lives = all_of(on_meta);
  difference.plain_peak_bytes = peak_of(meta_lives) - peak_of(cpu_lives);
  for (int i = 0; i < profiler::kCategoryCount; ++i) {
    const auto of_category = [i](std::vector<const BlockLife*> lives) {
      std::erase_if(
          lives, [i](const BlockLife* life) { return life->category != static_cast<Category>(i); });
      return peak_of(lives);
    };
    difference.plain_category_peaks.at(static_cast<std::size_t>(i)) =
        of_category(meta_lives) - of_category(cpu_lives);
  }
}

struct Outcome {
  MemoryProfile memory;
  std::string error;  // then there is no profile
};

Outcome outcome_on(const char* device, experiments::ProfileOptions options) {
  options.device = device;
  options.warmup = 2;
  options.time_steps = 0;
  options.keep_blocks = true;
  try {
    return {.memory = experiments::run_profile(options).memory, .error = {}};
  } catch (const std::exception& error) {
    return {.memory = {}, .error = error.what()};
  }
}

}  // namespace

bool DryRunDifference::same_blocks() const {
  if (!failed.empty()) return false;
  if (exempt) return true;
  return unexplained.empty() && plain_peak_bytes == 0 &&
         std::ranges::all_of(plain_category_peaks, [](std::int64_t bytes) { return bytes == 0; });
}

DryRunDifference dry_run_difference(const experiments::ProfileOptions& options) {
  DryRunDifference difference;
  difference.exempt = options.strategy.find("select=nsigma") != std::string::npos;
  const Outcome cpu = outcome_on("cpu", options), meta = outcome_on("meta", options);
  if (cpu.error.empty() && meta.error.empty()) {
    compare(cpu.memory, meta.memory, difference);
  } else if (cpu.error == meta.error) {
    difference.refused = cpu.error;
  } else {
    difference.failed = concat("CPU: '", cpu.error, "', Meta: '", meta.error, "'");
  }
  return difference;
}

}  // namespace sbp::tests
