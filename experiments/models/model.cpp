#include "experiments/models/model.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <span>

#include "sbp/random.h"

namespace sbp::experiments {
namespace {

// Values are drawn in chunks with a key each, so that they are the same for any thread count.
constexpr std::int64_t kChunk = 1 << 16;

void fill_truncated_normal(const at::Tensor& values, double standard_deviation, std::uint64_t seed,
                           std::uint32_t parameter) {
  float* data = values.data_ptr<float>();
  const std::int64_t count = values.numel();
  at::parallel_for(0, (count + kChunk - 1) / kChunk, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      RandomStream stream({.seed = seed,
                           .step = static_cast<std::uint32_t>(chunk),
                           .site = parameter,
                           .purpose = Purpose::initialise});
      const std::int64_t size = std::min(kChunk, count - chunk * kChunk);
      stream.fill_truncated_normal({data + chunk * kChunk, static_cast<std::size_t>(size)},
                                   standard_deviation);
    }
  });
}

}  // namespace

at::Tensor ParameterMaker::add(const std::string& name, LayerId layer,
                               std::vector<std::int64_t> shape, Initial initial) {
  const c10::NoGradGuard no_grad;
  const ScopedLayer scope(layer);
  at::Tensor value = at::empty(shape, at::dtype(options_.dtype).device(options_.device));
  if (!options_.device.is_meta()) {
    if (initial.kind == Initial::Kind::truncated_normal) {
      const at::Tensor drawn = value.scalar_type() == at::kFloat ? value : value.to(at::kFloat);
      fill_truncated_normal(drawn, initial.standard_deviation, options_.seed,
                            static_cast<std::uint32_t>(parameters_.size()));
      if (!drawn.is_same(value)) value.copy_(drawn);
    } else {
      value.fill_(initial.kind == Initial::Kind::ones ? 1.0 : 0.0);
    }
  }
  value.requires_grad_(true);
  parameters_.push_back({name, value, layer, shape.size() > 1});
  return value;
}

at::Tensor ParameterMaker::add_embedding(const std::string& name, LayerId layer,
                                         std::vector<std::int64_t> shape, Initial initial) {
  const at::Tensor value = add(name, layer, std::move(shape), initial);
  parameters_.back().decays = false;
  return value;
}

}  // namespace sbp::experiments
