// What autograd holds at each moment of a trace.
#pragma once

#include <cstdint>
#include <vector>

#include "profiler/number_map.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {

inline constexpr std::uint32_t kNoBlock = NumberMap::kAbsent;

// One tensor that autograd took hold of.
struct Save {
  std::int64_t logical_bytes = 0;  // of the tensor as saved; a view counts what it shows
  std::uint32_t block = kNoBlock;  // index of its storage's block; kNoBlock: not in the books
  LayerId layer = kNoLayer;        // that saved it
  SaveLabel label = SaveLabel::value;
  bool released = false;
};

class SavedBooks {
 public:
  // False when a save of that number was already there; the new one is then left out.
  bool save(std::uint64_t number, const Save& save);
  // False when no save of that number is held.
  bool release(std::uint64_t number);
  // The saves held now whose block is in the books, in the order they were made.
  std::vector<Save> held() const;

 private:
  std::vector<Save> saves_;
  NumberMap held_;  // save number -> index into saves_
};

}  // namespace sbp::profiler
