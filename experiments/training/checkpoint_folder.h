// The folder of one run's checkpoints, and what keeps it resumable at any moment; LibTorch-free.
//
// `checkpoint.json` names the tensor file that belongs to it and is renamed into its place last:
// that is the moment a new checkpoint holds. Older tensor files are removed only after it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "experiments/data/safetensors.h"
#include "reports/checkpoint.h"
#include "sbp/base/descriptor.h"

namespace sbp::experiments {

class CheckpointFolder {
 public:
  enum class Start { fresh, resume, replace };

  // Makes the folder if it is absent (its parent must be there), and locks it until the end of this
  // object or process. `keep`: tensor files that stay, at least 1. Throws UsageError when it holds
  // a checkpoint and `start` is fresh; Error when another process holds it, or what is to be
  // resumed cannot be read.
  CheckpointFolder(std::string path, Start start, std::int64_t keep);

  // What to resume; nothing when the run before was killed ahead of its first checkpoint.
  const std::optional<reports::Checkpoint>& found() const { return found_; }

  const std::string& path() const { return path_; }
  // Where the tensors of a step belong. Written by the caller, before commit().
  std::string tensor_name(std::int64_t step) const;
  std::string tensor_path(std::int64_t step) const;
  // Makes it the checkpoint, then removes what is no longer needed. Throws Error.
  void commit(const reports::Checkpoint& checkpoint);

 private:
  void lock();
  void remove_leftovers() const;
  void remove_unneeded();

  std::string path_;
  std::int64_t keep_;
  Descriptor folder_;
  std::optional<reports::Checkpoint> found_;
  std::vector<std::string> ours_;  // tensor files of this run, oldest first
};

// How files aside are named in such a folder (WholeFile).
inline constexpr const char* kCheckpointPurpose = "checkpoint";

// The checkpoint in `folder`, without locking it. Throws Error when there is none.
reports::Checkpoint read_checkpoint(const std::string& folder);

// The tensors of a checkpoint in `folder`. Throws Error when the file is missing or not, to the
// byte, the one that the checkpoint was written with.
SafetensorsFile open_tensors(const std::string& folder, const reports::Checkpoint& checkpoint);

}  // namespace sbp::experiments
