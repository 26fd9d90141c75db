#include "profiler/cuda/activity_decoder.h"

#include <bit>
#include <cstring>

#include "profiler/cuda/activity_layout.h"

namespace sbp::profiler {
namespace {

static_assert(std::endian::native == std::endian::little, "CUPTI's numbers are little-endian");

// One record of which all bytes are there.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> record) : record_(record) {}

  std::uint32_t u32(std::size_t offset) const { return at<std::uint32_t>(offset); }
  std::uint64_t u64(std::size_t offset) const { return at<std::uint64_t>(offset); }
  std::uint8_t u8(std::size_t offset) const { return at<std::uint8_t>(offset); }

 private:
  template <typename Number>
  Number at(std::size_t offset) const {
    Number number;
    std::memcpy(&number, record_.data() + offset, sizeof(number));
    return number;
  }

  std::span<const std::byte> record_;
};

ExternalActivity read_external(const Fields& fields) {
  using namespace layout::external;
  return {.external_kind = fields.u32(kExternalKind),
          .external_id = fields.u64(kExternalId),
          .correlation_id = fields.u32(kCorrelationId),
          .reserved = fields.u32(kReserved)};
}

ApiActivity read_api(ActivityKind kind, const Fields& fields) {
  using namespace layout::api;
  return {.kind = kind,
          .callback_id = fields.u32(kCallbackId),
          .start_ns = fields.u64(kStart),
          .end_ns = fields.u64(kEnd),
          .process_id = fields.u32(kProcessId),
          .thread_id = fields.u32(kThreadId),
          .correlation_id = fields.u32(kCorrelationId),
          .return_value = fields.u32(kReturnValue)};
}

MemoryActivity::Pool read_pool_of_memory(const Fields& fields) {
  using namespace layout::memory;
  MemoryActivity::Pool pool{.type = PoolType{fields.u32(kPoolType)},
                            .address = fields.u64(kPoolAddress),
                            .release_threshold = fields.u64(kPoolReleaseThreshold),
                            .utilized_bytes = fields.u64(kPoolUtilizedSize)};
  // One place, two meanings.
  auto& meant = pool.type == PoolType::imported ? pool.process_id : pool.size_bytes;
  meant = fields.u64(kPoolSizeOrProcess);
  return pool;
}

std::string text_at(std::uint64_t pointer) {
  return pointer == 0 ? std::string() : std::string(reinterpret_cast<const char*>(pointer));
}

MemoryActivity read_memory(const Fields& fields, PointedText text) {
  using namespace layout::memory;
  MemoryActivity memory{.operation = MemoryOperation{fields.u32(kOperation)},
                        .memory_kind = MemoryKind{fields.u32(kMemoryKind)},
                        .correlation_id = fields.u32(kCorrelationId),
                        .address = fields.u64(kAddress),
                        .bytes = fields.u64(kSize),
                        .time_ns = fields.u64(kTimestamp),
                        .program_counter = fields.u64(kProgramCounter),
                        .process_id = fields.u32(kProcessId),
                        .device_id = fields.u32(kDeviceId),
                        .context_id = fields.u32(kContextId),
                        .stream_id = fields.u32(kStreamId),
                        .name_pointer = fields.u64(kName),
                        .is_async = fields.u32(kIsAsync),
                        .pool = read_pool_of_memory(fields),
                        .source_pointer = fields.u64(kSource),
                        .name = {},
                        .source = {}};
  if (text == PointedText::copy) {
    memory.name = text_at(memory.name_pointer);
    memory.source = text_at(memory.source_pointer);
  }
  return memory;
}

PoolActivity read_pool(const Fields& fields) {
  using namespace layout::pool;
  return {.operation = fields.u32(kOperation),
          .type = PoolType{fields.u32(kPoolType)},
          .correlation_id = fields.u32(kCorrelationId),
          .process_id = fields.u32(kProcessId),
          .device_id = fields.u32(kDeviceId),
          .least_kept_bytes = fields.u64(kLeastKept),
          .address = fields.u64(kAddress),
          .size_bytes = fields.u64(kSize),
          .release_threshold = fields.u64(kReleaseThreshold),
          .time_ns = fields.u64(kTimestamp),
          .utilized_bytes = fields.u64(kUtilizedSize),
          .is_managed = fields.u8(kIsManaged)};
}

OverheadActivity read_overhead(const Fields& fields) {
  using namespace layout::overhead;
  return {
      .overhead_kind = fields.u32(kOverheadKind),
      .object_kind = fields.u32(kObjectKind),
      .object_id = {fields.u32(kObjectId), fields.u32(kObjectId + 4), fields.u32(kObjectId + 8)},
      .start_ns = fields.u64(kStart),
      .end_ns = fields.u64(kEnd),
      .correlation_id = fields.u32(kCorrelationId),
      .reserved = fields.u32(kReserved),
      .data_pointer = fields.u64(kData)};
}

// Empty for a kind that is only stepped over.
std::optional<Activity> read_record(ActivityKind kind, const Fields& fields, PointedText text) {
  switch (kind) {
    case ActivityKind::driver:
    case ActivityKind::runtime: return read_api(kind, fields);
    case ActivityKind::overhead: return read_overhead(fields);
    case ActivityKind::external_correlation: return read_external(fields);
    case ActivityKind::memory: return read_memory(fields, text);
    case ActivityKind::memory_pool: return read_pool(fields);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::unknown: break;
    case MemoryKind::pageable: return "pageable";
    case MemoryKind::pinned: return "pinned";
    case MemoryKind::device: return "device";
    case MemoryKind::array: return "array";
    case MemoryKind::managed: return "managed";
    case MemoryKind::device_static: return "device_static";
    case MemoryKind::managed_static: return "managed_static";
  }
  return "unknown";
}

std::uint32_t activity_kind(const Activity& activity) {
  struct Kind {
    ActivityKind operator()(const ExternalActivity&) { return ActivityKind::external_correlation; }
    ActivityKind operator()(const ApiActivity& api) { return api.kind; }
    ActivityKind operator()(const MemoryActivity&) { return ActivityKind::memory; }
    ActivityKind operator()(const PoolActivity&) { return ActivityKind::memory_pool; }
    ActivityKind operator()(const OverheadActivity&) { return ActivityKind::overhead; }
  };
  return static_cast<std::uint32_t>(std::visit(Kind{}, activity));
}

std::size_t activity_bytes(std::uint32_t kind) noexcept {
  switch (ActivityKind{kind}) {
    case ActivityKind::driver:
    case ActivityKind::runtime: return layout::api::kBytes;
    case ActivityKind::overhead: return layout::overhead::kBytes;
    case ActivityKind::external_correlation: return layout::external::kBytes;
    case ActivityKind::memory: return layout::memory::kBytes;
    case ActivityKind::memory_pool: return layout::pool::kBytes;
  }
  for (const layout::SkippedKind& skipped : layout::kSkippedKinds) {
    if (skipped.kind == kind) return skipped.bytes;
  }
  return 0;
}

DecodedActivities decode_activities(std::span<const std::byte> buffer, PointedText text) {
  DecodedActivities decoded;
  std::size_t offset = 0;
  while (offset < buffer.size()) {
    const std::size_t left = buffer.size() - offset;
    if (left < sizeof(std::uint32_t)) {
      decoded.truncated = {
          .offset = offset, .bytes_present = left, .whole_bytes = 0, .kind = std::nullopt};
      break;
    }
    const std::uint32_t kind = Fields(buffer.subspan(offset)).u32(layout::kKind);
    const std::size_t bytes = activity_bytes(kind);
    if (bytes == 0) {
      decoded.unreadable = {.offset = offset, .kind = kind, .bytes_left = left};
      break;
    }
    if (bytes > left) {
      decoded.truncated = {
          .offset = offset, .bytes_present = left, .whole_bytes = bytes, .kind = kind};
      break;
    }
    const Fields fields(buffer.subspan(offset, bytes));
    if (auto record = read_record(ActivityKind{kind}, fields, text)) {
      decoded.records.push_back(std::move(*record));
      decoded.offsets.push_back(offset);
    } else {
      ++decoded.skipped_records;
    }
    offset += bytes;
  }
  decoded.complete_bytes = offset;
  return decoded;
}

}  // namespace sbp::profiler
