// Who is running on this thread: the open layer, and in backward the autograd node.
#pragma once

#include <cstdint>
#include <optional>

#include "profiler/record.h"
#include "sbp/base/device_id.h"

namespace at {
class Tensor;
class TensorBase;
}  // namespace at

namespace sbp::profiler {

// A record with layer, thread, node and the bits of `detail` filled in. Allocates nothing.
Record attributed_record(RecordKind kind) noexcept;

// The same without the node: layer and the calling thread.
Record layer_record(RecordKind kind) noexcept;

// The block behind a tensor's storage.
struct StorageBlock {
  DeviceId::Kind device;
  std::uint64_t address;
};

// From now on storages of CUDA device `index` that `deleter` frees are counted ones.
void count_cuda_storages(void (*deleter)(void*), int index) noexcept;
bool counts_cuda_storages(int index) noexcept;

// Empty for an undefined tensor, for one that holds no bytes, and for bytes that did not come
// from a counting allocator (borrowed memory, or a tensor older than the hooks).
std::optional<StorageBlock> storage_block(const at::TensorBase& tensor) noexcept;

}  // namespace sbp::profiler
