#include "profiler/saved_books.h"

namespace sbp::profiler {

bool SavedBooks::save(std::uint64_t number, const Save& save) {
  if (held_.find(number) != NumberMap::kAbsent) return false;
  held_.exchange(number, static_cast<std::uint32_t>(saves_.size()));
  saves_.push_back(save);
  return true;
}

bool SavedBooks::release(std::uint64_t number) {
  const std::uint32_t index = held_.take(number);
  if (index == NumberMap::kAbsent) return false;
  saves_[index].released = true;
  return true;
}

std::vector<Save> SavedBooks::held() const {
  std::vector<Save> result;
  for (const Save& save : saves_) {
    if (!save.released && save.block != kNoBlock) result.push_back(save);
  }
  return result;
}

}  // namespace sbp::profiler
