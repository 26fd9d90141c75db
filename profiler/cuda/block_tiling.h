// How blocks tile the allocator's segments, replayed from its events: which event gives a block's
// address and the bytes asked for, not the block's size.
//
// No search is needed for that: an allocation takes the free block at its address, whole or its
// first part. Which of the two is the allocator's rule (small pool and expandable segments: split
// if 512 bytes remain; else if more than 1 MiB remain).
#pragma once

#include <cstdint>
#include <map>

#include "profiler/cuda/allocator_trace.h"
#include "profiler/cuda/block_logger.h"
#include "profiler/problems.h"

namespace sbp::profiler {

// Bytes of a device at one moment. The first four sum to reserved.
struct AllocatorBytes {
  std::int64_t requested = 0;  // by live tensors
  std::int64_t rounding = 0;   // what their blocks are larger
  std::int64_t awaiting = 0;   // blocks freed that another stream still uses
  std::int64_t cached = 0;     // free blocks in segments
  std::int64_t reserved = 0;   // segments

  std::int64_t blocks() const { return requested + rounding; }
  bool balances() const { return requested + rounding + awaiting + cached == reserved; }
  bool operator==(const AllocatorBytes&) const = default;
};

class BlockTiling {
 public:
  // `trace` and `problems` outlive it. Whatever cannot be in an allocator is a problem, and leaves
  // the tiling as it was. `log` is told of all that holds; it may be nullptr.
  BlockTiling(const AllocatorTrace& trace, Problems& problems, BlockLogger* log = nullptr);

  // The event of that index.
  void replay(std::int64_t index);

  const AllocatorBytes& bytes() const noexcept { return bytes_; }

 private:
  struct Tile {
    std::int64_t bytes = 0;
    std::int64_t requested_bytes = 0;
    AllocatorBlock::State state = AllocatorBlock::State::free;
    std::uint64_t segment = 0;  // its address; of expandable ones: of the run of mapped memory
    bool is_small = false;      // of the pool for small requests
    bool is_expandable = false;
  };
  using Tiles = std::map<std::uint64_t, Tile>;

  void add_segment(const AllocatorSegment& segment);
  void allocate(std::int64_t index, const AllocatorEvent& event);
  void request_free(std::int64_t index, const AllocatorEvent& event);
  void complete_free(std::int64_t index, const AllocatorEvent& event);
  void add_memory(std::int64_t index, const AllocatorEvent& event, bool is_expandable);
  void remove_memory(std::int64_t index, const AllocatorEvent& event);

  bool should_split(const Tile& tile, std::int64_t bytes) const;
  bool overlaps(std::uint64_t address, std::int64_t bytes) const;
  Tiles::iterator with_state(std::int64_t index, std::uint64_t address, AllocatorBlock::State state,
                             const char* what);
  void cut_free_at(std::uint64_t address);
  void merge_free(Tiles::iterator tile);
  bool is_whole_segment(Tiles::iterator tile, const AllocatorEvent& event) const;
  void log_segment(const AllocatorSegment& segment);
  void count(const Tile& tile, std::int64_t sign);

  const AllocatorTrace& trace_;
  Problems& problems_;
  BlockLogger* log_;
  Tiles tiles_;
  AllocatorBytes bytes_;
};

}  // namespace sbp::profiler
