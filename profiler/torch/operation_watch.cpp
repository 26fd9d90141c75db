#include "profiler/torch/operation_watch.h"

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "profiler/operation.h"
#include "profiler/torch/origin.h"
#include "profiler/torch/recording.h"

namespace sbp::profiler {
namespace {

struct Product {
  std::string_view name;
  std::size_t left;  // which argument is the left factor; the right one follows
};
constexpr std::array<Product, 6> kProducts{{{"aten::mm", 0},
                                            {"aten::addmm", 1},
                                            {"aten::bmm", 0},
                                            {"aten::baddbmm", 1},
                                            {"aten::mv", 0},
                                            {"aten::addmv", 1}}};

// [batch, rows, columns]; a vector is one column.
std::array<std::int64_t, 3> sizes_of(const at::Tensor& factor) {
  const at::IntArrayRef sizes = factor.sizes();
  if (sizes.size() == 3) return {sizes[0], sizes[1], sizes[2]};
  if (sizes.size() == 2) return {1, sizes[0], sizes[1]};
  return {1, factor.numel(), 1};
}

std::optional<Operation> product_of(const at::RecordFunction& call, std::string_view name) {
  const auto found = std::ranges::find(kProducts, name, &Product::name);
  if (found == kProducts.end()) return std::nullopt;
  const auto arguments = call.inputs();
  if (arguments.size() < found->left + 2) return std::nullopt;
  const c10::IValue& left = arguments[found->left];
  const c10::IValue& right = arguments[found->left + 1];
  if (!left.isTensor() || !right.isTensor() || !left.toTensor().is_meta()) return std::nullopt;
  const auto [batch, rows, inner] = sizes_of(left.toTensor());
  const auto [right_batch, right_rows, columns] = sizes_of(right.toTensor());
  return Operation{.kind = OperationKind::matrix_product,
                   .element_bytes = static_cast<std::uint8_t>(left.toTensor().element_size()),
                   .has_bias = name == "aten::addmm",
                   .input = {batch, rows, inner, 1, 1},
                   .output = {batch, rows, columns, 1, 1}};
}

// CUDA's softmax reads fp16 and writes fp32 in one kernel; on other devices a cast comes between.
constexpr std::string_view kSoftmaxWithCast = "aten::softmax";
constexpr std::string_view kSoftmax = "aten::_softmax";

thread_local bool inside_cast = false;

bool casts(const at::RecordFunction& call, const at::Tensor& input) {
  const auto arguments = call.inputs();
  return input.scalar_type() == at::kHalf && arguments.size() > 2 && !arguments[2].isNone();
}

// What it writes is known when it ends.
std::optional<Operation> softmax_of(const at::RecordFunction& call, std::string_view name) {
  if (name != kSoftmaxWithCast && name != kSoftmax) return std::nullopt;
  const auto arguments = call.inputs();
  if (inside_cast || arguments.empty() || !arguments[0].isTensor()) return std::nullopt;
  const at::Tensor& input = arguments[0].toTensor();
  if (!input.is_meta() || !input.requires_grad() || !c10::GradMode::is_enabled()) {
    return std::nullopt;
  }
  if (name == kSoftmaxWithCast && !casts(call, input)) return std::nullopt;
  const auto block = storage_block(input);
  if (!block) return std::nullopt;
  inside_cast = name == kSoftmaxWithCast;
  return Operation{.kind = OperationKind::softmax, .read_address = block->address};
}

struct WatchedCall : at::ObserverContext {
  explicit WatchedCall(const Operation& what) : operation(what) {}
  Operation operation;
};

std::unique_ptr<at::ObserverContext> started(const at::RecordFunction& call) {
  const std::string_view name = call.name();
  std::optional<Operation> operation = product_of(call, name);
  if (!operation) operation = softmax_of(call, name);
  return operation ? std::make_unique<WatchedCall>(*operation) : nullptr;
}

void ended(const at::RecordFunction& call, at::ObserverContext* context) {
  if (context == nullptr) return;
  Operation& operation = static_cast<WatchedCall*>(context)->operation;
  if (operation.kind == OperationKind::softmax) {
    inside_cast = false;
    const auto results = call.outputs();
    if (results.empty() || !results[0].isTensor()) return;
    const auto block = storage_block(results[0].toTensor());
    if (!block) return;
    operation.written_address = block->address;
  }
  log_operation(operation);
}

}  // namespace

OperationWatch::OperationWatch()
    : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&started, &ended)
                                             .needsInputs(true)
                                             .needsOutputs(true)
                                             .scopes({at::RecordScope::FUNCTION}))) {}

OperationWatch::~OperationWatch() {
  at::removeCallback(handle_);
}

}  // namespace sbp::profiler
