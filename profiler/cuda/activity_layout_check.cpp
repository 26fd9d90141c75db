// Compiled where CUPTI's headers are: our offsets and sizes are theirs.
#include <cupti.h>

#include <cstddef>

#include "profiler/cuda/activity_layout.h"
#include "profiler/cuda/activity_records.h"

namespace sbp::profiler::layout {

static_assert(CUPTI_API_VERSION == 130001,
              "CUPTI's headers are of another version than the decoder: compare the records of "
              "kinds 4, 5, 17, 39, 49 and 50, then change activity_layout.h and this number");

static_assert(external::kBytes == sizeof(CUpti_ActivityExternalCorrelation));
static_assert(external::kExternalKind == offsetof(CUpti_ActivityExternalCorrelation, externalKind));
static_assert(external::kExternalId == offsetof(CUpti_ActivityExternalCorrelation, externalId));
static_assert(external::kCorrelationId ==
              offsetof(CUpti_ActivityExternalCorrelation, correlationId));
static_assert(external::kReserved == offsetof(CUpti_ActivityExternalCorrelation, reserved));

static_assert(api::kBytes == sizeof(CUpti_ActivityAPI));
static_assert(api::kCallbackId == offsetof(CUpti_ActivityAPI, cbid));
static_assert(api::kStart == offsetof(CUpti_ActivityAPI, start));
static_assert(api::kEnd == offsetof(CUpti_ActivityAPI, end));
static_assert(api::kProcessId == offsetof(CUpti_ActivityAPI, processId));
static_assert(api::kThreadId == offsetof(CUpti_ActivityAPI, threadId));
static_assert(api::kCorrelationId == offsetof(CUpti_ActivityAPI, correlationId));
static_assert(api::kReturnValue == offsetof(CUpti_ActivityAPI, returnValue));

using Memory = CUpti_ActivityMemory4;
static_assert(memory::kBytes == sizeof(Memory));
static_assert(memory::kOperation == offsetof(Memory, memoryOperationType));
static_assert(memory::kMemoryKind == offsetof(Memory, memoryKind));
static_assert(memory::kCorrelationId == offsetof(Memory, correlationId));
static_assert(memory::kAddress == offsetof(Memory, address));
static_assert(memory::kSize == offsetof(Memory, bytes));
static_assert(memory::kTimestamp == offsetof(Memory, timestamp));
static_assert(memory::kProgramCounter == offsetof(Memory, PC));
static_assert(memory::kProcessId == offsetof(Memory, processId));
static_assert(memory::kDeviceId == offsetof(Memory, deviceId));
static_assert(memory::kContextId == offsetof(Memory, contextId));
static_assert(memory::kStreamId == offsetof(Memory, streamId));
static_assert(memory::kName == offsetof(Memory, name));
static_assert(memory::kIsAsync == offsetof(Memory, isAsync));
static_assert(memory::kPoolType == offsetof(Memory, memoryPoolConfig.memoryPoolType));
static_assert(memory::kPoolAddress == offsetof(Memory, memoryPoolConfig.address));
static_assert(memory::kPoolReleaseThreshold == offsetof(Memory, memoryPoolConfig.releaseThreshold));
static_assert(memory::kPoolSizeOrProcess == offsetof(Memory, memoryPoolConfig.pool.size));
static_assert(memory::kPoolSizeOrProcess == offsetof(Memory, memoryPoolConfig.pool.processId));
static_assert(memory::kPoolUtilizedSize == offsetof(Memory, memoryPoolConfig.utilizedSize));
static_assert(memory::kSource == offsetof(Memory, source));

using Pool = CUpti_ActivityMemoryPool3;
static_assert(pool::kBytes == sizeof(Pool));
static_assert(pool::kOperation == offsetof(Pool, memoryPoolOperationType));
static_assert(pool::kPoolType == offsetof(Pool, memoryPoolType));
static_assert(pool::kCorrelationId == offsetof(Pool, correlationId));
static_assert(pool::kProcessId == offsetof(Pool, processId));
static_assert(pool::kDeviceId == offsetof(Pool, deviceId));
static_assert(pool::kLeastKept == offsetof(Pool, minBytesToKeep));
static_assert(pool::kAddress == offsetof(Pool, address));
static_assert(pool::kSize == offsetof(Pool, size));
static_assert(pool::kReleaseThreshold == offsetof(Pool, releaseThreshold));
static_assert(pool::kTimestamp == offsetof(Pool, timestamp));
static_assert(pool::kUtilizedSize == offsetof(Pool, utilizedSize));
static_assert(pool::kIsManaged == offsetof(Pool, isManagedPool));

using Overhead = CUpti_ActivityOverhead3;
static_assert(overhead::kBytes == sizeof(Overhead));
static_assert(overhead::kOverheadKind == offsetof(Overhead, overheadKind));
static_assert(overhead::kObjectKind == offsetof(Overhead, objectKind));
static_assert(overhead::kObjectId == offsetof(Overhead, objectId.pt.processId));
static_assert(overhead::kObjectId + 4 == offsetof(Overhead, objectId.pt.threadId));
static_assert(overhead::kObjectId == offsetof(Overhead, objectId.dcs.deviceId));
static_assert(overhead::kObjectId + 8 == offsetof(Overhead, objectId.dcs.streamId));
static_assert(overhead::kStart == offsetof(Overhead, start));
static_assert(overhead::kEnd == offsetof(Overhead, end));
static_assert(overhead::kCorrelationId == offsetof(Overhead, correlationId));
static_assert(overhead::kReserved == offsetof(Overhead, reserved0));
static_assert(overhead::kData == offsetof(Overhead, overheadData));

template <typename Ours, typename Theirs>
constexpr bool same(Ours ours, Theirs theirs) {
  return static_cast<long long>(ours) == static_cast<long long>(theirs);
}
static_assert(same(ActivityKind::driver, CUPTI_ACTIVITY_KIND_DRIVER));
static_assert(same(ActivityKind::runtime, CUPTI_ACTIVITY_KIND_RUNTIME));
static_assert(same(ActivityKind::overhead, CUPTI_ACTIVITY_KIND_OVERHEAD));
static_assert(same(ActivityKind::external_correlation, CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION));
static_assert(same(ActivityKind::memory, CUPTI_ACTIVITY_KIND_MEMORY2));
static_assert(same(ActivityKind::memory_pool, CUPTI_ACTIVITY_KIND_MEMORY_POOL));
static_assert(same(MemoryOperation::allocation, CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION));
static_assert(same(MemoryOperation::release, CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE));
static_assert(same(MemoryKind::unknown, CUPTI_ACTIVITY_MEMORY_KIND_UNKNOWN));
static_assert(same(MemoryKind::pageable, CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE));
static_assert(same(MemoryKind::pinned, CUPTI_ACTIVITY_MEMORY_KIND_PINNED));
static_assert(same(MemoryKind::device, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE));
static_assert(same(MemoryKind::array, CUPTI_ACTIVITY_MEMORY_KIND_ARRAY));
static_assert(same(MemoryKind::managed, CUPTI_ACTIVITY_MEMORY_KIND_MANAGED));
static_assert(same(MemoryKind::device_static, CUPTI_ACTIVITY_MEMORY_KIND_DEVICE_STATIC));
static_assert(same(MemoryKind::managed_static, CUPTI_ACTIVITY_MEMORY_KIND_MANAGED_STATIC));
static_assert(same(PoolType::local, CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL));
static_assert(same(PoolType::imported, CUPTI_ACTIVITY_MEMORY_POOL_TYPE_IMPORTED));

}  // namespace sbp::profiler::layout
