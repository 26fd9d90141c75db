// The memory that an allocator holds, as segments come and go. Private to reports/*.cpp.
#pragma once

#include <cstdint>
#include <map>

#include "profiler/allocator_log.h"

namespace sbp::reports {

class HeldMemory {
 public:
  struct Stretch {
    std::int64_t bytes = 0;
    profiler::PoolKind pool = profiler::PoolKind::small;
    bool is_expandable = false;
  };

  // Throws Error where memory is given back that is not held.
  void change(const profiler::AllocatorLog::Segment& segment);

  // By address. Mapped neighbours of one pool are one stretch.
  const std::map<std::int64_t, Stretch>& stretches() const { return stretches_; }

 private:
  void add(std::int64_t address, Stretch added);
  void remove(const profiler::AllocatorLog::Segment& segment);

  std::map<std::int64_t, Stretch> stretches_;
};

}  // namespace sbp::reports
