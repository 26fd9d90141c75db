#include "profiler/cuda/cuda_books.h"

#include <algorithm>
#include <map>
#include <utility>

#include "profiler/cuda/block_logger.h"
#include "profiler/cuda/block_owners.h"

namespace sbp::profiler {
namespace {

bool on_device(MemoryKind kind) {
  return kind == MemoryKind::device || kind == MemoryKind::array ||
         kind == MemoryKind::device_static;
}

// A stretch of memory that PyTorch's allocator got, and when.
struct Stretch {
  std::uint64_t address = 0;
  std::uint64_t end = 0;
  std::uint64_t born_ns = 0;
  std::int64_t event = -1;       // of the trace; -1: older than it
  bool must_be_matched = false;  // CUPTI ran when the driver gave it
  bool is_matched = false;
};

std::vector<Stretch> stretches_of(const AllocatorTrace& trace, const CuptiTrace& cupti) {
  std::vector<Stretch> all;
  const auto add = [&](std::uint64_t address, std::int64_t bytes, std::uint64_t born_ns) {
    if (bytes <= 0) return false;
    all.push_back({.address = address,
                   .end = address + static_cast<std::uint64_t>(bytes),
                   .born_ns = born_ns});
    return true;
  };
  // Whether CUPTI tells of memory that is mapped, as expandable segments are, is not known.
  const auto add_event = [&](const AllocatorEvent& event, std::int64_t index) {
    const bool is_plain = event.action == AllocatorAction::segment_alloc;
    if (!is_plain && event.action != AllocatorAction::segment_map) return;
    if (!add(event.address, event.bytes, event.time_ns)) return;
    all.back().event = index;
    all.back().must_be_matched =
        is_plain && event.time_ns >= cupti.start_ns && event.time_ns < cupti.end_ns;
  };
  for (const AllocatorEvent& event : trace.earlier_segments) add_event(event, -1);
  for (const AllocatorSegment& segment : trace.segments) {
    add(segment.address, segment.bytes, trace.start_ns);
  }
  for (std::int64_t i = 0; i < std::ssize(trace.events); ++i) {
    add_event(trace.events[static_cast<std::size_t>(i)], i);
  }
  std::ranges::stable_sort(all, {}, &Stretch::address);
  return all;
}

// Does one of `stretches`, in order of addresses, account for this allocation? The allocator logs a
// segment after the driver gave it and before it goes back, so its birth lies in the allocation's
// life. An address that is used again later is another allocation with a later life.
bool is_segment(const UnseenAllocation& allocation, std::vector<Stretch>& stretches,
                std::uint64_t longest) {
  bool is_one = false;
  const std::uint64_t end = allocation.address + static_cast<std::uint64_t>(allocation.bytes);
  const std::uint64_t from = allocation.address > longest ? allocation.address - longest : 0;
  for (auto at = std::ranges::lower_bound(stretches, from, {}, &Stretch::address);
       at != stretches.end() && at->address < end; ++at) {
    if (at->end <= allocation.address) continue;
    if (at->born_ns < allocation.born_ns) continue;
    if (allocation.died_ns && at->born_ns >= *allocation.died_ns) continue;
    is_one = at->is_matched = true;
  }
  return is_one;
}

UnseenAllocation described(const MemoryActivity& memory, const MemoryRecordMeaning& meaning,
                           std::span<const Activity> records) {
  UnseenAllocation allocation{.kind = memory.memory_kind,
                              .address = memory.address,
                              .bytes = static_cast<std::int64_t>(memory.bytes),
                              .born_ns = memory.time_ns,
                              .died_ns = std::nullopt,
                              .external_id = std::nullopt,
                              .callback_id = 0,
                              .from_pool = memory.pool.type != PoolType::none,
                              .name = memory.name.empty() ? memory.source : memory.name};
  if (meaning.api_index) {
    const auto& call = std::get<ApiActivity>(records[static_cast<std::size_t>(*meaning.api_index)]);
    if (call.kind == ActivityKind::runtime) allocation.callback_id = call.callback_id;
  }
  for (const ExternalActivity& external : meaning.external) {
    if (external.external_kind == kOurExternalKind) allocation.external_id = external.external_id;
  }
  return allocation;
}

// Every sound allocation that CUPTI saw, with its end where it saw that; but not what lies on
// another device than the traced one.
std::vector<UnseenAllocation> driver_allocations(std::span<const Activity> records,
                                                 const ActivityBooks& books, int device) {
  std::map<std::int64_t, std::optional<std::uint64_t>> lives;  // by record
  const auto time_of = [&](std::int64_t index) {
    return std::get<MemoryActivity>(records[static_cast<std::size_t>(index)]).time_ns;
  };
  for (const std::int64_t index : books.never_released) lives.emplace(index, std::nullopt);
  for (const AllocationPair& pair : books.pairs) {
    lives.emplace(pair.allocation_index, time_of(pair.release_index));
  }
  // Ended unseen before the next one at its address. Nothing is known of when, so it counts for a
  // moment only; note_unsound() tells of it.
  for (const std::int64_t index : books.releases_missed) lives.emplace(index, time_of(index));
  std::vector<UnseenAllocation> all;
  for (const MemoryRecordMeaning& meaning : books.memory_records) {
    const auto life = lives.find(meaning.index);
    if (life == lives.end()) continue;
    const auto& memory = std::get<MemoryActivity>(records[static_cast<std::size_t>(meaning.index)]);
    if (on_device(memory.memory_kind) && memory.device_id != static_cast<std::uint32_t>(device)) {
      continue;
    }
    all.push_back(described(memory, meaning, records));
    all.back().died_ns = life->second;
  }
  std::ranges::stable_sort(all, {}, &UnseenAllocation::born_ns);
  return all;
}

// What was live of the unseen allocations, as time goes on.
class UnseenBytes {
 public:
  explicit UnseenBytes(const std::vector<UnseenAllocation>& allocations) {
    for (const UnseenAllocation& allocation : allocations) {
      const auto kind = static_cast<std::size_t>(allocation.kind);
      const std::size_t index = kind < kMemoryKindCount ? kind : 0;
      changes_.emplace(Moment{allocation.born_ns, 1}, Change{index, allocation.bytes});
      if (allocation.died_ns) {
        changes_.emplace(Moment{*allocation.died_ns, 0}, Change{index, -allocation.bytes});
      }
    }
    next_ = changes_.begin();
  }

  void advance(std::uint64_t time_ns) {
    for (; next_ != changes_.end() && next_->first.first <= time_ns; ++next_) {
      std::int64_t& live = live_[next_->second.kind];
      live += next_->second.bytes;
      peak_[next_->second.kind] = std::max(peak_[next_->second.kind], live);
    }
  }

  std::int64_t on_the_device() const {
    std::int64_t sum = 0;
    for (std::size_t kind = 0; kind < kMemoryKindCount; ++kind) {
      if (on_device(MemoryKind{static_cast<std::uint32_t>(kind)})) sum += live_[kind];
    }
    return sum;
  }
  const MemoryKindBytes& peak() const { return peak_; }

 private:
  using Moment = std::pair<std::uint64_t, int>;  // deaths before births of the same time
  struct Change {
    std::size_t kind;
    std::int64_t bytes;
  };
  std::multimap<Moment, Change> changes_;
  std::multimap<Moment, Change>::const_iterator next_;
  MemoryKindBytes live_{};
  MemoryKindBytes peak_{};
};

// The allocator counts for itself; our replay must come to the same.
void compare(const AllocatorTrace& trace, const AllocatorBytes& ours, Problems& problems) {
  const AllocatorCounters& theirs = trace.counters_at_end;
  const auto check = [&](const char* what, std::int64_t counted, std::int64_t replayed) {
    if (counted == replayed) return;
    problems.note(std::ssize(trace.events), "the allocator counts ", counted, " ", what,
                  " bytes at the end, its events sum to ", replayed);
  };
  check("reserved", theirs.reserved_bytes, ours.reserved);
  if (!trace.rounds_by_powers) {  // else block sizes are not known
    check("allocated", theirs.allocated_bytes, ours.blocks());
    check("active", theirs.active_bytes, ours.blocks() + ours.awaiting);
  }
  // A block that a stream still uses keeps the bytes that were asked for.
  if (ours.awaiting == 0) check("requested", theirs.requested_bytes, ours.requested);
}

// Of one moment, as a log adds it up.
AllocatorLogBytes logged(const AllocatorBytes& bytes) {
  return {.requested = bytes.requested,
          .allocated = bytes.blocks(),
          .awaiting = bytes.awaiting,
          .reserved = bytes.reserved};
}

// Why the log is not to be shown: it does not come to what the books say. Empty when it does.
std::string disagreement(const AllocatorLog& log, const CudaBooks& books) {
  const AllocatorLogSums sums = summed(log, events_of(log));
  if (sums.at_requested_peak != logged(books.requested_peak.allocator)) {
    return "its blocks do not add up to the books' at the peak";
  }
  if (sums.peak.reserved != books.reserved_peak.allocator.reserved) {
    return "its segments do not add up to the books' highest";
  }
  if (sums.end != logged(books.end.allocator)) {
    return "its blocks do not add up to the books' at the end";
  }
  return {};
}

void keep_log(AllocatorLog log, const std::string& problem, const BlockLives* lives,
              CudaBooks& books) {
  books.log_reason = problem.empty() ? disagreement(log, books) : problem;
  if (!books.log_reason.empty()) return;
  if (lives != nullptr) add_owners(*lives, log);
  books.log = std::move(log);
}

void note_losses(const AllocatorTrace& allocator, const CuptiTrace& cupti, Problems& problems) {
  if (allocator.dropped_events > 0) {
    problems.note(-1, allocator.dropped_events, " events of the allocator were lost");
  }
  if (allocator.rounds_by_powers) {
    problems.note(-1,
                  "the allocator's roundup_power2_divisions is set: block sizes are not known "
                  "from its events");
  }
  if (!allocator.phase_problem.empty()) problems.note(-1, allocator.phase_problem);
  if (!cupti.complete()) problems.note(-1, cupti.first_problem);
}

void note_unsound(const ActivityBooks& books, Problems& problems) {
  if (!books.damaged.empty()) {
    problems.note(-1, books.damaged.size(),
                  " of CUPTI's memory records are damaged: neither an allocation nor a release, or "
                  "of absurd size");
  }
  if (!books.releases_missed.empty()) {
    problems.note(-1, "CUPTI did not tell of the release of ", books.releases_missed.size(),
                  " allocations whose address was given out again");
  }
}

void note_unmatched(const std::vector<Stretch>& stretches, Problems& problems) {
  for (const Stretch& one : stretches) {
    if (!one.must_be_matched || one.is_matched) continue;
    problems.note(one.event, "the allocator took a segment of ", one.end - one.address,
                  " bytes at ", hex(one.address), ", of which CUPTI did not tell while it ran");
  }
}

}  // namespace

CudaBooks cuda_books(const AllocatorTrace& allocator, const CuptiTrace& cupti,
                     const CudaBooksOptions& options) {
  CudaBooks books;
  Problems problems;
  note_losses(allocator, cupti, problems);

  const ActivityBooks activities = activity_books(cupti.records);
  note_unsound(activities, problems);
  books.unseen = driver_allocations(cupti.records, activities, allocator.device);
  std::vector<Stretch> stretches = stretches_of(allocator, cupti);
  std::uint64_t longest = 0;
  for (const Stretch& one : stretches) longest = std::max(longest, one.end - one.address);
  books.segments_matched = static_cast<std::int64_t>(
      std::erase_if(books.unseen, [&](const UnseenAllocation& allocation) {
        return on_device(allocation.kind) && is_segment(allocation, stretches, longest);
      }));
  note_unmatched(stretches, problems);

  UnseenBytes unseen(books.unseen);
  AllocatorLog log;
  BlockLogger logger(allocator, options.layers, log);
  BlockTiling tiling(allocator, problems, options.keep_blocks ? &logger : nullptr);
  const auto moment = [&](std::int64_t event, std::uint64_t time_ns) {
    unseen.advance(time_ns);
    return DeviceMoment{tiling.bytes(), unseen.on_the_device(), event, time_ns};
  };
  books.end = moment(-1, allocator.start_ns);
  books.requested_peak = books.reserved_peak = books.end;
  for (std::int64_t i = 0; i < std::ssize(allocator.events); ++i) {
    tiling.replay(i);
    books.end = moment(i, allocator.events[static_cast<std::size_t>(i)].time_ns);
    if (books.end.allocator.requested > books.requested_peak.allocator.requested) {
      books.requested_peak = books.end;
    }
    if (books.end.allocator.reserved > books.reserved_peak.allocator.reserved) {
      books.reserved_peak = books.end;
    }
  }
  unseen.advance(~std::uint64_t{0});
  books.end.unseen = unseen.on_the_device();
  books.unseen_peak_bytes = unseen.peak();

  compare(allocator, tiling.bytes(), problems);
  if (allocator.device_used_bytes) {
    books.nameless_bytes =
        *allocator.device_used_bytes - books.end.allocator.reserved - books.end.unseen;
    if (*books.nameless_bytes < 0) {
      problems.note(std::ssize(allocator.events), "the device says that ",
                    *allocator.device_used_bytes,
                    " bytes are used, less than what the allocator and CUPTI saw");
    }
  }
  if (options.keep_blocks) keep_log(std::move(log), logger.problem(), options.lives, books);
  books.problems = problems.count();
  books.first_problem = problems.first();
  books.balanced = books.problems == 0;
  return books;
}

}  // namespace sbp::profiler
