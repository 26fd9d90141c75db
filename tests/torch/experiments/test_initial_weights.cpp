// Weights from elsewhere: converted, renamed, rearranged, resized.
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>

#include <map>

#include "experiments/data/safetensors_writer.h"
#include "experiments/models/convnext.h"
#include "experiments/models/mlp.h"
#include "experiments/models/vit.h"
#include "experiments/training/initial_weights.h"
#include "tests/experiments/scratch_folder.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

using tests::contains;
using tests::error_text;
using tests::ScratchFolder;

struct FileTensor {
  std::string name;
  std::string dtype;
  at::Tensor value;
};

std::string write(const ScratchFolder& folder, const std::vector<FileTensor>& tensors) {
  std::vector<TensorDescription> descriptions;
  for (const FileTensor& tensor : tensors) {
    descriptions.push_back(
        {tensor.name, tensor.dtype, {tensor.value.sizes().begin(), tensor.value.sizes().end()}});
  }
  const std::string path = folder.path("x.safetensors");
  SafetensorsWriter writer(path, descriptions, {});
  for (const FileTensor& tensor : tensors) {
    const at::Tensor value = tensor.value.detach().contiguous();
    writer.append({static_cast<const std::byte*>(value.const_data_ptr()), value.nbytes()});
  }
  writer.finish();
  return path;
}

std::unique_ptr<Model> small_vit(std::int64_t image, std::uint64_t seed) {
  return make_vit({.image = image, .patch = 4, .dim = 8, .depth = 2, .heads = 2, .classes = 10},
                  {.seed = seed});
}

std::map<std::string, at::Tensor> parameters_of(const Model& model) {
  std::map<std::string, at::Tensor> found;
  for (const Parameter& parameter : model.parameters()) {
    found.emplace(parameter.name, parameter.value.detach());
  }
  return found;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t place = text.find(from);
  return place == std::string::npos ? text : text.replace(place, from.size(), to);
}

// How torchvision's VisionTransformer calls it.
std::string torchvision_name(std::string name) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"cls_token", "class_token"},
      {"pos_embed", "encoder.pos_embedding"},
      {"patch_embed.proj", "conv_proj"},
      {"blocks.", "encoder.layers.encoder_layer_"},
      {"norm1", "ln_1"},
      {"norm2", "ln_2"},
      {"attn.qkv.", "self_attention.in_proj_"},
      {"attn.proj", "self_attention.out_proj"},
      {"mlp.fc1", "mlp.0"},
      {"mlp.fc2", "mlp.3"}};
  if (name.starts_with("norm.")) return "encoder.ln." + name.substr(5);
  if (name.starts_with("head.")) return "heads." + name;
  for (const auto& [own, theirs] : pairs) name = replaced(name, own, theirs);
  return name;
}

TEST_CASE("initial weights: a torchvision file fills every parameter of a ViT") {
  const ScratchFolder folder;
  const auto source = small_vit(8, 1), target = small_vit(8, 2);
  std::vector<FileTensor> tensors;
  for (const auto& [name, value] : parameters_of(*source)) {
    tensors.push_back({torchvision_name(name), "F32", value});
  }
  const InitialWeights result = load_initial_weights(write(folder, tensors), *target);
  CHECK(result.warnings.empty());
  CHECK(result.placed == static_cast<std::int64_t>(source->parameters().size()));
  const auto expected = parameters_of(*source);
  for (const auto& [name, value] : parameters_of(*target)) {
    CAPTURE(name);
    CHECK(value.equal(expected.at(name)));
  }
}

TEST_CASE("initial weights: 16-bit and fp64 values are converted") {
  const ScratchFolder folder;
  const auto model = make_mlp({.input = {3, 2, 2, 4}, .hidden = 4}, {});
  const auto own = parameters_of(*model);
  const at::Tensor half = at::full({4, 12}, 0.3).to(at::kHalf);
  const at::Tensor brain = at::full({4}, 0.3).to(at::kBFloat16);
  const at::Tensor exact = at::full({4, 4}, 0.3, at::kDouble);
  const auto result = load_initial_weights(write(folder, {{"layers.0.fc.weight", "F16", half},
                                                          {"layers.0.fc.bias", "BF16", brain},
                                                          {"layers.1.fc.weight", "F64", exact}}),
                                           *model);
  CHECK(result.placed == 3);
  CHECK(own.at("layers.0.fc.weight").equal(half.to(at::kFloat)));
  CHECK(own.at("layers.0.fc.bias").equal(brain.to(at::kFloat)));
  CHECK(own.at("layers.1.fc.weight").equal(exact.to(at::kFloat)));
  REQUIRE(result.warnings.size() == 1);
  CHECK(contains(result.warnings[0], "'head.bias'"));
}

TEST_CASE("initial weights: positions of a larger image come into a smaller model") {
  const ScratchFolder folder;
  const auto source = small_vit(16, 1), target = small_vit(8, 2);
  std::vector<FileTensor> tensors;
  for (const auto& [name, value] : parameters_of(*source)) tensors.push_back({name, "F32", value});
  const InitialWeights result = load_initial_weights(write(folder, tensors), *target);
  REQUIRE(result.warnings.size() == 1);
  CHECK(contains(result.warnings[0], "resized 'pos_embed' from [1, 17, 8] to [1, 5, 8]"));
  CHECK(parameters_of(*target)
            .at("pos_embed")
            .equal(resize_positions(parameters_of(*source).at("pos_embed"), 5)));
}

TEST_CASE("initial weights: resized positions keep the token, constants and slopes") {
  const at::Tensor token = at::full({1, 1, 2}, 7.0);
  const at::Tensor columns = at::arange(14).to(at::kFloat).expand({14, 14});
  const at::Tensor grid = at::cat({columns.reshape({1, 196, 1}), at::full({1, 196, 1}, 3.0)}, 2);
  const at::Tensor positions = at::cat({token, grid}, 1);
  CHECK(resize_positions(positions, 197).allclose(positions, 0.0, 1e-5));
  const at::Tensor smaller = resize_positions(positions, 50);
  REQUIRE(smaller.sizes() == at::IntArrayRef({1, 50, 2}));
  CHECK(smaller.select(1, 0).equal(token.select(1, 0)));
  const at::Tensor cells = smaller.narrow(1, 1, 49).reshape({7, 7, 2});
  CHECK(cells.select(2, 1).allclose(at::full({7, 7}, 3.0), 0.0, 1e-5));
  // Cell i covers columns 2i and 2i + 1; away from the border their middle is met.
  for (std::int64_t i = 2; i < 5; ++i) {
    CHECK(cells[3][i][0].item<double>() == doctest::Approx(2.0 * static_cast<double>(i) + 0.5));
  }
}

TEST_CASE("initial weights: a downsampling convolution becomes the linear that computes it") {
  const at::Tensor weight = at::randn({5, 3, 2, 2}, at::kDouble);
  const at::Tensor images = at::randn({2, 3, 4, 6}, at::kDouble);
  const at::Tensor expected = at::conv2d(images, weight, {}, 2);
  const auto pixel = [&](std::int64_t row, std::int64_t column) {
    return images.slice(2, row, {}, 2).slice(3, column, {}, 2);
  };
  const at::Tensor gathered = at::cat({pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)}, 1);
  const at::Tensor got =
      at::linear(gathered.permute({0, 2, 3, 1}), downsample_weight_from_convolution(weight))
          .permute({0, 3, 1, 2});
  CHECK(got.allclose(expected, 1e-12, 1e-12));
}

TEST_CASE("initial weights: types that are no numbers for weights") {
  const ScratchFolder folder;
  const auto model = make_mlp({.input = {3, 2, 2, 4}, .hidden = 4}, {});
  const std::string path =
      write(folder, {{"layers.0.fc.bias", "F8_E4M3", at::full({4}, 1, at::kByte)}});
  CHECK(contains(error_text([&] { load_initial_weights(path, *model); }),
                 "'layers.0.fc.bias' has the type 'F8_E4M3'"));
}

}  // namespace
}  // namespace sbp::experiments
