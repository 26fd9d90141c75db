// The caching allocator once more, written for plainness alone: lists that are scanned, and figures
// that are counted anew after every change. What the real one is compared with.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "profiler/predict/allocator_options.h"
#include "profiler/predict/allocator_statistics.h"

namespace sbp::predict::tests {

class NaiveAllocator {
 public:
  explicit NaiveAllocator(const AllocatorOptions& options) : options_(options) {}

  struct Given {
    std::uint64_t address = 0;
    std::int64_t bytes = 0;
  };
  // nullopt: out of memory. An address names what was given.
  std::optional<Given> allocate(std::int64_t bytes, int stream);
  void free(std::uint64_t address);
  void record_stream(std::uint64_t address, int stream);
  void finish_events();
  void empty_cache();
  void reset_peaks() { statistics_.reset_peaks(); }

  const AllocatorStatistics& statistics() const { return statistics_; }

 private:
  enum class State : std::uint8_t { allocated, waiting, free, unmapped };
  struct Piece {
    std::uint64_t address = 0;
    std::int64_t bytes = 0;
    std::int64_t requested = 0;
    State state = State::free;
    bool used_elsewhere = false;
    std::int64_t entry = 0;  // searches of the pool when it became free
  };
  // One cudaMalloc, or one address range.
  struct Range {
    std::uint64_t address = 0;
    std::int64_t bytes = 0;
    bool small = false;
    int stream = 0;
    std::vector<Piece> pieces;  // by address
  };
  struct Found {
    std::size_t range = 0;
    std::size_t piece = 0;
  };

  Range& range_at(std::uint64_t address);
  Found find(std::uint64_t address);
  Piece& at(Found found) { return ranges_[found.range].pieces[found.piece]; }

  std::uint64_t lowest_gap(std::int64_t bytes) const;
  std::vector<Found> free_pieces(bool small, int stream);
  std::optional<Found> search(bool small, int stream, std::int64_t bytes);
  std::optional<Found> new_memory(bool small, int stream, std::int64_t bytes);
  std::optional<Found> grow(bool small, int stream, std::int64_t bytes);
  bool is_reserve_allowed(std::int64_t bytes) const;
  void collect();
  bool release_oversize(bool small, int stream, std::int64_t bytes);
  void release_range(std::size_t range);
  void unmap_units(std::uint64_t address);
  void release_all();
  void retire(std::uint64_t address);
  // Free, or unmapped, neighbours become one.
  void merge(Range& range);
  std::int64_t growable(Found found);
  std::int64_t unit(bool small) const;
  std::int64_t& searches(bool small) { return small ? small_searches_ : large_searches_; }
  // Counts all current figures anew, and raises the peaks.
  void count();

  AllocatorOptions options_;
  AllocatorStatistics statistics_;
  std::vector<Range> ranges_;
  std::vector<std::uint64_t> waiting_;
  std::vector<std::uint64_t> completed_;
  std::int64_t small_searches_ = 0;
  std::int64_t large_searches_ = 0;
};

}  // namespace sbp::predict::tests
