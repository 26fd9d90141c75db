#include "tests/profiler/predict/naive_allocator.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <tuple>

#include "profiler/predict/address_space.h"

namespace sbp::predict::tests {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

std::uint64_t end_of(std::uint64_t address, std::int64_t bytes) {
  return address + static_cast<std::uint64_t>(bytes);
}

std::int64_t up_to(std::int64_t bytes, std::int64_t step) {
  while (bytes % step != 0) bytes += step - bytes % step;
  return bytes;
}

std::int64_t rounded(std::int64_t bytes, const AllocatorOptions& options) {
  if (bytes < 512) return 512;
  std::size_t interval = 0;
  std::int64_t power = 1;
  while (power <= bytes / 2) power *= 2;
  for (std::int64_t start = 2 * kMiB; start <= power && interval < 15; start *= 2) ++interval;
  const std::int64_t divisions = options.roundup_power2_divisions[interval];
  if (divisions < 2 || bytes <= 512 * divisions) return up_to(bytes, 512);
  std::int64_t step = power;
  for (std::int64_t i = 1; i < divisions; i *= 2) step /= 2;
  std::int64_t size = power;
  while (size < bytes) size += step;
  return size;
}

std::int64_t segment_size(std::int64_t size, const AllocatorOptions& options) {
  if (size <= kMiB) return 2 * kMiB;
  return size < 10 * kMiB ? options.large_segment_bytes : up_to(size, 2 * kMiB);
}

}  // namespace

std::optional<NaiveAllocator::Given> NaiveAllocator::allocate(std::int64_t bytes, int stream) {
  for (const std::uint64_t address : completed_) retire(address);
  completed_.clear();
  const std::int64_t size = rounded(bytes, options_);
  const bool small = size <= kMiB;
  const bool collects = options_.limit_bytes && options_.garbage_collection_threshold > 0;
  if (collects) ++searches(small);
  auto found = search(small, stream, size);
  if (!found && collects && !options_.expandable_segments) collect();
  if (!found) found = new_memory(small, stream, size);
  if (!found && options_.max_split_bytes && release_oversize(small, stream, size)) {
    found = new_memory(small, stream, size);
  }
  if (!found) {
    empty_cache();
    ++statistics_.retries;
    found = new_memory(small, stream, size);
  }
  if (!found) {
    ++statistics_.out_of_memory;
    return std::nullopt;
  }
  Range& range = ranges_[found->range];
  const std::int64_t rest = at(*found).bytes - size;
  const bool fine = small || options_.expandable_segments;
  const bool splits =
      fine ? rest >= 512
           : rest > kMiB && (!options_.max_split_bytes || size < *options_.max_split_bytes);
  if (splits) {
    Piece tail = at(*found);
    tail.address = end_of(tail.address, size);
    tail.bytes = rest;
    tail.entry = searches(small);
    at(*found).bytes = size;
    range.pieces.insert(range.pieces.begin() + static_cast<std::ptrdiff_t>(found->piece) + 1, tail);
  }
  Piece& piece = at(*found);
  piece.state = State::allocated;
  piece.requested = bytes;
  piece.used_elsewhere = false;
  count();
  return Given{piece.address, piece.bytes};
}

void NaiveAllocator::free(std::uint64_t address) {
  Piece& piece = at(find(address));
  piece.state = State::waiting;
  if (piece.used_elsewhere) {
    waiting_.push_back(address);
  } else {
    retire(address);
  }
  count();
}

void NaiveAllocator::record_stream(std::uint64_t address, int stream) {
  if (range_at(address).stream != stream) at(find(address)).used_elsewhere = true;
}

void NaiveAllocator::finish_events() {
  completed_.insert(completed_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
}

void NaiveAllocator::empty_cache() {
  finish_events();
  for (const std::uint64_t address : completed_) retire(address);
  completed_.clear();
  release_all();
}

NaiveAllocator::Range& NaiveAllocator::range_at(std::uint64_t address) {
  return ranges_[find(address).range];
}

NaiveAllocator::Found NaiveAllocator::find(std::uint64_t address) {
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    for (std::size_t j = 0; j < ranges_[i].pieces.size(); ++j) {
      if (ranges_[i].pieces[j].address == address) return {i, j};
    }
  }
  throw std::logic_error("the naive allocator has nothing at this address");
}

std::uint64_t NaiveAllocator::lowest_gap(std::int64_t bytes) const {
  std::vector<const Range*> sorted;
  for (const Range& range : ranges_) sorted.push_back(&range);
  std::ranges::sort(sorted, {}, &Range::address);
  std::uint64_t start = AddressSpace::kFirstAddress;
  for (const Range* range : sorted) {
    if (end_of(start, bytes) <= range->address) return start;
    start = end_of(range->address, range->bytes);
  }
  return start;
}

// By size, then by address.
std::vector<NaiveAllocator::Found> NaiveAllocator::free_pieces(bool small, int stream) {
  std::vector<Found> pieces;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    if (ranges_[i].small != small || ranges_[i].stream != stream) continue;
    for (std::size_t j = 0; j < ranges_[i].pieces.size(); ++j) {
      if (ranges_[i].pieces[j].state == State::free) pieces.push_back({i, j});
    }
  }
  std::ranges::sort(pieces, [&](Found one, Found other) {
    return std::tuple(at(one).bytes, at(one).address) <
           std::tuple(at(other).bytes, at(other).address);
  });
  return pieces;
}

std::optional<NaiveAllocator::Found> NaiveAllocator::search(bool small, int stream,
                                                            std::int64_t bytes) {
  std::vector<Found> fitting;
  for (const Found piece : free_pieces(small, stream)) {
    if (at(piece).bytes >= bytes) fitting.push_back(piece);
  }
  if (fitting.empty()) return std::nullopt;
  std::size_t best = 0;
  if (options_.expandable_segments) {
    while (best + 1 < fitting.size() && growable(fitting[best + 1]) < growable(fitting[best])) {
      ++best;
    }
  }
  if (options_.max_split_bytes) {
    const std::int64_t most = *options_.max_split_bytes;
    const std::int64_t rounding =
        options_.max_non_split_rounding_bytes.value_or(options_.large_segment_bytes);
    const std::int64_t size = at(fitting[best]).bytes;
    if (bytes < most && size >= most) return std::nullopt;
    if (bytes >= most && size >= bytes + rounding) return std::nullopt;
  }
  return fitting[best];
}

bool NaiveAllocator::is_reserve_allowed(std::int64_t bytes) const {
  return !options_.limit_bytes ||
         statistics_.total.reserved.current + bytes <= *options_.limit_bytes;
}

std::optional<NaiveAllocator::Found> NaiveAllocator::new_memory(bool small, int stream,
                                                                std::int64_t bytes) {
  const std::int64_t size = segment_size(bytes, options_);
  if (!is_reserve_allowed(size)) return std::nullopt;
  if (options_.expandable_segments) return grow(small, stream, bytes);
  const std::uint64_t address = lowest_gap(size);
  ranges_.push_back({address, size, small, stream, {{.address = address, .bytes = size}}});
  ++statistics_.device_allocs;
  statistics_.segments.add(1);
  return Found{ranges_.size() - 1, 0};
}

std::optional<NaiveAllocator::Found> NaiveAllocator::grow(bool small, int stream,
                                                          std::int64_t bytes) {
  const std::int64_t step = unit(small);
  const std::int64_t whole =
      up_to(options_.device_total_bytes + options_.device_total_bytes / 8, step);
  if (bytes > whole) return std::nullopt;
  // The lowest stretch of free and unmapped pieces that is long enough. It begins at an unmapped
  // piece, or at a free one right before such.
  std::optional<std::uint64_t> start;
  for (const Range& range : ranges_) {
    if (range.small != small || range.stream != stream) continue;
    for (std::size_t i = 0; i < range.pieces.size(); ++i) {
      const auto state_of = [&range](std::size_t piece) {
        return piece < range.pieces.size() ? range.pieces[piece].state : State::allocated;
      };
      const bool begins = state_of(i) == State::unmapped ||
                          (state_of(i) == State::free && state_of(i + 1) == State::unmapped);
      std::int64_t room = 0;
      for (std::size_t j = i; state_of(j) == State::free || state_of(j) == State::unmapped; ++j) {
        room += range.pieces[j].bytes;
      }
      const std::uint64_t address = range.pieces[i].address;
      if (begins && room >= bytes && (!start || address < *start)) start = address;
    }
  }
  if (!start) {
    start = lowest_gap(whole);
    ranges_.push_back({*start,
                       whole,
                       small,
                       stream,
                       {{.address = *start, .bytes = whole, .state = State::unmapped}}});
  }
  // Piece after piece, whole units of what is missing become free.
  Range& range = range_at(*start);
  while (true) {
    auto piece = std::ranges::find(range.pieces, *start, &Piece::address);
    if (piece->state == State::free && piece->bytes >= bytes) break;
    std::int64_t missing = bytes;
    if (piece->state == State::free) {
      missing -= piece->bytes;
      ++piece;
    }
    const std::int64_t mapped = up_to(std::min(missing, piece->bytes), step);
    Piece rest = *piece;
    rest.address = end_of(rest.address, mapped);
    rest.bytes -= mapped;
    piece->bytes = mapped;
    piece->state = State::free;
    if (rest.bytes > 0) range.pieces.insert(piece + 1, rest);
    merge(range);
    ++statistics_.device_allocs;
    count();
  }
  return find(*start);
}

void NaiveAllocator::collect() {
  const auto threshold = static_cast<std::int64_t>(options_.garbage_collection_threshold *
                                                   static_cast<double>(*options_.limit_bytes));
  while (statistics_.total.reserved.current > threshold) {
    double total = 0;
    int wholes = 0;
    for (const Range& range : ranges_) {
      if (range.small || range.pieces.size() > 1) continue;
      if (range.pieces.front().state != State::free) continue;
      total += static_cast<double>(large_searches_ - range.pieces.front().entry);
      ++wholes;
    }
    if (wholes == 0) return;
    for (std::size_t i = ranges_.size(); i-- > 0;) {
      const Range& range = ranges_[i];
      if (range.small || range.pieces.size() > 1) continue;
      if (range.pieces.front().state != State::free) continue;
      const auto age = static_cast<double>(large_searches_ - range.pieces.front().entry);
      if (age >= total / wholes) release_range(i);
    }
  }
}

bool NaiveAllocator::release_oversize(bool small, int stream, std::int64_t bytes) {
  if (options_.expandable_segments) return false;
  const std::int64_t most = *options_.max_split_bytes;
  const std::int64_t wanted = std::max(bytes, most);
  std::vector<Found> pieces = free_pieces(small, stream);
  for (const Found piece : pieces) {
    if (at(piece).bytes < wanted) continue;
    release_range(piece.range);
    return true;
  }
  std::int64_t released = 0;
  while (released < wanted && !pieces.empty() && at(pieces.back()).bytes >= most) {
    released += at(pieces.back()).bytes;
    release_range(pieces.back().range);
    pieces = free_pieces(small, stream);
  }
  return released >= wanted;
}

void NaiveAllocator::release_range(std::size_t range) {
  ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(range));
  ++statistics_.device_frees;
  statistics_.segments.add(-1);
  count();
}

void NaiveAllocator::release_all() {
  if (!options_.expandable_segments) {
    for (std::size_t i = ranges_.size(); i-- > 0;) {
      const auto& pieces = ranges_[i].pieces;
      if (pieces.size() == 1 && pieces.front().state == State::free) release_range(i);
    }
    return;
  }
  std::vector<std::uint64_t> free;
  for (const Range& range : ranges_) {
    for (const Piece& piece : range.pieces) {
      if (piece.state == State::free) free.push_back(piece.address);
    }
  }
  for (const std::uint64_t address : free) unmap_units(address);
  std::erase_if(ranges_, [](const Range& range) {
    return range.pieces.size() == 1 && range.pieces.front().state == State::unmapped;
  });
}

void NaiveAllocator::unmap_units(std::uint64_t address) {
  const Found found = find(address);
  Range& range = ranges_[found.range];
  const Piece piece = at(found);
  const std::int64_t step = unit(range.small);
  const auto offset = static_cast<std::int64_t>(piece.address - range.address);
  const std::int64_t first = up_to(offset, step);
  std::int64_t last = first;
  while (last + step <= offset + piece.bytes) last += step;
  if (first == last) return;
  std::vector<Piece> parts;
  const auto part = [&](std::int64_t begin, std::int64_t end, State state) {
    if (begin == end) return;
    parts.push_back(
        {.address = end_of(range.address, begin), .bytes = end - begin, .state = state});
  };
  part(offset, first, State::free);
  part(first, last, State::unmapped);
  part(last, offset + piece.bytes, State::free);
  const auto where = range.pieces.begin() + static_cast<std::ptrdiff_t>(found.piece);
  range.pieces.insert(range.pieces.erase(where), parts.begin(), parts.end());
  merge(range);
  ++statistics_.device_frees;
  count();
}

void NaiveAllocator::retire(std::uint64_t address) {
  const Found found = find(address);
  at(found).state = State::free;
  at(found).entry = searches(ranges_[found.range].small);
  merge(ranges_[found.range]);
  count();
}

void NaiveAllocator::merge(Range& range) {
  for (std::size_t i = 0; i + 1 < range.pieces.size();) {
    Piece& piece = range.pieces[i];
    const Piece& next = range.pieces[i + 1];
    const bool mergeable = piece.state == State::free || piece.state == State::unmapped;
    if (!mergeable || piece.state != next.state) {
      ++i;
      continue;
    }
    piece.bytes += next.bytes;
    piece.entry = std::max(piece.entry, next.entry);  // that of the one that came last
    range.pieces.erase(range.pieces.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

std::int64_t NaiveAllocator::growable(Found found) {
  const auto& pieces = ranges_[found.range].pieces;
  const bool grows =
      found.piece + 1 < pieces.size() && pieces[found.piece + 1].state == State::unmapped;
  return pieces[found.piece].bytes + (grows ? pieces[found.piece + 1].bytes : 0);
}

std::int64_t NaiveAllocator::unit(bool small) const {
  return small ? 2 * kMiB : options_.large_segment_bytes;
}

void NaiveAllocator::count() {
  // requested, allocated, active, reserved, inactive_split; small, large
  std::array<std::array<std::int64_t, 2>, 5> sums{};
  for (const Range& range : ranges_) {
    const auto pool = static_cast<std::size_t>(!range.small);
    for (const Piece& piece : range.pieces) {
      if (piece.state == State::unmapped) continue;
      sums[3][pool] += piece.bytes;
      if (piece.state == State::free) {
        if (!options_.expandable_segments && range.pieces.size() > 1) sums[4][pool] += piece.bytes;
        continue;
      }
      sums[0][pool] += piece.requested;
      if (piece.state == State::allocated) sums[1][pool] += piece.bytes;
      sums[2][pool] += piece.bytes;
    }
  }
  const auto raise = [](Figure& figure, std::int64_t value) { figure.add(value - figure.current); };
  using Member = Figure PoolStatistics::*;
  const std::array<Member, 5> members{&PoolStatistics::requested, &PoolStatistics::allocated,
                                      &PoolStatistics::active, &PoolStatistics::reserved,
                                      &PoolStatistics::inactive_split};
  for (std::size_t i = 0; i < members.size(); ++i) {
    raise(statistics_.small_pool.*members[i], sums[i][0]);
    raise(statistics_.large_pool.*members[i], sums[i][1]);
    raise(statistics_.total.*members[i], sums[i][0] + sums[i][1]);
  }
}

}  // namespace sbp::predict::tests
