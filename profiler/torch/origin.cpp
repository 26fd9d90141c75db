#include "profiler/torch/origin.h"

#ifndef AT_PER_OPERATOR_HEADERS
#define AT_PER_OPERATOR_HEADERS  // LibTorch's headers then bring in single operators, not all
#endif
#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/node.h>

#include <cstring>
#include <limits>
#include <typeinfo>

#include "profiler/torch/cpu_allocator.h"
#include "profiler/torch/meta_allocator.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {
namespace {

// LibTorch gives AccumulateGrad this number, so that it runs as soon as it can.
constexpr std::uint64_t kAccumulateGradSequence = std::numeric_limits<std::uint64_t>::max();

// Set once, before the first trace of a CUDA device.
void (*counted_cuda_deleter)(void*) = nullptr;
int counted_cuda_index = -1;

bool is_counted_cuda_block(const at::DataPtr& data) noexcept {
  return data.device().is_cuda() && data.device().index() == counted_cuda_index &&
         data.get_deleter() == counted_cuda_deleter;
}

// LibTorch numbers its threads 1, 2, 3, ... Past 65,535 of them two would share a number.
std::uint16_t thread_number(std::uint64_t libtorch_thread) noexcept {
  return static_cast<std::uint16_t>(libtorch_thread);
}

bool is_convolution(const torch::autograd::Node& node) noexcept {
  // Node::name() demangles and allocates. The types of one graph are few and repeat.
  thread_local const std::type_info* last_type = nullptr;
  thread_local bool last_answer = false;
  const std::type_info& type = typeid(node);
  if (&type != last_type) {
    last_type = &type;
    last_answer = std::strstr(type.name(), "ConvolutionBackward") != nullptr;
  }
  return last_answer;
}

// The node's own number, or for AccumulateGrad the parameter that it adds to.
void set_node(Record& record, torch::autograd::Node& node) noexcept {
  record.thread = thread_number(node.thread_id());
  if (node.sequence_nr() != kAccumulateGradSequence) {
    record.node = node.sequence_nr();
    if (is_convolution(node)) record.detail |= kInConvolution;
    return;
  }
  const auto* accumulate = dynamic_cast<const torch::autograd::AccumulateGrad*>(&node);
  if (accumulate == nullptr) return;
  if (const auto parameter = storage_block(accumulate->variable)) {
    record.node = parameter->address;
    record.detail |= kAccumulates;
  }
}

}  // namespace

void count_cuda_storages(void (*deleter)(void*), int index) noexcept {
  counted_cuda_deleter = deleter;
  counted_cuda_index = index;
}

bool counts_cuda_storages(int index) noexcept {
  return counted_cuda_deleter != nullptr && counted_cuda_index == index;
}

Record layer_record(RecordKind kind) noexcept {
  return {.layer = current_layer(),
          .thread = thread_number(at::RecordFunction::currentThreadId()),
          .kind = kind};
}

Record attributed_record(RecordKind kind) noexcept {
  Record record = layer_record(kind);
  if (const auto node = torch::autograd::get_current_node()) set_node(record, *node);
  return record;
}

std::optional<StorageBlock> storage_block(const at::TensorBase& tensor) noexcept {
  if (!tensor.defined() || !tensor.has_storage()) return std::nullopt;
  // Without checks: asking for the address must neither throw nor make a lazy copy real.
  const at::DataPtr& data = tensor.storage().unsafeGetStorageImpl()->_mutable_data_ptr_no_checks();
  if (data.get() == nullptr) return std::nullopt;
  const auto address = reinterpret_cast<std::uint64_t>(data.get());
  if (is_counted_cpu_block(data)) return StorageBlock{DeviceId::Kind::cpu, address};
  if (is_counted_meta_block(data)) return StorageBlock{DeviceId::Kind::meta, address};
  if (is_counted_cuda_block(data)) return StorageBlock{DeviceId::Kind::cuda, address};
  return std::nullopt;
}

}  // namespace sbp::profiler
