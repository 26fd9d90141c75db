#include "profiler/cuda/activity_books.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace sbp::profiler {
namespace {

// Where in MemoryKindBytes; a kind that CUPTI does not have counts as unknown.
std::size_t kind_index(MemoryKind kind) {
  const auto index = static_cast<std::size_t>(kind);
  return index < kMemoryKindCount ? index : 0;
}

// Calls and scopes by correlation id.
class Calls {
 public:
  explicit Calls(std::span<const Activity> records) {
    for (std::size_t i = 0; i < records.size(); ++i) {
      if (const auto* api = std::get_if<ApiActivity>(&records[i])) {
        if (api->correlation_id != 0) add(*api, static_cast<std::int64_t>(i));
      } else if (const auto* external = std::get_if<ExternalActivity>(&records[i])) {
        if (external->correlation_id != 0) {
          external_[external->correlation_id].insert_or_assign(external->external_kind, *external);
        }
      }
    }
  }

  MemoryRecordMeaning of(std::int64_t index, std::uint32_t correlation_id) const {
    MemoryRecordMeaning meaning{.index = index, .external = {}, .api_index = std::nullopt};
    if (const auto api = api_.find(correlation_id); api != api_.end()) {
      meaning.api_index = api->second.index;
    }
    if (const auto found = external_.find(correlation_id); found != external_.end()) {
      for (const auto& [kind, external] : found->second) meaning.external.push_back(external);
    }
    return meaning;
  }

  // When the call had ended; 0 where none is known.
  std::uint64_t end_ns(std::uint32_t correlation_id) const {
    const auto api = api_.find(correlation_id);
    return api == api_.end() ? 0 : api->second.end_ns;
  }

 private:
  struct Call {
    std::int64_t index;
    ActivityKind kind;
    std::uint64_t end_ns;
  };

  // Where the runtime made the driver's call, the runtime's counts; else the first.
  void add(const ApiActivity& api, std::int64_t index) {
    const Call call{index, api.kind, api.end_ns};
    const auto [place, is_new] = api_.try_emplace(api.correlation_id, call);
    Call& known = place->second;
    if (!is_new && known.kind == ActivityKind::driver && call.kind == ActivityKind::runtime) {
      known = call;
    }
  }

  std::unordered_map<std::uint32_t, Call> api_;
  std::unordered_map<std::uint32_t, std::map<std::uint32_t, ExternalActivity>> external_;
};

// The allocations that live, by memory kind and address.
class LiveSet {
 public:
  LiveSet(std::span<const Activity> records, ActivityBooks& books)
      : records_(records), books_(books) {}

  void allocate(std::int64_t index) {
    const MemoryActivity& memory = at(index);
    std::int64_t sum = books_.live_at_end_bytes[kind_index(memory.memory_kind)];
    // So much memory that the sum could not be counted is in no machine.
    if (__builtin_add_overflow(sum, static_cast<std::int64_t>(memory.bytes), &sum)) {
      books_.damaged.push_back(index);
      return;
    }
    const auto [place, is_new] = live_.try_emplace(key(memory), index);
    if (!is_new) {
      books_.releases_missed.push_back(place->second);
      add(at(place->second), -1);
      place->second = index;
    }
    add(memory, 1);
  }

  void release(std::int64_t index) {
    const MemoryActivity& memory = at(index);
    const auto found = live_.find(key(memory));
    if (found == live_.end()) {
      books_.releases_without_allocation.push_back(index);
      return;
    }
    const MemoryActivity& allocation = at(found->second);
    books_.pairs.push_back({.allocation_index = found->second,
                            .release_index = index,
                            .bytes = static_cast<std::int64_t>(allocation.bytes),
                            .lifetime_ns = memory.time_ns - allocation.time_ns});
    add(allocation, -1);
    live_.erase(found);
  }

  void finish() {
    for (const auto& [unused, index] : live_) books_.never_released.push_back(index);
  }

 private:
  using Key = std::pair<MemoryKind, std::uint64_t>;

  const MemoryActivity& at(std::int64_t index) const {
    return std::get<MemoryActivity>(records_[static_cast<std::size_t>(index)]);
  }
  static Key key(const MemoryActivity& memory) { return {memory.memory_kind, memory.address}; }

  void add(const MemoryActivity& memory, std::int64_t sign) {
    const std::size_t kind = kind_index(memory.memory_kind);
    std::int64_t& live = books_.live_at_end_bytes[kind];
    live += sign * static_cast<std::int64_t>(memory.bytes);
    books_.peak_live_bytes[kind] = std::max(books_.peak_live_bytes[kind], live);
  }

  std::span<const Activity> records_;
  ActivityBooks& books_;
  std::map<Key, std::int64_t> live_;
};

bool is_sound(const MemoryActivity& memory) {
  return (memory.operation == MemoryOperation::allocation ||
          memory.operation == MemoryOperation::release) &&
         memory.bytes <= kMostActivityBytes;
}

}  // namespace

ActivityBooks activity_books(std::span<const Activity> records) {
  ActivityBooks books;
  const Calls calls(records);
  std::vector<std::int64_t> operations;
  for (std::int64_t i = 0; i < std::ssize(records); ++i) {
    const Activity& record = records[static_cast<std::size_t>(i)];
    if (const auto* memory = std::get_if<MemoryActivity>(&record)) {
      books.memory_records.push_back(calls.of(i, memory->correlation_id));
      (is_sound(*memory) ? operations : books.damaged).push_back(i);
    } else if (const auto* api = std::get_if<ApiActivity>(&record)) {
      if (api->return_value != 0) books.failed_api_calls.push_back(i);
    }
  }

  const auto memory_at = [&](std::int64_t index) -> const MemoryActivity& {
    return std::get<MemoryActivity>(records[static_cast<std::size_t>(index)]);
  };
  // A memory record has the time at which its call began. An address is an allocation's at the end
  // of its call at the latest, and nobody's from the beginning of its release's at the earliest: in
  // this order one thread's release comes before another's allocation of the same address.
  std::ranges::stable_sort(operations, {}, [&](std::int64_t index) {
    const MemoryActivity& memory = memory_at(index);
    return memory.operation == MemoryOperation::release
               ? memory.time_ns
               : std::max(memory.time_ns, calls.end_ns(memory.correlation_id));
  });
  LiveSet live(records, books);
  for (const std::int64_t index : operations) {
    if (memory_at(index).operation == MemoryOperation::allocation) {
      live.allocate(index);
    } else {
      live.release(index);
    }
  }
  live.finish();

  std::ranges::sort(books.pairs, {}, &AllocationPair::release_index);
  for (auto* list : {&books.never_released, &books.releases_without_allocation,
                     &books.releases_missed, &books.damaged}) {
    std::ranges::sort(*list);
  }
  return books;
}

}  // namespace sbp::profiler
