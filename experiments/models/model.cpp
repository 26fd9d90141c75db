#include "experiments/models/model.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "sbp/random.h"

namespace sbp::experiments {
namespace {

// Values are drawn in chunks with a key each, so that they are the same for any thread count.
constexpr std::int64_t kChunk = 1 << 16;

void draw(std::span<float> values, const Initial& initial, RandomStream& stream) {
  const double deviation = initial.standard_deviation;
  if (initial.kind == Initial::Kind::truncated_normal) {
    stream.fill_truncated_normal(values, deviation);
  } else if (initial.kind == Initial::Kind::normal) {
    for (float& value : values) value = static_cast<float>(stream.normal() * deviation);
  } else {
    const double width = 2.0 * deviation * std::sqrt(3.0);
    for (float& value : values) value = static_cast<float>((stream.uniform() - 0.5) * width);
  }
}

void draw(const at::Tensor& values, const Initial& initial, std::uint64_t seed,
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
      draw({data + chunk * kChunk, static_cast<std::size_t>(size)}, initial, stream);
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
    if (initial.kind == Initial::Kind::zeros || initial.kind == Initial::Kind::ones) {
      value.fill_(initial.kind == Initial::Kind::ones ? 1.0 : 0.0);
    } else {
      const bool in_place = value.is_cpu() && value.scalar_type() == at::kFloat;
      const at::Tensor drawn = in_place ? value : at::empty(shape, at::dtype(at::kFloat));
      draw(drawn, initial, options_.seed, static_cast<std::uint32_t>(parameters_.size()));
      if (!drawn.is_same(value)) value.copy_(drawn);
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

double block_drop_path(double last, int index, int count) {
  return count > 1 ? last * index / static_cast<double>(count - 1) : 0.0;
}

}  // namespace sbp::experiments
