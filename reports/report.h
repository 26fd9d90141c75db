// What a run tells: plain structs, shared by whoever measures and whoever renders.
//
// No behaviour, no LibTorch, no JSON. Bytes are integers, ratios are in [0, 1], times in seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "profiler/memory_profile.h"
#include "profiler/predict/prediction.h"
#include "reports/device_memory.h"

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
  std::optional<DeviceMemory> device_memory;  // of a CUDA device
  std::optional<double> tracing_seconds;      // duration of the traced step

  bool operator==(const ProfileReport&) const = default;
};

// What a run would take of a GPU, found out without one.
struct PredictionReport {
  Header header;
  ModelFacts model;
  StrategyOutcome strategy;
  std::vector<PlanEntry> plan;
  predict::Prediction prediction;
  profiler::SavedBytes saved;  // for backward, when the first step's forward ended
  double seconds = 0.0;        // that it took to find out

  bool operator==(const PredictionReport&) const = default;
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

// ---- how faithful a gradient is (sbp-correlate)

// An approximate gradient h against the exact one g, over some elements; sums are taken in fp64.
// A figure is absent where the exact gradient is zero and so nothing can be compared.
struct Agreement {
  std::optional<double> cosine;          // dot(h, g) / sqrt(dot(h, h) dot(g, g)); 0 where h is zero
  std::optional<double> relative_error;  // |h - g| / |g|
  std::optional<double> norm_ratio;      // |h| / |g|
  std::optional<double> sign_agreement;  // share of equal signs, of the elements with g not 0

  bool operator==(const Agreement&) const = default;
};

// A figure over the layers that have one. An overall cosine hides dead layers; these do not.
struct LayerSpread {
  std::optional<double> mean;
  std::optional<double> minimum;
  std::string minimum_layer;
  std::optional<double> maximum;
  std::string maximum_layer;

  bool operator==(const LayerSpread&) const = default;
};

struct AgreementOverLayers {
  LayerSpread cosine;
  LayerSpread relative_error;
  LayerSpread norm_ratio;
  LayerSpread sign_agreement;

  bool operator==(const AgreementOverLayers&) const = default;
};

struct ParameterFidelity {
  std::string name;
  std::string layer;
  std::int64_t elements = 0;
  Agreement agreement;

  bool operator==(const ParameterFidelity&) const = default;
};

struct LayerFidelity {
  std::string name;
  std::string kind;
  std::int64_t elements = 0;
  Agreement agreement;  // compounded: the whole network drops
  // With the exact upstream gradient and the exact input (the paper's dW_keep against dW).
  std::optional<double> local_cosine;
  std::optional<double> local_relative_error;
  std::optional<double> exact_norm;   // |g|
  std::optional<double> noise_ratio;  // variance over masks / variance over batches
  std::int64_t saved_distinct_bytes = 0;

  bool operator==(const LayerFidelity&) const = default;
};

// What drawing another mask changes: means over the batches.
struct MaskNoise {
  std::int64_t masks = 0;                 // drawn on each batch; 1 where nothing is drawn
  std::optional<double> cosine_of_mean;   // of the mean gradient over masks with the exact one
  std::optional<double> squared_bias;     // relative to |g|^2; unbiased, so it may be below zero
  std::optional<double> variance;         // relative to |g|^2, of one mask's gradient
  std::optional<double> noise_ratio;      // variance / that of the exact gradient over batches
  std::optional<double> effective_batch;  // batch / (1 + noise_ratio)

  bool operator==(const MaskNoise&) const = default;
};

// How the gradients of a strategy came about.
enum class Scoring { passes, one_pass };
inline constexpr int kScoringCount = 2;
std::string_view to_string(Scoring scoring);

struct StrategyFidelity {
  std::string name;  // its spec as typed
  StrategyOutcome strategy;
  Scoring scoring = Scoring::passes;
  Agreement agreement;  // overall: means over masks and batches
  AgreementOverLayers over_layers;
  std::optional<double> update_cosine;  // of what the optimizer changes the parameters by
  MaskNoise noise;
  // Of one training step at the same batch, by a dry run.
  std::int64_t saved_distinct_bytes = 0;
  std::int64_t saved_index_bytes = 0;
  std::int64_t peak_bytes = 0;
  std::vector<LayerFidelity> layers;
  std::vector<ParameterFidelity> parameters;

  bool operator==(const StrategyFidelity&) const = default;
};

// What to measure a strategy against: the exact gradient of other samples.
struct BaselineFidelity {
  std::string name;  // "half_batch", "other_batch"
  Agreement agreement;
  AgreementOverLayers over_layers;
  std::optional<double> update_cosine;

  bool operator==(const BaselineFidelity&) const = default;
};

// The training state that gradients were taken at.
struct TrainingState {
  std::int64_t steps = 0;  // updates made
  std::string source;      // "trained here", or the file or folder the weights came from
  double loss = 0.0;       // exact, mean over the batches
  std::optional<double> gradient_norm;   // exact, of the first batch
  std::optional<double> batch_variance;  // of the exact gradient over batches, all parameters

  bool operator==(const TrainingState&) const = default;
};

struct CorrelateReport {
  Header header;
  ModelFacts model;
  TrainingState state;
  std::int64_t batches = 0;  // that figures are means over
  std::vector<BaselineFidelity> baselines;
  std::vector<StrategyFidelity> strategies;
  double seconds = 0.0;  // of all gradients, without the training before
  bool interrupted = false;

  bool operator==(const CorrelateReport&) const = default;
};

// One moment of a training run (sbp-train --fidelity-every): this step's gradient as the strategy
// gives it, against the exact one of the same batches.
struct FidelityPoint {
  std::int64_t step = 0;  // updates made before it
  Agreement agreement;
  LayerSpread cosine_over_layers;

  bool operator==(const FidelityPoint&) const = default;
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
  std::vector<FidelityPoint> fidelity;  // empty: not asked for
  std::int64_t steps = 0;
  double seconds = 0.0;  // of training and evaluation, before an interruption too
  bool interrupted = false;
  std::optional<std::int64_t> resumed_from;  // the step of the checkpoint that the run went on from
  std::string weights_checksum;  // of the final parameters and buffers; empty: not computed

  bool operator==(const TrainReport&) const = default;
};

// ---- sweeps

struct SweepAxis {
  std::string name;                 // "strategy", "strategy.sbp.keep", "seed"
  std::vector<std::string> values;  // as typed

  bool operator==(const SweepAxis&) const = default;
};

enum class PointStatus { finished, failed, out_of_memory, killed, not_run };

// What a point's report says, in short. Absent: that kind of report has no such figure.
struct PointFigures {
  std::optional<std::int64_t> batch;
  std::optional<double> effective_keep_ratio;
  std::optional<std::int64_t> peak_bytes;
  std::optional<std::int64_t> device_peak_bytes;  // of the process on a GPU
  std::optional<std::int64_t> capacity_bytes;     // of that GPU
  std::optional<std::int64_t> fits;               // 1: the run completes there, 0: it does not
  std::optional<std::int64_t> largest_batch;      // that was found to fit there
  std::optional<std::int64_t> transient_peak_bytes;
  std::optional<std::int64_t> saved_distinct_bytes;
  std::optional<std::int64_t> saved_index_bytes;
  std::optional<double> train_loss;  // of the last epoch; of a profile its step's
  std::optional<double> test_loss;
  std::optional<double> top1;
  std::optional<double> top5;
  std::optional<double> cosine;
  std::optional<double> mean_layer_cosine;
  std::optional<double> minimum_layer_cosine;
  std::optional<double> local_cosine;  // mean over layers
  std::optional<double> update_cosine;
  std::optional<double> relative_error;
  std::optional<double> norm_ratio;
  std::optional<double> sign_agreement;
  std::optional<double> noise_ratio;
  std::optional<double> step_seconds;  // median
  std::optional<double> samples_per_second;

  bool operator==(const PointFigures&) const = default;
};

struct SweepPoint {
  std::string id;  // of its command: points/ID.json is its report
  // One value an axis, in the order of the axes; absent where the axis names nothing of the point.
  std::vector<std::optional<std::string>> values;
  PointStatus status = PointStatus::not_run;
  std::string reason;                           // why it is not finished; empty for those that are
  std::optional<double> seconds;                // of the process
  std::optional<std::int64_t> estimated_bytes;  // by a dry run
  PointFigures figures;

  bool operator==(const SweepPoint&) const = default;
};

struct SweepReport {
  Header header;
  std::string command;  // "train", "profile" or "correlate"
  std::string about;    // the recipe's words
  std::string paper;    // what its paper concluded; empty: not said
  std::vector<SweepAxis> axes;
  std::vector<SweepPoint> points;  // in the order of the plan

  bool operator==(const SweepReport&) const = default;
};

}  // namespace sbp::reports
