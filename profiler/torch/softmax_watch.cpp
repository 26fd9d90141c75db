#include "profiler/torch/softmax_watch.h"

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <string_view>

#include "profiler/operation.h"
#include "profiler/torch/origin.h"
#include "profiler/torch/recording.h"

namespace sbp::profiler {
namespace {

// CUDA's softmax reads fp16 and writes fp32 in one kernel; on other devices a cast comes between.
constexpr std::string_view kWithCast = "aten::softmax";
constexpr std::string_view kKernel = "aten::_softmax";

thread_local bool inside_cast = false;

struct SoftmaxCall : at::ObserverContext {
  explicit SoftmaxCall(std::uint64_t address) : read_address(address) {}
  std::uint64_t read_address;
};

bool casts(const at::RecordFunction& call, const at::Tensor& input) {
  const auto arguments = call.inputs();
  return input.scalar_type() == at::kHalf && arguments.size() > 2 && !arguments[2].isNone();
}

std::unique_ptr<at::ObserverContext> started(const at::RecordFunction& call) {
  const std::string_view name = call.name();
  if (name != kWithCast && name != kKernel) return nullptr;
  const auto arguments = call.inputs();
  if (inside_cast || arguments.empty() || !arguments[0].isTensor()) return nullptr;
  const at::Tensor& input = arguments[0].toTensor();
  if (!input.is_meta() || !input.requires_grad() || !c10::GradMode::is_enabled()) return nullptr;
  if (name == kWithCast && !casts(call, input)) return nullptr;
  const auto block = storage_block(input);
  if (!block) return nullptr;
  inside_cast = name == kWithCast;
  return std::make_unique<SoftmaxCall>(block->address);
}

void ended(const at::RecordFunction& call, at::ObserverContext* context) {
  if (context == nullptr) return;
  inside_cast = false;
  const auto results = call.outputs();
  if (results.empty() || !results[0].isTensor()) return;
  const auto block = storage_block(results[0].toTensor());
  if (!block) return;
  log_operation({.kind = OperationKind::softmax,
                 .read_address = static_cast<SoftmaxCall*>(context)->read_address,
                 .written_address = block->address});
}

}  // namespace

SoftmaxWatch::SoftmaxWatch()
    : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&started, &ended)
                                             .needsInputs(true)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}))) {}

SoftmaxWatch::~SoftmaxWatch() {
  at::removeCallback(handle_);
}

}  // namespace sbp::profiler
