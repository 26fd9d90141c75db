// One traced step on the CPU against the same step on Meta, byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/runs/run_options.h"
#include "profiler/memory_profile.h"

namespace sbp::tests {

// Blocks of at most so many bytes are left out where it says "plain": among them are the scalars
// that LibTorch keeps on the CPU whatever the device is.
inline constexpr std::int64_t kScalarBytes = 64;

// Differences are Meta's figure less the CPU's.
struct DryRunDifference {
  std::string refused;  // what both runs say in place of a figure; then there is nothing to compare
  std::string failed;   // what only one of them says, or each otherwise
  // What is kept depends on the data, of which Meta knows nothing: it reports expected sizes.
  bool exempt = false;

  std::int64_t saved_logical_bytes = 0;
  std::int64_t saved_distinct_bytes = 0;
  std::int64_t saved_index_bytes = 0;
  std::vector<std::string> layers;  // those that save otherwise, with both figures

  std::int64_t peak_bytes = 0;
  // The same of plain blocks: without scalars, without the workspaces of convolutions, and without
  // `scratch`.
  std::int64_t plain_peak_bytes = 0;
  profiler::CategoryBytes plain_category_peaks{};

  // Plain blocks that one run has and the other lacks, as "2 of LAYER, PHASE, CATEGORY: BYTES".
  std::vector<std::string> scratch;      // temporaries that the CPU's kernels take
  std::vector<std::string> unexplained;  // all others

  bool same_saves() const { return failed.empty() && (exempt || layers.empty()); }
  bool same_blocks() const;
};

// Profiles `options` on both devices; device, warm-up and timing are set here.
DryRunDifference dry_run_difference(const experiments::ProfileOptions& options);

}  // namespace sbp::tests
