#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "profiler/cuda/block_owners.h"
#include "profiler/cuda/cuda_books.h"
#include "profiler/predict/caching_allocator.h"
#include "tests/profiler/cuda/allocator_trace_builder.h"

namespace sbp::profiler {
namespace {

using tests::AllocatorTraceBuilder;
using tests::kMiB;
using Block = AllocatorLog::Block;
using Segment = AllocatorLog::Segment;
constexpr std::uint64_t kA = 0x10000000;  // a segment's address
constexpr std::int64_t kAt = 0x10000000;  // ... as a log has it

CudaBooks books_with_log(const AllocatorTrace& trace) {
  return cuda_books(trace, {}, {.keep_blocks = true});
}

TEST_CASE("device log: blocks have their true sizes, and a place in the run") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 2 * kMiB).allocate(kA, 1000).allocate(kA + 1024, 1);
  builder.free_requested(kA).allocate(kA + 1536, 700).free_completed(kA);
  AllocatorTrace& trace = builder.trace();
  trace.events[1].layer = 1;
  trace.events[2].layer = 7;  // unknown
  trace.phases = {{2, Phase::forward}, {3, Phase::backward}};
  const std::vector<LayerTable::Layer> layers = {{"a", "block"}, {"a.fc", "linear"}};
  CHECK_FALSE(cuda_books(trace, {}).log);
  const CudaBooks books = cuda_books(trace, {}, {.keep_blocks = true, .layers = layers});
  CHECK(books.log_reason == "");
  REQUIRE(books.log);
  CHECK(books.log->segments == std::vector<Segment>{{.address = kAt, .bytes = 2 * kMiB}});
  CHECK(books.log->blocks == std::vector<Block>{{.born_event = 1,
                                                 .free_requested_event = 3,
                                                 .died_event = 5,
                                                 .address = kAt,
                                                 .requested_bytes = 1000,
                                                 .block_bytes = 1024,
                                                 .step = 1,
                                                 .layer = "a.fc"},
                                                {.born_event = 2,
                                                 .address = kAt + 1024,
                                                 .requested_bytes = 1,
                                                 .block_bytes = 512,
                                                 .step = 1,
                                                 .phase = Phase::forward,
                                                 .layer = {}},
                                                {.born_event = 4,
                                                 .address = kAt + 1536,
                                                 .requested_bytes = 700,
                                                 .block_bytes = 1024,
                                                 .step = 1,
                                                 .phase = Phase::backward,
                                                 .layer = {}}});
  CHECK(books.log->event_ns == std::vector<std::uint64_t>{10, 20, 30, 40, 50, 60});
  CHECK(books.log->older_events == 0);
}

TEST_CASE("device log: what the allocator held when the trace began comes first") {
  AllocatorTraceBuilder builder;
  AllocatorTrace& trace = builder.trace();
  using State = AllocatorBlock::State;
  // One that awaits is larger than any that a tensor has: it is no peak of what tensors ask for.
  trace.segments.push_back({.address = kA,
                            .bytes = 20 * kMiB,
                            .is_expandable = true,
                            .blocks = {{9 * kMiB, 9 * kMiB, State::awaiting},
                                       {512, 200, State::allocated},
                                       {11 * kMiB - 512, 0, State::free}}});
  builder.free_completed(kA).free(kA + 9 * kMiB).unmap(kA, 20 * kMiB);
  const CudaBooks books = books_with_log(trace);
  REQUIRE(books.log);
  CHECK(books.log->older_events == 4);
  CHECK(books.log->segments ==
        std::vector<Segment>{{0, SegmentChange::mapped, PoolKind::large, kAt, 20 * kMiB},
                             {7, SegmentChange::unmapped, PoolKind::large, kAt, 20 * kMiB}});
  CHECK(books.log->blocks[0].free_requested_event == 2);
  CHECK(books.log->blocks[0].died_event == 4);
  CHECK(books.log->blocks[1].step == 0);
  CHECK(books.requested_peak.event == -1);
  CHECK(summed(*books.log, events_of(*books.log)).peak.requested == 200);
}

TEST_CASE("device log: an event that cannot be is not in it") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 20 * kMiB).allocate(kA, 2 * kMiB).allocate(kA, 2 * kMiB);
  builder.free_completed(kA).segment_free(kA, 20 * kMiB).map(kA, 2 * kMiB);
  const CudaBooks books = books_with_log(builder.trace());
  CHECK(books.problems >= 4);
  REQUIRE(books.log);
  CHECK(books.log->blocks.size() == 1);
  CHECK(books.log->segments.size() == 1);
  CHECK(books.log->event_ns.size() == 2);
}

TEST_CASE("device log: places that no device has are no log, and the books stay") {
  AllocatorTraceBuilder high, large;
  high.segment(~std::uint64_t{0} - 5 * kMiB, 2 * kMiB);
  CHECK(books_with_log(high.trace()).log_reason ==
        "no device has 2097152 bytes at 0xffffffffffafffff");
  CHECK(books_with_log(high.trace()).end.allocator.reserved == 2 * kMiB);
  CHECK_FALSE(books_with_log(high.trace()).log);
  for (std::uint64_t i = 0; i < 33; ++i) large.segment(i << 56, std::int64_t{1} << 56);
  CHECK(books_with_log(large.trace()).log_reason ==
        "no device has 72057594037927936 bytes at 0x2000000000000000");
}

TEST_CASE("device log: times never go back, whatever the trace says") {
  AllocatorTraceBuilder builder;
  builder.segment(kA, 2 * kMiB).allocate(kA, 1).free(kA);
  builder.trace().events[1].time_ns = 5;
  const CudaBooks books = books_with_log(builder.trace());
  REQUIRE(books.log);
  CHECK(books.log->event_ns == std::vector<std::uint64_t>{10, 10, 30, 40});
}

TEST_CASE("device log: the books of the step say what a block is for") {
  AllocatorLog log;
  log.older_events = 2;
  const auto block = [&](std::int64_t event, std::int64_t address, std::int64_t bytes) {
    Block& added = log.blocks.emplace_back();
    added.born_event = event;
    added.address = address;
    added.requested_bytes = bytes;
  };
  block(0, 5, 9);
  log.blocks.back().free_requested_event = 1;
  block(2, 5, 10);
  block(4, 5, 20);
  block(5, 6, 30);
  block(6, 7, 40);
  BlockLives lives;
  const auto life = [&](std::uint64_t address, std::int64_t bytes, Category category) {
    BlockLife& added = lives.lives.emplace_back();
    added.address = address;
    added.bytes = bytes;
    added.category = category;
    added.layer = "x";
    added.saved = category == Category::activation;
  };
  life(5, 10, Category::input);
  life(6, 31, Category::input);
  life(7, 40, Category::buffer);
  life(7, 40, Category::buffer);
  life(5, 20, Category::activation);
  const AllocatorLog before = log;
  add_owners(lives, log);
  CHECK(log.blocks[0] == before.blocks[0]);  // its tensor was gone
  CHECK(log.blocks[1].category == Category::input);
  CHECK(log.blocks[1].layer == "x");
  CHECK_FALSE(log.blocks[1].saved);
  CHECK(log.blocks[2].category == Category::activation);
  CHECK(log.blocks[2].saved);
  CHECK(log.blocks[3] == before.blocks[3]);  // of other bytes
  CHECK(log.blocks[4] == before.blocks[4]);  // one more there
}

// The simulated allocator says what it did and where: as a GPU's would, in the events that the
// latter gives, and in full for comparison.
class SimulatedDevice {
 public:
  SimulatedDevice(const predict::AllocatorOptions& options, std::uint64_t seed)
      : allocator_(options), random_(seed) {
    builder_.trace().max_split_bytes = options.max_split_bytes.value_or(-1);
    allocator_.observe_segments([this](const predict::SegmentEvent& event) { saw(event); });
  }

  void step() {
    switch (random_() % 12) {
      case 0: finished_ = waiting_.size(); return allocator_.finish_events();
      case 1: return empty_cache();
      case 2:
      case 3:
      case 4:
      case 5: return free_one();
      default: return allocate(1 + static_cast<std::int64_t>(random_() % (1ULL << random_() % 26)));
    }
  }

  // What was done so far is what the trace begins with.
  void begin_trace() {
    using State = AllocatorBlock::State;
    for (const predict::Segment& segment : allocator_.segments()) {
      AllocatorSegment held{.address = segment.address,
                            .bytes = segment.bytes,
                            .is_small = segment.pool == PoolKind::small,
                            .is_expandable = segment.is_expandable,
                            .blocks = {}};
      for (const auto& part : segment.parts) {
        const State state = part.state == predict::Segment::State::free      ? State::free
                            : part.state == predict::Segment::State::waiting ? State::awaiting
                                                                             : State::allocated;
        held.blocks.push_back({part.bytes, part.requested_bytes, state});
      }
      builder_.trace().segments.push_back(held);
    }
    tracing_ = true;
    raise();
  }

  const AllocatorTrace& trace() {
    const auto& now = allocator_.statistics().total;
    builder_.trace().counters_at_end = {.requested_bytes = now.requested.current,
                                        .allocated_bytes = now.allocated.current,
                                        .active_bytes = now.active.current,
                                        .reserved_bytes = now.reserved.current};
    return builder_.trace();
  }
  const AllocatorLogBytes& peak() const { return peak_; }
  const std::vector<predict::Place>& born() const { return born_; }
  const std::vector<predict::SegmentEvent>& segments() const { return segments_; }

 private:
  struct Live {
    predict::Handle handle;
    std::int64_t bytes;
    bool shared;
  };

  void saw(const predict::SegmentEvent& event) {
    if (!tracing_) return;
    segments_.push_back(event);
    constexpr std::array kActions = {AllocatorAction::segment_alloc, AllocatorAction::segment_free,
                                     AllocatorAction::segment_map, AllocatorAction::segment_unmap};
    builder_.add(kActions[static_cast<std::size_t>(event.kind)], event.address, event.bytes);
  }

  // The allocator looks when it is asked for something.
  void complete(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      if (tracing_) builder_.free_completed(waiting_[i]);
    }
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    finished_ = 0;
  }

  void allocate(std::int64_t bytes) {
    complete(finished_);
    const auto handle = allocator_.allocate(bytes);
    REQUIRE(handle);
    live_.push_back({*handle, bytes, random_() % 4 == 0});
    if (live_.back().shared) allocator_.record_stream(*handle, 1);
    requested_ += bytes;
    if (!tracing_) return;
    const predict::Place place = allocator_.place(*handle);
    born_.push_back(place);
    builder_.allocate(place.address, bytes);
    raise();
  }

  void free_one() {
    if (live_.empty()) return;
    std::swap(live_[random_() % live_.size()], live_.back());
    const Live gone = live_.back();
    live_.pop_back();
    const std::uint64_t address = allocator_.place(gone.handle).address;
    allocator_.free(gone.handle);
    requested_ -= gone.bytes;
    if (tracing_) builder_.free_requested(address);
    if (gone.shared) {
      waiting_.push_back(address);
    } else if (tracing_) {
      builder_.free_completed(address);
    }
  }

  void empty_cache() {
    complete(waiting_.size());
    allocator_.empty_cache();
  }

  void raise() {
    const auto& now = allocator_.statistics().total;
    peak_.requested = std::max(peak_.requested, requested_);
    peak_.allocated = std::max(peak_.allocated, now.allocated.current);
    peak_.reserved = std::max(peak_.reserved, now.reserved.current);
  }

  predict::CachingAllocator allocator_;
  std::mt19937_64 random_;
  AllocatorTraceBuilder builder_;
  std::vector<Live> live_;
  std::vector<std::uint64_t> waiting_;
  std::size_t finished_ = 0;  // of those
  bool tracing_ = false;
  std::int64_t requested_ = 0;
  AllocatorLogBytes peak_;
  std::vector<predict::Place> born_;
  std::vector<predict::SegmentEvent> segments_;
};

void check_log(SimulatedDevice& device) {
  const CudaBooks books = books_with_log(device.trace());
  CHECK(books.first_problem == "");
  CHECK(books.log_reason == "");
  REQUIRE(books.log);
  const AllocatorLog& log = *books.log;
  std::vector<Block> born;
  for (const Block& block : log.blocks) {
    if (block.born_event >= log.older_events) born.push_back(block);
  }
  REQUIRE(born.size() == device.born().size());
  for (std::size_t i = 0; i < born.size(); ++i) {
    CHECK(born[i].address == static_cast<std::int64_t>(device.born()[i].address));
    CHECK(born[i].requested_bytes == device.born()[i].requested_bytes);
    CHECK(born[i].block_bytes == device.born()[i].block_bytes);
  }
  std::vector<Segment> changes;
  for (const Segment& segment : log.segments) {
    if (segment.event >= log.older_events) changes.push_back(segment);
  }
  REQUIRE(changes.size() == device.segments().size());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const predict::SegmentEvent& done = device.segments()[i];
    CHECK(changes[i].kind == done.kind);
    CHECK(changes[i].pool == done.pool);
    CHECK(changes[i].address == static_cast<std::int64_t>(done.address));
    CHECK(changes[i].bytes == done.bytes);
  }
  const AllocatorLogSums sums = summed(log, events_of(log));
  CHECK(sums.peak.requested == device.peak().requested);
  CHECK(sums.peak.allocated == device.peak().allocated);
  CHECK(sums.peak.reserved == device.peak().reserved);
}

TEST_CASE("device log: random runs of an allocator come back block by block, to its own peaks") {
  predict::AllocatorOptions plain, expandable, unsplit;
  expandable.expandable_segments = true;
  unsplit.max_split_bytes = 32 * kMiB;
  for (const auto& options : {plain, expandable, unsplit}) {
    for (std::uint64_t seed = 0; seed < 16; ++seed) {
      CAPTURE(options.expandable_segments);
      CAPTURE(seed);
      SimulatedDevice device(options, seed);
      for (std::uint64_t i = 0; i < 40 * seed; ++i) device.step();
      device.begin_trace();
      // In short ones what was there when the trace began is still most.
      for (int i = 0; i < (seed % 2 == 0 ? 400 : 12); ++i) device.step();
      check_log(device);
    }
  }
}

}  // namespace
}  // namespace sbp::profiler
