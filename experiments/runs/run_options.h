// What the commands may ask for: plain settings with defaults, checked by the run itself.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace sbp::experiments {

// Shared by every command. Specs are in the grammar of sbp/base/spec.h, as typed.
struct RunOptions {
  std::string model = "vit_tiny_patch16_224";
  std::string data = "synthetic";
  std::string strategy = "full";
  std::string optimizer = "adamw";
  std::string device = "cpu";
  std::string precision = "fp32";
  std::int64_t batch = 8;
  std::int64_t accumulate = 1;  // batches whose gradients make one update
  double clip_norm = 0.0;       // of all gradients together, at most; 0: as they are
  double ema = 0.0;             // decay of the averaged weights; 0: none are kept
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  // 0: as many as there are processors
  std::string augment;       // specs of --list augmentations; empty: none
  std::int64_t workers = 1;  // threads that read and augment images
  std::vector<std::string> command_line;
};

// When gradients are dropped (set to none).
enum class ZeroGrad { start, before_backward, end };
inline constexpr const char* kZeroGradWords[] = {"start", "before_backward", "end"};
constexpr const char* word_of(ZeroGrad when) {
  return kZeroGradWords[static_cast<int>(when)];
}

// Whose training loop a prediction is for: one in Python, whose names keep a step's logits and loss
// alive until the next step's replace them and whose optimizers take all parameters at once, or
// this program's own.
enum class TrainingLoop { python, sbp };
constexpr const char* word_of(TrainingLoop loop) {
  return loop == TrainingLoop::python ? "python" : "sbp";
}

struct ProfileOptions : RunOptions {
  std::int64_t warmup = 2;      // untraced steps before the traced one
  std::int64_t time_steps = 5;  // untraced, timed steps after it; 0: no timing
  ZeroGrad zero_grad = ZeroGrad::start;
  bool keep_blocks = false;  // every block's life goes into the report
  // Of a prediction, which runs nothing:
  std::string predict;    // the GPU's spec; empty: no prediction is made
  std::string allocator;  // options of its caching allocator
  TrainingLoop loop = TrainingLoop::python;
  std::int64_t predict_steps = 3;  // of training; the optimizer's state is born in the first
  bool largest_batch = false;      // search for the largest that fits
};

struct CheckpointOptions {
  std::string folder;             // empty: none are written
  std::int64_t every_epochs = 1;  // 0: not by epochs
  std::int64_t every_steps = 0;   // 0: not by steps
  std::int64_t keep = 1;          // files of tensors that stay
  bool resume = false;            // go on from the checkpoint in the folder
  bool replace = false;           // start over although the folder holds a checkpoint
};

struct TrainOptions : RunOptions {
  std::optional<std::int64_t> steps;  // one of steps and epochs; default epochs = 1
  std::optional<std::int64_t> epochs;
  std::string schedule = "cosine";     // a spec of schedule_schemas()
  double learning_rate_minimum = 0.0;  // of the schedule, where its spec says nothing
  std::int64_t warmup_steps = 0;       // linear, from `warmup_start`; or `warmup_epochs`
  double warmup_epochs = 0.0;
  double warmup_start = 0.0;  // a learning rate
  double label_smoothing = 0.0;
  std::int64_t evaluate_every = 1;                 // epochs; 0: only at the end
  std::optional<std::int64_t> evaluation_samples;  // at most; default all
  bool flip = false;                               // random horizontal flip of training images
  std::int64_t crop_padding = 0;                   // random crop after padding by so many pixels
  double evaluation_crop_ratio = 0.0;              // of the resized image; 0: the data's own
  std::int64_t fidelity_every = 0;                 // steps; 0: never
  bool profile_step = true;                        // trace one step after training starts
  CheckpointOptions checkpoint;
  std::string init;            // weights to start from: a safetensors file or a checkpoint's folder
  std::string tensorboard;     // folder of an event file; empty: none
  bool evaluate_only = false;  // the weights of `init` or of the checkpoint, without training
};

struct CorrelateOptions : RunOptions {
  std::vector<std::string> strategies;  // in the order reported; `strategy` is not read
  std::optional<std::int64_t> at;  // training steps before; default 50, or 0 from other weights
  std::int64_t batches = 2;        // fixed ones that gradients are compared on
  std::int64_t masks = 4;          // drawn on each
  bool local = true;               // also with exact surroundings for each site
  std::string init;                // weights to start from
  std::string checkpoint;          // folder of a training run: its weights and optimizer
};

// How a run tells of its progress; every member may be empty. Called on the run's thread.
struct Progress {
  // Work so far out of all, with a few words: `done` and `total` count steps.
  std::function<void(std::int64_t done, std::int64_t total, const std::string& what)> step;
  std::function<void(const std::string& line)> line;  // one line an epoch
  std::function<bool()> interrupted;                  // true: finish the step in hand and stop
};

}  // namespace sbp::experiments
