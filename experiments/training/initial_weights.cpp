#include "experiments/training/initial_weights.h"

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "experiments/data/safetensors.h"
#include "experiments/data/weight_names.h"
#include "experiments/models/convnext.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/checkpoint_folder.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

SafetensorsFile open_weights(const std::string& path) {
  if (std::filesystem::is_directory(path)) return open_tensors(path, read_checkpoint(path));
  return SafetensorsFile(path);
}

Shape shape_of(const at::Tensor& tensor) {
  return {tensor.sizes().begin(), tensor.sizes().end()};
}

ModelShapes shapes_of(const Model& model) {
  ModelShapes shapes;
  for (const Parameter& parameter : model.parameters()) {
    shapes.parameters.emplace_back(parameter.name, shape_of(parameter.value));
  }
  for (const Buffer& buffer : model.buffers()) {
    shapes.buffers.emplace_back(buffer.name, shape_of(buffer.value));
  }
  return shapes;
}

std::map<std::string, at::Tensor> tensors_of(const Model& model) {
  std::map<std::string, at::Tensor> tensors;
  for (const Parameter& parameter : model.parameters()) {
    tensors.emplace(parameter.name, parameter.value);
  }
  for (const Buffer& buffer : model.buffers()) tensors.emplace(buffer.name, buffer.value);
  return tensors;
}

at::Tensor fitted(const at::Tensor& stored, const PlacedTensor& placed, const at::Tensor& target) {
  switch (placed.how) {
    case Placement::copy: return stored;
    case Placement::reshape: return stored.reshape(target.sizes());
    case Placement::convolution: return downsample_weight_from_convolution(stored);
    case Placement::resize_positions: return resize_positions(stored, target.size(1));
  }
  return stored;
}

void place(const std::string& path, const StoredTensor& stored, const PlacedTensor& placed,
           const at::Tensor& target) {
  const at::Tensor values = to_tensor(stored, placed.stored);
  if (values.is_floating_point() && !at::isfinite(values).all().item<bool>()) {
    throw Error(concat("cannot start from '", path, "': tensor '", placed.stored,
                       "' holds numbers that are not finite"));
  }
  target.detach().copy_(fitted(values, placed, target));
}

[[noreturn]] void refuse(const std::string& path, const SafetensorsFile& file, const Model& model) {
  const std::string first = file.tensors().empty() ? "" : file.tensors().begin()->first;
  throw Error(concat("cannot start from '", path, "': none of its ", file.tensors().size(),
                     " tensors ('", first, "', ...) is one of the model ('",
                     model.parameters().front().name, "', ...)"));
}

}  // namespace

InitialWeights load_initial_weights(const std::string& path, const Model& model) {
  const c10::NoGradGuard no_grad;
  const SafetensorsFile file = open_weights(path);
  std::map<std::string, Shape> stored;
  for (const auto& [name, tensor] : file.tensors()) stored.emplace(name, tensor.shape);
  const PlacementPlan plan = plan_placement(shapes_of(model), stored);
  if (plan.placed.empty()) refuse(path, file, model);
  const std::map<std::string, at::Tensor> targets = tensors_of(model);
  for (const PlacedTensor& placed : plan.placed) {
    place(path, file.tensors().at(placed.stored), placed, targets.at(placed.name));
  }
  InitialWeights result;
  result.placed = static_cast<std::int64_t>(plan.placed.size());
  result.left = static_cast<std::int64_t>(targets.size() - plan.placed.size());
  const std::string beginning = concat("weights from '", path, "': ");
  for (const std::string& change : plan.changes) result.warnings.push_back(beginning + change);
  if (!plan.unused.empty()) {
    result.warnings.push_back(concat(beginning, "not used: ", join(plan.unused)));
  }
  if (!plan.missing.empty()) {
    result.warnings.push_back(
        concat(beginning, "not found, so left at their initial values: ", join(plan.missing)));
  }
  return result;
}

at::Tensor resize_positions(const at::Tensor& positions, std::int64_t tokens) {
  const auto side = [](std::int64_t cells) {
    return static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(cells))));
  };
  const std::int64_t from = side(positions.size(1) - 1), to = side(tokens - 1);
  const at::Tensor values = positions.to(at::kFloat);
  const at::Tensor grid = values.narrow(1, 1, from * from)
                              .reshape({1, from, from, positions.size(2)})
                              .permute({0, 3, 1, 2});
  const at::Tensor resized = at::_upsample_bicubic2d_aa(grid, {to, to}, /*align_corners=*/false,
                                                        std::nullopt, std::nullopt);
  return at::cat({values.narrow(1, 0, 1), resized.permute({0, 2, 3, 1}).flatten(1, 2)}, 1);
}

}  // namespace sbp::experiments
