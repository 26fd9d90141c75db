#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "profiler/predict/caching_allocator.h"
#include "tests/profiler/predict/naive_allocator.h"
#include "tests/profiler/predict/random_requests.h"

using namespace sbp::predict;
using sbp::predict::tests::NaiveAllocator;
using sbp::predict::tests::one_in;
using sbp::predict::tests::one_of;
using sbp::predict::tests::random_options;
using sbp::predict::tests::random_request;

namespace {

// A walk through all that an allocator can be asked for; `Subject` sees every operation.
template <typename Subject>
void random_walk(std::mt19937& random, int operations, Subject& subject) {
  const auto streams = one_of(random, {1u, 1u, 2u, 3u});
  const auto most_live = one_of(random, {5u, 30u, 90u});
  const bool uses_others = one_in(random, 2);
  for (int i = 0; i < operations; ++i) {
    const auto dice = random() % 100;
    if (dice < 1) {
      subject.empty_cache();
    } else if (dice < 2) {
      subject.reset_peaks();
    } else if (uses_others && dice < 7) {
      subject.finish_events();
    } else if (uses_others && dice < 15 && subject.live() > 0) {
      subject.record_stream(random() % subject.live(), static_cast<int>(random() % streams));
    } else if (subject.live() > 0 && (subject.live() >= most_live || dice < 50)) {
      // Often the youngest, as temporaries go.
      const auto last = subject.live() - 1;
      subject.free(one_in(random, 3) ? last : random() % (last + 1));
    } else {
      subject.allocate(random_request(random), static_cast<int>(random() % streams));
    }
    subject.check();
  }
  subject.finish();
}

// The allocator beside the naive one.
class Pair {
 public:
  explicit Pair(const AllocatorOptions& options) : allocator_(options), naive_(options) {}

  std::size_t live() const { return held_.size(); }

  void allocate(std::int64_t bytes, int stream) {
    const auto handle = allocator_.allocate(bytes, stream);
    const auto given = naive_.allocate(bytes, stream);
    REQUIRE(handle.has_value() == given.has_value());
    if (!handle) return;
    const Place place = allocator_.place(*handle);
    REQUIRE(place.address == given->address);
    REQUIRE(place.block_bytes == given->bytes);
    held_.push_back({*handle, place.address});
  }

  void free(std::size_t index) {
    allocator_.free(held_[index].handle);
    naive_.free(held_[index].address);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  void record_stream(std::size_t index, int stream) {
    allocator_.record_stream(held_[index].handle, stream);
    naive_.record_stream(held_[index].address, stream);
  }

  void finish_events() {
    allocator_.finish_events();
    naive_.finish_events();
  }

  void empty_cache() {
    allocator_.empty_cache();
    naive_.empty_cache();
  }

  void reset_peaks() {
    allocator_.reset_peaks();
    naive_.reset_peaks();
  }

  void check() { REQUIRE(allocator_.statistics() == naive_.statistics()); }
  void finish() {}

  const AllocatorStatistics& statistics() const { return allocator_.statistics(); }

 private:
  struct Held {
    Handle handle;
    std::uint64_t address;
  };
  CachingAllocator allocator_;
  NaiveAllocator naive_;
  std::vector<Held> held_;
};

void check_pool(const PoolStatistics& pool) {
  REQUIRE(pool.reserved.current >= pool.active.current);
  REQUIRE(pool.active.current >= pool.allocated.current);
  REQUIRE(pool.active.current >= pool.requested.current);
  REQUIRE(pool.inactive_split.current >= 0);
  REQUIRE(pool.requested.current >= 0);
  REQUIRE(pool.reserved.current - pool.active.current >= pool.inactive_split.current);
  for (const Figure* figure :
       {&pool.requested, &pool.allocated, &pool.active, &pool.reserved, &pool.inactive_split}) {
    REQUIRE(figure->peak >= figure->current);
  }
}

// The allocator alone: what holds after every operation, and in the list of its segments.
class Checked {
 public:
  explicit Checked(const AllocatorOptions& options) : allocator_(options) {
    allocator_.observe_segments([this](const SegmentEvent& event) { note(event); });
  }

  std::size_t live() const { return held_.size(); }
  void allocate(std::int64_t bytes, int stream) {
    if (const auto handle = allocator_.allocate(bytes, stream)) held_.push_back(*handle);
  }
  void free(std::size_t index) {
    allocator_.free(held_[index]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  }
  void record_stream(std::size_t index, int stream) {
    allocator_.record_stream(held_[index], stream);
  }
  void finish_events() { allocator_.finish_events(); }
  void empty_cache() { allocator_.empty_cache(); }
  void reset_peaks() { allocator_.reset_peaks(); }

  void check() {
    const AllocatorStatistics& statistics = allocator_.statistics();
    check_pool(statistics.total);
    check_pool(statistics.small_pool);
    check_pool(statistics.large_pool);
    REQUIRE(statistics.total.reserved.current == by_events_);
    if (allocator_.options().limit_bytes && !allocator_.options().expandable_segments) {
      REQUIRE(statistics.total.reserved.current <= *allocator_.options().limit_bytes);
    }
    if (++checks_ % 16 == 0) check_segments();
  }

  // All freed and the cache emptied: nothing is left.
  void finish() {
    while (!held_.empty()) free(held_.size() - 1);
    allocator_.empty_cache();
    allocator_.reset_peaks();
    const AllocatorStatistics& statistics = allocator_.statistics();
    REQUIRE(statistics.total == PoolStatistics());
    REQUIRE(statistics.small_pool == PoolStatistics());
    REQUIRE(statistics.large_pool == PoolStatistics());
    REQUIRE(statistics.segments == Figure());
    REQUIRE(statistics.device_allocs == statistics.device_frees + allocs_beyond_frees_);
    REQUIRE(allocator_.segments().empty());
    REQUIRE(by_events_ == 0);
  }

 private:
  void note(const SegmentEvent& event) {
    const bool taken =
        event.kind == SegmentEvent::Kind::allocated || event.kind == SegmentEvent::Kind::mapped;
    by_events_ += taken ? event.bytes : -event.bytes;
    // An unmapping may undo several mappings.
    allocs_beyond_frees_ += taken ? 1 : -1;
    REQUIRE(event.bytes > 0);
  }

  void check_segments() {
    std::int64_t reserved = 0, allocated = 0, waiting = 0, requested = 0, free_parts = 0;
    std::uint64_t end = 0;
    std::set<std::pair<std::uint32_t, std::uint32_t>> handles;
    for (const Segment& segment : allocator_.segments()) {
      REQUIRE(segment.address >= end);
      end = segment.address;
      for (const Segment::Part& part : segment.parts) {
        REQUIRE(part.address == end);
        REQUIRE(part.bytes > 0);
        end += static_cast<std::uint64_t>(part.bytes);
        requested += part.requested_bytes;
        if (part.state == Segment::State::free) free_parts += part.bytes;
        if (part.state == Segment::State::waiting) waiting += part.bytes;
        if (part.state != Segment::State::allocated) continue;
        allocated += part.bytes;
        REQUIRE(allocator_.place(part.handle).address == part.address);
        handles.insert({part.handle.block, part.handle.generation});
      }
      REQUIRE(end == segment.address + static_cast<std::uint64_t>(segment.bytes));
      reserved += segment.bytes;
    }
    const PoolStatistics& total = allocator_.statistics().total;
    REQUIRE(reserved == total.reserved.current);
    REQUIRE(allocated == total.allocated.current);
    REQUIRE(allocated + waiting == total.active.current);
    REQUIRE(requested == total.requested.current);
    REQUIRE(free_parts == total.reserved.current - total.active.current);
    REQUIRE(handles.size() == held_.size());
  }

  CachingAllocator allocator_;
  std::vector<Handle> held_;
  std::int64_t by_events_ = 0;
  std::int64_t allocs_beyond_frees_ = 0;
  int checks_ = 0;
};

}  // namespace

TEST_CASE("caching allocator: equal to a naive one on random requests") {
  std::int64_t retries = 0, failures = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    const AllocatorOptions options = random_options(random);
    INFO("seed ", seed, ": ", to_string(options));
    Pair pair(options);
    random_walk(random, 250, pair);
    retries += pair.statistics().retries;
    failures += pair.statistics().out_of_memory;
  }
  // The rare paths were walked.
  CHECK(retries > 1000);
  CHECK(failures > 500);
}

TEST_CASE("caching allocator: what always holds, on random requests") {
  for (unsigned seed = 1000; seed < 1100; ++seed) {
    std::mt19937 random(seed);
    const AllocatorOptions options = random_options(random);
    INFO("seed ", seed, ": ", to_string(options));
    Checked checked(options);
    random_walk(random, 600, checked);
  }
}

TEST_CASE("caching allocator: the same requests give the same figures") {
  const auto run = [] {
    std::mt19937 random(7);
    AllocatorOptions options;
    options.limit_bytes = 200 * kMebibyte;
    CachingAllocator allocator(options);
    std::vector<Handle> held;
    for (int i = 0; i < 5000; ++i) {
      if (!held.empty() && random() % 2 == 0) {
        allocator.free(held.back());
        held.pop_back();
      } else if (const auto handle = allocator.allocate(random_request(random))) {
        held.push_back(*handle);
      }
    }
    return allocator.statistics();
  };
  CHECK(run() == run());
}
