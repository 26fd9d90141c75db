#include "profiler/torch/meta_allocator.h"

#include <c10/core/Allocator.h>

#include <atomic>
#include <cstdint>

#include "profiler/torch/recording.h"

namespace sbp::profiler {
namespace {

// Fake addresses: multiples of 64, far above anything the system maps.
constexpr std::uint64_t kFirstAddress = std::uint64_t{1} << 56;
constexpr std::uint64_t kAlignment = 64;
// Keeps sums of sizes and addresses far from overflow: 64 PiB in one tensor.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 56;

constexpr std::uint8_t kPriority = 100;  // above LibTorch's own, which is registered with 0

constinit std::atomic<std::uint64_t> next_address{kFirstAddress};

void free_block(void* context) {
  if (context == nullptr) return;
  auto* block = static_cast<LiveBlock*>(context);
  live_blocks(DeviceId::Kind::meta).remove(*block);
  delete block;
}

class CountingMetaAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    const c10::Device meta(c10::DeviceType::Meta);
    if (bytes == 0) return {nullptr, nullptr, &free_block, meta};
    TORCH_CHECK_WITH(OutOfMemoryError, bytes <= kMostBytes,
                     "Meta allocator: cannot account for a block of ", bytes, " bytes; at most ",
                     kMostBytes);
    const std::uint64_t step = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    const std::uint64_t address = next_address.fetch_add(step);
    auto* block = new LiveBlock{.previous = nullptr,
                                .next = nullptr,
                                .bytes = static_cast<std::int64_t>(bytes),
                                .address = address};
    if (!live_blocks(DeviceId::Kind::meta).add(*block)) {
      delete block;
      TORCH_CHECK_WITH(OutOfMemoryError, false, "Meta allocator: cannot account for ", bytes,
                       " bytes more");
    }
    return {reinterpret_cast<void*>(address), block, &free_block, meta};
  }

  // The context is the block, not the address, so there is no raw_deleter().
  bool is_simple_data_ptr(const c10::DataPtr& data) const override {
    return data.get_deleter() == &free_block;
  }

  // There is nothing behind the addresses.
  void copy_data(void*, const void*, std::size_t) const override {}
};

}  // namespace

void install_meta_allocator() {
  static auto* const allocator = new CountingMetaAllocator;
  c10::SetAllocator(c10::DeviceType::Meta, allocator, kPriority);
}

bool is_counted_meta_block(const c10::DataPtr& data) noexcept {
  return data.get_deleter() == &free_block;
}

}  // namespace sbp::profiler
