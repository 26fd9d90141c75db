#include "profiler/predict/allocator_statistics.h"

namespace sbp::predict {

void PoolStatistics::reset_peaks() {
  for (Figure* figure : {&requested, &allocated, &active, &reserved, &inactive_split}) {
    figure->peak = figure->current;
  }
}

void AllocatorStatistics::reset_peaks() {
  total.reset_peaks();
  small_pool.reset_peaks();
  large_pool.reset_peaks();
  segments.peak = segments.current;
}

}  // namespace sbp::predict
