#include <ATen/OpMathType.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <optional>
#include <tuple>

#include "profiler/torch/meta_kernels.h"

namespace sbp::profiler {
namespace {

using at::Tensor;

// Legend: B batch, H heads, N tokens, D head width. The CPU's output takes query's order of axes;
// its sums and gradients lie as [B, N, H] and [B, N, H, D] in memory, whatever the inputs' order.
Tensor heads_inside(const Tensor& like) {
  return at::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options())
      .transpose(1, 2);
}

std::tuple<Tensor, Tensor> flash_attention(const Tensor& query, const Tensor& key,
                                           const Tensor& value, double, bool,
                                           const std::optional<Tensor>&, std::optional<double>) {
  TORCH_CHECK(query.dim() == 4 && key.dim() == 4 && value.dim() == 4,
              "flash attention: query, key and value must be [batch, heads, tokens, width], not ",
              query.sizes(), ", ", key.sizes(), ", ", value.sizes());
  TORCH_CHECK(query.size(3) == value.size(3) && key.size(3) == value.size(3),
              "flash attention: query, key and value must be equally wide, not ", query.size(3),
              ", ", key.size(3), ", ", value.size(3));
  // Row sums are kept in the type that sums are made in.
  const auto sums = at::toOpMathType(query.scalar_type());
  Tensor log_sums =
      at::empty({query.size(0), query.size(2), query.size(1)}, query.options().dtype(sums))
          .transpose(1, 2);
  return {at::empty_like(query), log_sums};
}

std::tuple<Tensor, Tensor, Tensor> flash_attention_backward(const Tensor& grad_output,
                                                            const Tensor& query, const Tensor& key,
                                                            const Tensor& value, const Tensor&,
                                                            const Tensor&, double, bool,
                                                            const std::optional<Tensor>&,
                                                            std::optional<double>) {
  if (!grad_output.defined()) return {};
  return {heads_inside(query), heads_inside(key), heads_inside(value)};
}

}  // namespace

void add_meta_attention(torch::Library& library) {
  library.impl("_scaled_dot_product_flash_attention_for_cpu", &flash_attention);
  library.impl("_scaled_dot_product_flash_attention_for_cpu_backward", &flash_attention_backward);
}

}  // namespace sbp::profiler
