#include "profiler/predict/address_space.h"

#include <algorithm>

#include "sbp/base/error.h"

namespace sbp::predict {
namespace {

constexpr std::size_t kGroupCapacity = 128;
constexpr std::uint64_t kLastAddress = std::uint64_t{1} << 62;

}  // namespace

std::uint64_t AddressSpace::take(std::int64_t bytes) {
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    if (groups_[group].largest_bytes < bytes) continue;
    auto& gaps = groups_[group].gaps;
    const auto fits =
        std::ranges::find_if(gaps, [bytes](const Gap& gap) { return gap.bytes >= bytes; });
    const std::uint64_t address = fits->address;
    fits->address += static_cast<std::uint64_t>(bytes);
    fits->bytes -= bytes;
    if (fits->bytes == 0) {
      erase({group, static_cast<std::size_t>(fits - gaps.begin())});
    } else {
      measure(group);
    }
    return address;
  }
  const std::uint64_t address = end_;
  if (static_cast<std::uint64_t>(bytes) > kLastAddress - end_) {
    throw Error(concat("cannot simulate the allocator further: no room for ", bytes,
                       " bytes more in 4 EiB of addresses; replay a trace that frees what it "
                       "allocates, or set a limit"));
  }
  end_ += static_cast<std::uint64_t>(bytes);
  return address;
}

void AddressSpace::give_back(std::uint64_t address, std::int64_t bytes) {
  Gap gap{address, bytes};
  // The gap right above is joined.
  Place place = place_of(address);
  if (place.group < groups_.size()) {
    const Gap above = groups_[place.group].gaps[place.gap];
    if (address + static_cast<std::uint64_t>(bytes) == above.address) {
      gap.bytes += above.bytes;
      erase(place);
      place = place_of(address);
    }
  }
  // So is the one right below.
  if (place.gap > 0 || place.group > 0) {
    const Place lower = place.gap > 0
                            ? Place{place.group, place.gap - 1}
                            : Place{place.group - 1, groups_[place.group - 1].gaps.size() - 1};
    const Gap below = groups_[lower.group].gaps[lower.gap];
    if (below.address + static_cast<std::uint64_t>(below.bytes) == address) {
      gap = {below.address, below.bytes + gap.bytes};
      erase(lower);
      place = place_of(gap.address);
    }
  }
  // What lies below the end of all is no gap.
  if (gap.address + static_cast<std::uint64_t>(gap.bytes) == end_) {
    end_ = gap.address;
  } else {
    insert(place, gap);
  }
}

AddressSpace::Place AddressSpace::place_of(std::uint64_t address) const {
  const auto group = std::ranges::lower_bound(
      groups_, address, {}, [](const Group& some) { return some.gaps.back().address; });
  if (group == groups_.end()) return {groups_.size(), 0};
  const auto gap = std::ranges::lower_bound(group->gaps, address, {}, &Gap::address);
  return {static_cast<std::size_t>(group - groups_.begin()),
          static_cast<std::size_t>(gap - group->gaps.begin())};
}

void AddressSpace::insert(Place place, Gap gap) {
  if (groups_.empty()) groups_.emplace_back();
  if (place.group == groups_.size()) {
    place = {groups_.size() - 1, groups_.back().gaps.size()};
  }
  auto& gaps = groups_[place.group].gaps;
  gaps.insert(gaps.begin() + static_cast<std::ptrdiff_t>(place.gap), gap);
  if (gaps.size() > kGroupCapacity) {
    const auto middle = gaps.begin() + static_cast<std::ptrdiff_t>(gaps.size() / 2);
    Group upper{{middle, gaps.end()}, 0};
    gaps.erase(middle, gaps.end());
    groups_.insert(groups_.begin() + static_cast<std::ptrdiff_t>(place.group) + 1,
                   std::move(upper));
    measure(place.group + 1);
  }
  measure(place.group);
}

void AddressSpace::erase(Place place) {
  auto& gaps = groups_[place.group].gaps;
  gaps.erase(gaps.begin() + static_cast<std::ptrdiff_t>(place.gap));
  if (gaps.empty()) {
    groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(place.group));
  } else {
    measure(place.group);
  }
}

void AddressSpace::measure(std::size_t group) {
  groups_[group].largest_bytes = std::ranges::max(groups_[group].gaps, {}, &Gap::bytes).bytes;
}

}  // namespace sbp::predict
