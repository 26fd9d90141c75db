// What CUPTI's activity buffers hold, as plain structs of ours: times in nanoseconds of CUPTI's
// clock, sizes in bytes, numbers as CUPTI wrote them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sbp::profiler {

// The kinds that are decoded. The others are stepped over.
enum class ActivityKind : std::uint32_t {
  driver = 4,
  runtime = 5,
  overhead = 17,
  external_correlation = 39,
  memory = 49,  // CUPTI calls it MEMORY2
  memory_pool = 50,
};

enum class MemoryOperation : std::uint32_t { allocation = 1, release = 2 };

enum class MemoryKind : std::uint32_t {
  unknown,
  pageable,
  pinned,
  device,
  array,
  managed,
  device_static,
  managed_static,
};
inline constexpr std::size_t kMemoryKindCount = 8;
// "device", "pinned", ...; "unknown" for a number that is none of them.
std::string_view to_string(MemoryKind kind);

enum class PoolType : std::uint32_t { none, local, imported };

// A call with this correlation id ran inside the scope that pushed `external_id`.
struct ExternalActivity {
  std::uint32_t external_kind = 0;
  std::uint64_t external_id = 0;
  std::uint32_t correlation_id = 0;
  std::uint32_t reserved = 0;

  bool operator==(const ExternalActivity&) const = default;
};

// One call of the CUDA runtime or driver.
struct ApiActivity {
  ActivityKind kind = ActivityKind::runtime;
  std::uint32_t callback_id = 0;  // which function
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  std::uint32_t process_id = 0;
  std::uint32_t thread_id = 0;
  std::uint32_t correlation_id = 0;
  std::uint32_t return_value = 0;  // 0: it succeeded

  bool operator==(const ApiActivity&) const = default;
};

// One allocation or release of the driver.
struct MemoryActivity {
  // The pool that served a stream-ordered call; type `none` for every other call.
  struct Pool {
    PoolType type = PoolType::none;
    std::uint64_t address = 0;
    std::uint64_t release_threshold = 0;
    std::uint64_t size_bytes = 0;  // of a local pool
    std::uint64_t process_id = 0;  // of the owner of an imported one
    std::uint64_t utilized_bytes = 0;

    bool operator==(const Pool&) const = default;
  };

  MemoryOperation operation = MemoryOperation::allocation;
  MemoryKind memory_kind = MemoryKind::unknown;
  std::uint32_t correlation_id = 0;  // 0: made by no API call
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;
  std::uint64_t time_ns = 0;
  std::uint64_t program_counter = 0;
  std::uint32_t process_id = 0;
  std::uint32_t device_id = 0;
  std::uint32_t context_id = 0;
  std::uint32_t stream_id = 0;  // 0xFFFFFFFF: synchronous
  std::uint64_t name_pointer = 0;
  std::uint32_t is_async = 0;
  Pool pool{};
  std::uint64_t source_pointer = 0;
  // What the two pointers showed; empty unless they could be read (see PointedText).
  std::string name{};    // of the symbol, for static memory
  std::string source{};  // path of the library that asked

  bool operator==(const MemoryActivity&) const = default;
};

// A pool of the stream-ordered allocator was created (1), destroyed (2) or trimmed (3).
struct PoolActivity {
  std::uint32_t operation = 0;
  PoolType type = PoolType::none;
  std::uint32_t correlation_id = 0;
  std::uint32_t process_id = 0;
  std::uint32_t device_id = 0;
  std::uint64_t least_kept_bytes = 0;
  std::uint64_t address = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t release_threshold = 0;
  std::uint64_t time_ns = 0;
  std::uint64_t utilized_bytes = 0;
  std::uint8_t is_managed = 0;

  bool operator==(const PoolActivity&) const = default;
};

// Time that CUPTI itself took.
struct OverheadActivity {
  std::uint32_t overhead_kind = 0;
  std::uint32_t object_kind = 0;
  // Of a thread: process and thread. Of a device, context or stream: these, as far as they go.
  std::array<std::uint32_t, 3> object_id{};
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  std::uint32_t correlation_id = 0;
  std::uint32_t reserved = 0;
  std::uint64_t data_pointer = 0;

  bool operator==(const OverheadActivity&) const = default;
};

using Activity =
    std::variant<ExternalActivity, ApiActivity, MemoryActivity, PoolActivity, OverheadActivity>;

// The number that CUPTI gives this record's kind.
std::uint32_t activity_kind(const Activity& activity);

}  // namespace sbp::profiler
