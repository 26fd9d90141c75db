#include "profiler/predict/caching_allocator.h"

#include <algorithm>
#include <utility>

#include "profiler/predict/cache_release.h"
#include "profiler/predict/expandable_segments.h"
#include "profiler/predict/heap.h"
#include "profiler/predict/request_size.h"
#include "profiler/predict/segment_list.h"
#include "sbp/base/error.h"

namespace sbp::predict {
namespace {

// A request on its way to a block.
struct Request {
  std::int64_t bytes = 0;  // rounded
  PoolKind pool = PoolKind::small;
  std::uint32_t stream = 0;  // its index in the pool
};

void check_request(std::int64_t bytes) {
  if (bytes < 1) {
    throw Error(concat("cannot allocate '", bytes,
                       "' bytes: a request is of at least 1 byte; "
                       "PyTorch makes none for an empty tensor"));
  }
  if (bytes > kMaxRequestBytes) {
    throw Error(concat("cannot allocate '", bytes,
                       "' bytes: PyTorch refuses requests above 1 EiB (", kMaxRequestBytes,
                       " bytes); is the size of a tensor wrong?"));
  }
}

}  // namespace

class CachingAllocator::State {
 public:
  explicit State(const AllocatorOptions& options) : heap_(options), expandable_(heap_) {}

  Heap& heap() { return heap_; }

  std::optional<Handle> allocate(std::int64_t bytes, int stream) {
    retire_waiting(completed_);
    const std::int64_t rounded = rounded_request(bytes, heap_.options);
    const PoolKind pool = pool_of(rounded);
    const Request request{rounded, pool, heap_.pool(pool).index_of(stream)};
    BlockId id = find_free(request);
    if (id == kNoBlock) id = take_memory(request);
    if (id == kNoBlock) {
      ++heap_.statistics.out_of_memory;
      return std::nullopt;
    }
    return hand_out(id, request.bytes, bytes);
  }

  void free(Handle handle) {
    const BlockId id = held(handle);
    Block& block = heap_.blocks[id];
    heap_.statistics.add(&PoolStatistics::allocated, block.pool, -block.bytes);
    ++block.generation;
    if (block.used_elsewhere) {
      block.state = BlockState::waiting;
      waiting_.push_back(id);
    } else {
      retire(id);
    }
  }

  void record_stream(Handle handle, int stream) {
    Block& block = heap_.blocks[held(handle)];
    if (heap_.pool(block.pool).stream_of(block.stream) != stream) block.used_elsewhere = true;
  }

  void finish_events() { completed_ = waiting_.size(); }

  void empty_cache() {
    retire_waiting(waiting_.size());
    release_all(heap_, expandable_);
  }

  // The block of a handle.
  BlockId held(Handle handle) const {
    if (handle.block < heap_.blocks.size()) {
      const Block& block = heap_.blocks[handle.block];
      if (block.state == BlockState::allocated && block.generation == handle.generation) {
        return handle.block;
      }
    }
    throw Error(concat("no allocation has the handle '", handle.block, ".", handle.generation,
                       "': it was freed before, or is of another allocator"));
  }

 private:
  // Best fit among the free blocks of the stream; in no pool then.
  BlockId find_free(const Request& request) {
    const AllocatorOptions& options = heap_.options;
    BlockPool& pool = heap_.pool(request.pool);
    if (collects()) pool.count_search();
    const FreeBlocks& free = pool.free_of(request.stream);
    FreeBlocks::Place best = free.first_of_at_least(request.bytes);
    if (best == free.end()) return kNoBlock;
    if (options.expandable_segments) best = least_growable(free, best);
    const std::int64_t found_bytes = free[best].bytes;
    // A candidate that may not be used ends the search.
    if (options.max_split_bytes) {
      const std::int64_t max_split = *options.max_split_bytes;
      if (request.bytes < max_split ? found_bytes >= max_split
                                    : found_bytes >= request.bytes + max_rounding_bytes()) {
        return kNoBlock;
      }
    }
    return pool.take(request.stream, best);
  }

  // A block that can still grow counts as what it could grow to, so a larger one may fit better.
  FreeBlocks::Place least_growable(const FreeBlocks& free, FreeBlocks::Place best) const {
    const auto bytes_at = [&](FreeBlocks::Place place) {
      return expandable_.growable_bytes(heap_.blocks[free[place].block]);
    };
    std::int64_t bytes = bytes_at(best);
    // What comes later is no smaller, so it is better only than one that can grow.
    while (bytes > free[best].bytes) {
      const FreeBlocks::Place next = free.next(best);
      if (next == free.end() || bytes_at(next) >= bytes) break;
      best = next;
      bytes = bytes_at(next);
    }
    return best;
  }

  // New memory, if need be after giving back what is cached.
  BlockId take_memory(const Request& request) {
    const AllocatorOptions& options = heap_.options;
    const bool expandable = options.expandable_segments;
    if (collects() && !expandable) collect(heap_);
    BlockId id = new_memory(request);
    if (id == kNoBlock && options.max_split_bytes && !expandable &&
        release_oversize(heap_, request.pool, request.stream, request.bytes)) {
      id = new_memory(request);
    }
    if (id == kNoBlock) {
      empty_cache();
      ++heap_.statistics.retries;
      id = new_memory(request);
    }
    return id;
  }

  // The limit is held against a whole segment even where an expandable one would grow by less.
  BlockId new_memory(const Request& request) {
    const std::int64_t bytes = segment_bytes(request.bytes, heap_.options);
    if (!heap_.can_reserve(bytes)) return kNoBlock;
    if (heap_.options.expandable_segments) {
      return expandable_.grow(request.pool, request.stream, request.bytes);
    }
    return heap_.add_segment(request.pool, request.stream, bytes);
  }

  Handle hand_out(BlockId id, std::int64_t rounded_bytes, std::int64_t requested_bytes) {
    const bool was_split = heap_.blocks[id].is_split();
    const std::int64_t before_bytes = heap_.blocks[id].bytes;
    const bool splits = should_split(heap_.blocks[id], rounded_bytes);
    if (splits) {
      const BlockId rest = heap_.split(id, rounded_bytes);
      heap_.pool(heap_.blocks[rest].pool).insert(rest);
    }
    Block& block = heap_.blocks[id];
    block.state = BlockState::allocated;
    block.used_elsewhere = false;
    block.requested_bytes = requested_bytes;
    AllocatorStatistics& statistics = heap_.statistics;
    if (was_split) {
      count_inactive(block.pool, -block.bytes);
    } else if (splits) {
      count_inactive(block.pool, before_bytes - block.bytes);
    }
    statistics.add(&PoolStatistics::allocated, block.pool, block.bytes);
    statistics.add(&PoolStatistics::active, block.pool, block.bytes);
    statistics.add(&PoolStatistics::requested, block.pool, requested_bytes);
    return {id, block.generation};
  }

  bool should_split(const Block& block, std::int64_t rounded_bytes) const {
    const std::int64_t rest_bytes = block.bytes - rounded_bytes;
    if (block.pool == PoolKind::small || heap_.options.expandable_segments) {
      return rest_bytes >= kMinBlockBytes;
    }
    const auto& max_split = heap_.options.max_split_bytes;
    return (!max_split || rounded_bytes < *max_split) && rest_bytes > kSmallRequestBytes;
  }

  // A block that nobody uses goes back to its pool, with the free ones beside it.
  void retire(BlockId id) {
    Block& block = heap_.blocks[id];
    AllocatorStatistics& statistics = heap_.statistics;
    statistics.add(&PoolStatistics::active, block.pool, -block.bytes);
    statistics.add(&PoolStatistics::requested, block.pool, -block.requested_bytes);
    std::int64_t newly_inactive = 0;
    newly_inactive -= heap_.absorb(id, block.previous, BlockState::free);
    newly_inactive -= heap_.absorb(id, block.next, BlockState::free);
    if (block.is_split()) newly_inactive += block.bytes;
    heap_.pool(block.pool).insert(id);
    count_inactive(block.pool, newly_inactive);
  }

  void count_inactive(PoolKind pool, std::int64_t change) {
    if (heap_.options.expandable_segments) return;
    heap_.statistics.add(&PoolStatistics::inactive_split, pool, change);
  }

  // The first `count` of those that wait: all that are completed, or all.
  void retire_waiting(std::size_t count) {
    if (count == 0) return;
    for (std::size_t i = 0; i < count; ++i) retire(waiting_[i]);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    completed_ = 0;
  }

  bool collects() const {
    return heap_.options.limit_bytes && heap_.options.garbage_collection_threshold > 0.0;
  }

  std::int64_t max_rounding_bytes() const {
    return heap_.options.max_non_split_rounding_bytes.value_or(heap_.options.large_segment_bytes);
  }

  Heap heap_;
  ExpandableSegments expandable_;
  std::vector<BlockId> waiting_;  // in the order in which they were freed
  std::size_t completed_ = 0;     // of those, how many no stream uses any more
};

CachingAllocator::CachingAllocator(const AllocatorOptions& options) {
  check(options);
  state_ = std::make_unique<State>(options);
}

CachingAllocator::~CachingAllocator() = default;
CachingAllocator::CachingAllocator(CachingAllocator&&) noexcept = default;
CachingAllocator& CachingAllocator::operator=(CachingAllocator&&) noexcept = default;

std::optional<Handle> CachingAllocator::allocate(std::int64_t bytes, int stream) {
  check_request(bytes);
  return state_->allocate(bytes, stream);
}

void CachingAllocator::free(Handle handle) {
  state_->free(handle);
}

void CachingAllocator::record_stream(Handle handle, int stream) {
  state_->record_stream(handle, stream);
}

void CachingAllocator::finish_events() {
  state_->finish_events();
}

void CachingAllocator::empty_cache() {
  state_->empty_cache();
}

void CachingAllocator::reset_peaks() {
  state_->heap().statistics.reset_peaks();
}

const AllocatorOptions& CachingAllocator::options() const {
  return state_->heap().options;
}

const AllocatorStatistics& CachingAllocator::statistics() const {
  return state_->heap().statistics;
}

Place CachingAllocator::place(Handle handle) const {
  Heap& heap = state_->heap();
  const Block& block = heap.blocks[state_->held(handle)];
  return {.address = block.address,
          .segment_address = heap.range_of(block).address,
          .requested_bytes = block.requested_bytes,
          .block_bytes = block.bytes,
          .stream = heap.pool(block.pool).stream_of(block.stream),
          .pool = block.pool};
}

std::vector<Segment> CachingAllocator::segments() const {
  return list_segments(state_->heap());
}

void CachingAllocator::observe_segments(SegmentObserver observer) {
  state_->heap().observer = std::move(observer);
}

}  // namespace sbp::predict
