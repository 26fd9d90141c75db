#include "profiler/torch/cpu_allocator.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>

#include "profiler/torch/recording.h"

namespace sbp::profiler {
namespace {

// Note [Block header]: a block is laid out as
//
//   | LiveBlock, padded to 64 bytes | the bytes asked for ... |
//   ^ posix_memalign            ^ data pointer = context of the DataPtr
//
// so the deleter finds size and links from the data pointer alone, and the data keeps the
// alignment of LibTorch's own allocator. oneDNN allocates through raw_allocate(), which asserts
// that context and data pointer are the same.
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHeaderBytes = 64;
static_assert(sizeof(LiveBlock) <= kHeaderBytes);

constexpr std::size_t kMostBytes =
    static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max()) - kHeaderBytes;

// Above LibTorch's own, which are registered with 0.
constexpr std::uint8_t kPriority = 100;

void free_block(void* data) {
  if (data == nullptr) return;
  auto* block = reinterpret_cast<LiveBlock*>(static_cast<std::byte*>(data) - kHeaderBytes);
  live_blocks(DeviceId::Kind::cpu).remove(*block);
  std::free(block);
}

[[noreturn]] void fail(std::size_t bytes) {
  TORCH_CHECK_WITH(OutOfMemoryError, false, "CPU allocator: cannot allocate ", bytes, " bytes; ",
                   live_blocks(DeviceId::Kind::cpu).live_bytes(), " bytes are in use by tensors");
  std::abort();  // not reached: the check above throws
}

class CountingCpuAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &free_block, cpu};
    void* memory = nullptr;
    if (bytes > kMostBytes || posix_memalign(&memory, kAlignment, bytes + kHeaderBytes) != 0) {
      fail(bytes);
    }
    std::byte* data = static_cast<std::byte*>(memory) + kHeaderBytes;
    auto* block = new (memory) LiveBlock{.previous = nullptr,
                                         .next = nullptr,
                                         .bytes = static_cast<std::int64_t>(bytes),
                                         .address = reinterpret_cast<std::uint64_t>(data)};
    if (!live_blocks(DeviceId::Kind::cpu).add(*block)) {
      std::free(memory);
      fail(bytes);
    }
    return {data, data, &free_block, cpu};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }

  void copy_data(void* destination, const void* source, std::size_t count) const override {
    default_copy_data(destination, source, count);
  }
};

}  // namespace

void install_cpu_allocator() {
  // Never destroyed: tensors in static objects are freed after it would be.
  static auto* const allocator = new CountingCpuAllocator;
  c10::SetCPUAllocator(allocator, kPriority);
}

bool is_counted_cpu_block(const c10::DataPtr& data) noexcept {
  return data.get_deleter() == &free_block;
}

}  // namespace sbp::profiler
