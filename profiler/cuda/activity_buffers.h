// The memory that CUPTI fills with records: a bounded pool that it takes from and gives back to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace sbp::profiler {

struct ActivityBufferOptions {
  std::size_t buffer_bytes = std::size_t{4} << 20;
  std::int64_t most_buffers = 32;  // 128 MiB in all
};

// Nothing here throws, calls CUPTI or locks; its owner locks (Note [Callbacks] in
// cupti_source.cpp).
class ActivityBuffers {
 public:
  // In front of each buffer's bytes, so that lists of them need no memory of their own.
  struct Buffer {
    Buffer* next = nullptr;
    std::size_t bytes = 0;        // that follow
    std::size_t valid_bytes = 0;  // of them, filled by CUPTI
    void* context = nullptr;
    std::uint32_t stream = 0;

    std::uint8_t* data() noexcept;
    std::span<const std::byte> valid() noexcept;
  };

  explicit ActivityBuffers(const ActivityBufferOptions& options);
  ~ActivityBuffers();  // those that CUPTI holds stay; see free_buffer
  ActivityBuffers(const ActivityBuffers&) = delete;
  ActivityBuffers& operator=(const ActivityBuffers&) = delete;

  // An empty buffer for CUPTI. When the pool is used up, the oldest filled one is emptied and its
  // records count as lost; when CUPTI holds them all, the pool grows beyond its bound, because to
  // give CUPTI none may crash it. nullptr only if the system has no memory and the reserve is out.
  Buffer* take() noexcept;
  // The buffer whose data this is comes back, with so many bytes filled.
  void give(std::uint8_t* data, std::size_t valid_bytes, void* context,
            std::uint32_t stream) noexcept;

  // The oldest filled buffer, to be read and then put back; nullptr if there is none.
  Buffer* next_filled() noexcept;
  void put_back(Buffer* buffer) noexcept;

  template <typename Function>
  void for_each_filled(Function function) const {
    for (const Buffer* buffer = oldest_filled_; buffer != nullptr; buffer = buffer->next) {
      function(*buffer);
    }
  }

  // Those of emptied buffers since the last call.
  std::int64_t take_lost_records() noexcept { return std::exchange(lost_records_, 0); }
  std::int64_t buffers() const noexcept { return buffers_; }  // that exist

  // A buffer of no pool, for a CUPTI that asks when nobody records; nullptr without memory.
  static Buffer* make_buffer(std::size_t bytes) noexcept;
  static void free_buffer(Buffer* buffer) noexcept;
  static Buffer* of_data(std::uint8_t* data) noexcept;

 private:
  Buffer* empty(Buffer* buffer) noexcept;

  ActivityBufferOptions options_;
  std::int64_t buffers_ = 0;
  Buffer* free_ = nullptr;
  Buffer* oldest_filled_ = nullptr;
  Buffer* newest_filled_ = nullptr;
  Buffer* reserve_ = nullptr;
  std::int64_t lost_records_ = 0;
};

}  // namespace sbp::profiler
