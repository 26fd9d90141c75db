#include "profiler/torch/product_watch.h"

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "profiler/operation.h"
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

std::unique_ptr<at::ObserverContext> log_product(const at::RecordFunction& call) {
  const auto found = std::ranges::find(kProducts, std::string_view(call.name()), &Product::name);
  if (found == kProducts.end()) return nullptr;
  const auto arguments = call.inputs();
  if (arguments.size() < found->left + 2) return nullptr;
  const c10::IValue& left = arguments[found->left];
  const c10::IValue& right = arguments[found->left + 1];
  if (!left.isTensor() || !right.isTensor() || !left.toTensor().is_meta()) return nullptr;
  const auto [batch, rows, inner] = sizes_of(left.toTensor());
  const auto [right_batch, right_rows, columns] = sizes_of(right.toTensor());
  log_operation({.kind = OperationKind::matrix_product,
                 .element_bytes = static_cast<std::uint8_t>(left.toTensor().element_size()),
                 .input = {batch, rows, inner, 1, 1},
                 .output = {batch, rows, columns, 1, 1}});
  return nullptr;
}

}  // namespace

ProductWatch::ProductWatch()
    : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&log_product)
                                             .needsInputs(true)
                                             .scopes({at::RecordScope::FUNCTION}))) {}

ProductWatch::~ProductWatch() {
  at::removeCallback(handle_);
}

}  // namespace sbp::profiler
