// What did not add up in a trace: how much, and the earliest of it in words.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "sbp/base/error.h"

namespace sbp::profiler {

// "0x7f00", as debuggers write addresses.
std::string hex(std::uint64_t address);

class Problems {
 public:
  // Notes a problem at the record of that index (-1: before all records). The sentence is only
  // composed if it would be the earliest one.
  template <typename... Parts>
  void note(std::int64_t record_index, const Parts&... parts) {
    ++count_;
    if (record_index >= first_index_) return;
    first_index_ = record_index;
    first_ = concat(parts...);
  }

  std::int64_t count() const noexcept { return count_; }
  const std::string& first() const noexcept { return first_; }

 private:
  std::int64_t count_ = 0;
  std::int64_t first_index_ = std::numeric_limits<std::int64_t>::max();
  std::string first_;
};

}  // namespace sbp::profiler
