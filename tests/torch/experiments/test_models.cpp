#include "experiments/models/registry.h"
#include "experiments/runs/catalogue.h"
#include "sbp/base/error.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::experiments {
namespace {

Spec fitted(const std::string& text, const ImageGeometry& data) {
  return fit_to_data(parse_spec(text, "model", model_schemas()), data);
}

constexpr ImageGeometry kImageNet{3, 224, 224, 1000};

TEST_CASE("parameter counts equal the published ones") {
  const std::pair<const char*, std::int64_t> counts[] = {
      {"vit_tiny_patch16_224", 5'717'416},   {"vit_small_patch16_224", 22'050'664},
      {"vit_base_patch16_224", 86'567'656},  {"vit_large_patch16_224", 304'326'632},
      {"deit_tiny_patch16_224", 5'717'416},  {"deit_small_patch16_224", 22'050'664},
      {"deit_base_patch16_224", 86'567'656}, {"convnext_tiny", 28'589'128},
      {"convnext_small", 50'223'688},        {"convnext_base", 88'591'464},
  };
  for (const auto& [name, published] : counts) {
    const auto model = build_model(fitted(name, kImageNet), {.device = at::kMeta});
    std::int64_t count = 0;
    for (const Parameter& parameter : model->parameters()) count += parameter.value.numel();
    CAPTURE(name);
    CHECK(count == published);
  }
}

TEST_CASE("an MLP has one linear a level") {
  // 784*256+256 + 256*256+256 + 256*10+10
  const auto model = build_model(fitted("mlp", {1, 28, 28, 10}), {.device = at::kMeta});
  std::int64_t count = 0;
  for (const Parameter& parameter : model->parameters()) count += parameter.value.numel();
  CHECK(count == 200'960 + 65'792 + 2'570);
}

TEST_CASE("initial values are a function of the seed, whatever the thread count") {
  const Spec spec = fitted("vit:patch=4,dim=24,depth=2,heads=3", {3, 32, 32, 10});
  const auto first = build_model(spec, {.seed = 5});
  const auto again = build_model(spec, {.seed = 5});
  const auto other = build_model(spec, {.seed = 6});
  bool differs = false;
  for (std::size_t i = 0; i < first->parameters().size(); ++i) {
    const at::Tensor& value = first->parameters()[i].value;
    CHECK(value.equal(again->parameters()[i].value));
    differs = differs || !value.equal(other->parameters()[i].value);
  }
  CHECK(differs);
}

TEST_CASE("only matrices and kernels decay") {
  const auto model = build_model(fitted("vit:patch=4,dim=24,depth=1,heads=3", {3, 32, 32, 10}),
                                 {.device = at::kMeta});
  for (const Parameter& parameter : model->parameters()) {
    const bool is_matrix =
        parameter.name.ends_with("weight") && parameter.name.find("norm") == std::string::npos;
    CAPTURE(parameter.name);
    CHECK(parameter.decays == is_matrix);
  }
}

TEST_CASE("ConvNeXt has timm's parameter names, with linears for downsampling") {
  const auto model =
      build_model(fitted("convnext:depths=[1;1],dims=[8;16]", {3, 32, 32, 10}), {.seed = 1});
  std::vector<std::string> names;
  for (const Parameter& parameter : model->parameters()) {
    names.push_back(parameter.name);
    CAPTURE(parameter.name);
    const bool is_gamma = parameter.name.ends_with("gamma");
    if (is_gamma) CHECK(parameter.value.eq(1e-6).all().item<bool>());
    if (parameter.name.ends_with("bias")) CHECK(parameter.value.eq(0).all().item<bool>());
    CHECK(parameter.decays == (parameter.value.dim() > 1));
  }
  std::vector<std::string> expected{"stem.0.weight", "stem.0.bias", "stem.1.weight", "stem.1.bias"};
  for (const std::string stage : {"stages.0.", "stages.1."}) {
    if (stage == "stages.1.") {
      for (const char* part : {"0.weight", "0.bias", "1.weight", "1.bias"}) {
        expected.push_back(stage + "downsample." + part);
      }
    }
    for (const char* part :
         {"conv_dw.weight", "conv_dw.bias", "norm.weight", "norm.bias", "mlp.fc1.weight",
          "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias", "gamma"}) {
      expected.push_back(stage + "blocks.0." + part);
    }
  }
  for (const char* part : {"norm.weight", "norm.bias", "fc.weight", "fc.bias"}) {
    expected.push_back(std::string("head.") + part);
  }
  CHECK(names == expected);
}

TEST_CASE("sizes that do not go together are said") {
  const auto message = [](const std::string& text, const ImageGeometry& data) -> std::string {
    try {
      build_model(fitted(text, data), {.device = at::kMeta});
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message("vit:image=30,patch=7", {3, 30, 30, 10}) ==
        "model 'vit': patch '7' does not divide image '30'; use a divisor of the image size");
  CHECK(message("vit:patch=4,dim=10,heads=3", {3, 32, 32, 10}) ==
        "model 'vit': heads '3' does not divide dim '10'; use a divisor of dim");
  CHECK(message("vit_tiny_patch16_224", {3, 32, 32, 10})
            .find("3x224x224 images and the data has 3x32x32") != std::string::npos);
  CHECK(message("vit:patch=4,classes=3", {3, 32, 32, 10}).find("classes '3'") != std::string::npos);
}

}  // namespace
}  // namespace sbp::experiments
