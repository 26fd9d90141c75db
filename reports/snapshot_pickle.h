// The words of a snapshot of PyTorch's CUDA memory. Private to reports/*.cpp.
#pragma once

#include <cstdint>
#include <string_view>

#include "reports/pickle.h"

namespace sbp::reports {

class SnapshotPickle : public Pickle {
 public:
  // A key and its value, in the dict that is being filled.
  void number(std::string_view key, std::int64_t value);
  void word(std::string_view key, std::string_view value);

  // One of the list that is being filled.
  void frame(std::string_view file, std::string_view name);
  void no_frames();

  // A dict that further keys may follow; append() ends it.
  void begin_event(std::string_view action, std::int64_t address, std::int64_t bytes,
                   std::int64_t time_us);

  // The last event of a trace. Viewers that colour by category look for this one, and fail where it
  // never occurs.
  void end_of_trace(std::int64_t time_us);

  struct Segment {
    std::int64_t address = 0;
    std::int64_t bytes = 0;
    std::int64_t allocated_bytes = 0;  // of its blocks that tensors have
    std::int64_t active_bytes = 0;     // the same, and blocks that a stream still uses
    std::int64_t requested_bytes = 0;  // in active blocks
    std::string_view pool = "large";
    bool is_expandable = false;
  };
  // A dict without its blocks, which must follow.
  void begin_segment(const Segment& segment);
};

}  // namespace sbp::reports
