// Writes an AllocatorLog while a replay runs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "profiler/allocator_log.h"
#include "profiler/predict/caching_allocator.h"
#include "profiler/predict/prediction.h"

namespace sbp::predict {

class AllocatorLogger {
 public:
  // `log` may be nullptr: then nothing is kept. Otherwise it must outlive this.
  explicit AllocatorLogger(profiler::AllocatorLog* log) : log_(log) {}

  bool is_on() const { return log_ != nullptr; }

  // Whose a block is.
  struct Owner {
    profiler::Category category = profiler::Category::unknown;
    std::string layer;  // empty: none
  };
  void born(Handle handle, const Place& place, Owner owner, const Moment& moment);
  // REQUIRES a handle whose birth was told.
  void died(Handle handle);
  void changed(const SegmentEvent& event);

 private:
  profiler::AllocatorLog* log_;
  std::int64_t events_ = 0;
  std::vector<std::size_t> rows_;  // index = Handle::block
};

}  // namespace sbp::predict
