// Scalars for TensorBoard; LibTorch-free.
//
// An event file is a row of records: length (8 bytes, little-endian), masked CRC-32C of it, data,
// masked CRC-32C of them (TFRecord). The data are protobuf messages tensorflow.Event, of which
// this writes wall_time = 1, step = 2, file_version = 3, summary = 5 and session_log = 7.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sbp/base/descriptor.h"

namespace sbp::experiments {

using Scalars = std::vector<std::pair<std::string, double>>;  // tag, value

class EventFile {
 public:
  // A new file in `folder`, whose name begins as TensorBoard expects. Throws Error. Where
  // `resumed_from` is given, TensorBoard drops what earlier files hold of that step and later.
  EventFile(const std::string& folder, std::optional<std::int64_t> resumed_from);

  // One event, on the disk's side of this process when it returns. Throws Error: disk full.
  void add(std::int64_t step, const Scalars& scalars);

 private:
  void write(const std::string& event);

  std::string path_;
  Descriptor file_;
};

// The parts, for tests.
std::uint32_t crc32c(std::string_view bytes);
std::string framed_record(std::string_view data);
struct EventTime {
  double wall_seconds = 0.0;
  std::int64_t step = 0;
};
std::string version_event(double wall_seconds);
std::string scalars_event(const EventTime& time, const Scalars& scalars);
std::string restart_event(const EventTime& time);

}  // namespace sbp::experiments
