// What a run tells: plain structs, shared by whoever measures and whoever renders.
//
// No behaviour, no LibTorch, no JSON. Bytes are integers, ratios are in [0, 1], times in seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "profiler/memory_profile.h"

namespace sbp::reports {

inline constexpr const char* kSchemaVersion = "1.0";

using ConfigurationValue = std::variant<std::int64_t, double, bool, std::string>;

// Versions and machine facts that a number may depend on.
struct Environment {
  std::string sbp_version;
  std::string git_commit;  // empty when unknown; "+" behind it for a changed tree
  std::string libtorch_version;
  std::string compiler;
  std::string processor;
  std::string operating_system;
  std::string host;
  std::int64_t processor_count = 0;
  std::int64_t threads = 0;
  std::int64_t memory_bytes = 0;
  std::string started_at;  // ISO 8601, UTC

  bool operator==(const Environment&) const = default;
};

// What every report begins with.
struct Header {
  std::vector<std::string> command_line;
  // Everything the run depended on, defaults filled in, in the order of --help.
  std::vector<std::pair<std::string, ConfigurationValue>> configuration;
  Environment environment;
  std::vector<std::string> warnings;

  bool operator==(const Header&) const = default;
};

// One site of the resolved plan: what was asked and what was got.
struct PlanEntry {
  std::string site;
  std::string kind;
  std::string claimed_by;  // the spec that decided; empty: nothing is dropped or coded here
  std::string select;      // "all", or words such as "query rows, grid mask"
  std::optional<double> keep_ratio;            // asked; absent where nothing is dropped
  std::optional<double> effective_keep_ratio;  // kept rows / rows, always-kept rows included
  std::int64_t rows = 0;                       // a sample's rows at this site; 0: not row-wise
  std::int64_t kept_rows = 0;
  std::string mask_group;  // sites of one group share a mask
  std::string materialise = "store";
  std::string code;  // codecs by saved role, "role=codec"; empty: everything exact

  bool operator==(const PlanEntry&) const = default;
};

struct StrategyOutcome {
  std::string spec;  // resolved
  // Kept / all rows over the row-wise sites that drop: of the traced step in a profile, the mean
  // over all steps in a training run; 1 when nothing is dropped.
  double effective_keep_ratio = 1.0;
  bool forward_exact = true;  // the forward value is the full model's

  bool operator==(const StrategyOutcome&) const = default;
};

struct TimeSummary {
  double median = 0.0;
  double minimum = 0.0;
  double maximum = 0.0;
  std::int64_t count = 0;

  bool operator==(const TimeSummary&) const = default;
};

// Untraced steps, seconds each. Absent on a device that computes nothing.
struct StepTimes {
  TimeSummary step;
  TimeSummary forward;
  TimeSummary backward;
  TimeSummary optimizer;
  double samples_per_second = 0.0;

  bool operator==(const StepTimes&) const = default;
};

// The operating system's view, beside the books: resident set of the process around the traced
// step. Absent where it cannot be read.
struct ResidentSet {
  std::int64_t before_bytes = 0;  // before the model was built
  std::int64_t peak_bytes = 0;    // highest up to the end of the traced step

  bool operator==(const ResidentSet&) const = default;
};

struct ModelFacts {
  std::string spec;  // resolved
  std::int64_t parameter_count = 0;
  std::int64_t parameter_bytes = 0;
  std::int64_t buffer_bytes = 0;

  bool operator==(const ModelFacts&) const = default;
};

struct ProfileReport {
  Header header;
  ModelFacts model;
  StrategyOutcome strategy;
  std::vector<PlanEntry> plan;
  profiler::MemoryProfile memory;
  std::optional<double> loss;  // of the traced step; absent on Meta
  std::optional<StepTimes> time;
  std::optional<ResidentSet> resident_set;
  std::optional<double> tracing_seconds;  // duration of the traced step

  bool operator==(const ProfileReport&) const = default;
};

struct Evaluation {
  double loss = 0.0;
  double top1 = 0.0;  // ratio
  double top5 = 0.0;
  std::int64_t samples = 0;

  bool operator==(const Evaluation&) const = default;
};

struct EpochResult {
  std::int64_t epoch = 0;      // from 1
  std::int64_t steps = 0;      // since the start of training
  double train_loss = 0.0;     // mean over the epoch's samples
  double learning_rate = 0.0;  // of the last step
  double seconds = 0.0;
  double data_wait_seconds = 0.0;
  double samples_per_second = 0.0;
  std::optional<Evaluation> evaluation;
  std::optional<Evaluation> averaged_evaluation;  // with the averaged weights, where any are kept
  std::optional<std::int64_t> resident_bytes;     // of the process, after the epoch

  bool operator==(const EpochResult&) const = default;
};

// The memory of one traced training step, in short.
struct MemorySummary {
  std::int64_t peak_bytes = 0;
  std::string peak_phase;
  std::int64_t transient_peak_bytes = 0;
  profiler::SavedBytes saved;
  profiler::CategoryBytes categories_at_peak{};
  profiler::LedgerCheck ledger;

  bool operator==(const MemorySummary&) const = default;
};

struct TrainReport {
  Header header;
  ModelFacts model;
  StrategyOutcome strategy;
  std::vector<PlanEntry> plan;
  std::vector<EpochResult> epochs;
  std::vector<double> step_losses;  // every step's loss, in order
  std::optional<Evaluation> final_evaluation;
  std::optional<Evaluation> final_averaged_evaluation;  // with the averaged weights
  std::optional<MemorySummary> memory;
  std::int64_t steps = 0;
  double seconds = 0.0;  // of training and evaluation, before an interruption too
  bool interrupted = false;
  std::optional<std::int64_t> resumed_from;  // the step of the checkpoint that the run went on from
  std::string weights_checksum;  // of the final parameters and buffers; empty: not computed

  bool operator==(const TrainReport&) const = default;
};

}  // namespace sbp::reports
