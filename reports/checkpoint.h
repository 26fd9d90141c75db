// What a checkpoint says about itself: a small JSON file beside the file of its tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "reports/report.h"

namespace sbp::reports {

inline constexpr const char* kCheckpointVersion = "1.0";

// The file of tensors that belongs to it, in the same folder.
struct TensorFile {
  std::string name;
  std::int64_t bytes = 0;
  std::string checksum;  // "crc32:0123abcd", of the whole file

  bool operator==(const TensorFile&) const = default;
};

// A moment between two training steps.
struct Checkpoint {
  std::int64_t step = 0;            // steps made
  std::int64_t epoch = 0;           // the epoch in hand, from 0
  std::int64_t batch_in_epoch = 0;  // its next batch; as many as it has: only its end is missing
  TensorFile tensors;
  // Numbers beside the tensors that going on needs, by name: counters, sums of the epoch in hand.
  std::map<std::string, double> scalars;
  // Of the run so far: its configuration, closed epochs, losses of all steps.
  TrainReport report;

  bool operator==(const Checkpoint&) const = default;
};

std::string to_json(const Checkpoint& checkpoint);

// Throws Error naming `source` and what is wrong: not JSON, truncated, another schema or version,
// a member that is missing or of the wrong type.
Checkpoint parse_checkpoint(std::string_view json, std::string_view source);

}  // namespace sbp::reports
