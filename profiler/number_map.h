// A flat hash map from 64-bit numbers (addresses, save numbers) to small indices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace sbp::profiler {

// Open addressing with linear probing, at most half full; erasing shifts the cluster back, so
// there are no tombstones to wade through in a trace that allocates and frees forever. Any key is
// allowed; the value kAbsent is not.
class NumberMap {
 public:
  static constexpr std::uint32_t kAbsent = ~std::uint32_t{0};

  NumberMap() : slots_(kFirstCapacity) {}

  std::uint32_t find(std::uint64_t key) const noexcept { return slots_[slot_of(key)].value; }

  // Maps `key` to `value`; returns what it mapped to before, or kAbsent.
  std::uint32_t exchange(std::uint64_t key, std::uint32_t value) {
    const std::size_t slot = slot_of(key);
    const std::uint32_t old = std::exchange(slots_[slot].value, value);
    slots_[slot].key = key;
    if (old == kAbsent && ++size_ * 2 > slots_.size()) grow();
    return old;
  }

  // Removes `key`; returns what it mapped to, or kAbsent.
  std::uint32_t take(std::uint64_t key) noexcept {
    std::size_t hole = slot_of(key);
    const std::uint32_t old = slots_[hole].value;
    if (old == kAbsent) return kAbsent;
    for (std::size_t at = next(hole); slots_[at].value != kAbsent; at = next(at)) {
      const std::size_t from_home = (at - home_of(slots_[at].key)) & mask();
      if (from_home < ((at - hole) & mask())) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole].value = kAbsent;
    --size_;
    return old;
  }

  std::size_t size() const noexcept { return size_; }

 private:
  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t value = kAbsent;
  };
  static constexpr std::size_t kFirstCapacity = 1024;  // a power of two, as every later one
  static constexpr int kFirstShift = 64 - 10;

  std::size_t mask() const noexcept { return slots_.size() - 1; }
  std::size_t next(std::size_t slot) const noexcept { return (slot + 1) & mask(); }
  // Fibonacci hashing: the top bits of the product depend on every bit of the key.
  std::size_t home_of(std::uint64_t key) const noexcept {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> shift_);
  }
  // Where `key` is, or the empty slot where it would go.
  std::size_t slot_of(std::uint64_t key) const noexcept {
    std::size_t slot = home_of(key);
    while (slots_[slot].value != kAbsent && slots_[slot].key != key) slot = next(slot);
    return slot;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    --shift_;
    for (const Slot& slot : old) {
      if (slot.value != kAbsent) slots_[slot_of(slot.key)] = slot;
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
  int shift_ = kFirstShift;
};

}  // namespace sbp::profiler
