#include "tests/torch/experiments/golden.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "experiments/data/safetensors.h"
#include "experiments/models/vit.h"
#include "sbp/base/error.h"
#include "tests/golden_folders.h"

namespace sbp::tests {
namespace {

at::ScalarType scalar_type(const std::string& word) {
  if (word == "F32") return at::kFloat;
  if (word == "F64") return at::kDouble;
  if (word == "I64") return at::kLong;
  if (word == "I32") return at::kInt;
  if (word == "U8") return at::kByte;
  if (word == "BOOL") return at::kBool;
  throw Error(concat("test vectors hold the unknown type '", word, "'"));
}

}  // namespace

TensorMap read_tensors(const std::filesystem::path& file) {
  const experiments::SafetensorsFile stored(file.string());
  TensorMap tensors;
  for (const auto& [name, tensor] : stored.tensors()) {
    const at::Tensor copy = at::empty(tensor.shape, at::dtype(scalar_type(tensor.dtype)));
    std::memcpy(copy.data_ptr(), tensor.data.data(), tensor.data.size());
    tensors.emplace(name, copy);
  }
  return tensors;
}

TensorMap GoldenCase::tensors() const {
  TensorMap own = read_tensors(folder / file());
  if (!description.contains("inputs_from") || description.at("inputs_from").is_null()) return own;
  const auto source = description.at("inputs_from").get<std::string>();
  for (const auto& [name, tensor] : read_tensors(folder / source)) {
    const bool is_parameter = name.starts_with("param/");
    if (!is_parameter && name != "input" && name != "target" && name != "grad_output") continue;
    own.emplace(name, tensor);
  }
  return own;
}

std::vector<GoldenCase> golden_cases() {
  std::vector<GoldenCase> cases;
  for (const auto& folder : golden_folders()) {
    std::ifstream file(folder / "cases.json");
    if (!file) throw Error(concat("no golden vectors at '", folder.string(), "/cases.json'"));
    const auto list = nlohmann::json::parse(file);
    for (const auto& description : list.at("cases")) cases.push_back({folder, description});
  }
  return cases;
}

double relative_error(const at::Tensor& got, const at::Tensor& expected) {
  const at::Tensor wanted = expected.to(at::kDouble);
  const double scale = wanted.abs().max().item<double>();
  const double difference = got.detach().to(at::kDouble).sub(wanted).abs().max().item<double>();
  if (scale == 0.0) return difference == 0.0 ? 0.0 : std::numeric_limits<double>::infinity();
  return difference / scale;
}

KeptCells cells_of(const TensorMap& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return {};
  const auto* data = found->second.data_ptr<std::int64_t>();
  return {data, data + found->second.numel()};
}

WorstError step_errors(experiments::Model& model, Execution& run, const TensorMap& tensors,
                       const ExpectedGradient& expected) {
  const auto& parameters = model.parameters();
  const at::ScalarType type = parameters.front().value.scalar_type();
  const at::Tensor input = tensors.at("input").to(type).clone().requires_grad_(true);
  const at::Tensor output = model.forward(run, input);
  const Precision precision{.low = output.scalar_type()};
  const at::Tensor loss =
      at::cross_entropy_loss(precision.loss_input(output), tensors.at("target"));
  torch::autograd::backward({loss});
  WorstError errors;
  errors.add(relative_error(output, tensors.at("output")), "output");
  errors.add(relative_error(loss, tensors.at("loss")), "loss");
  errors.add(relative_error(input.grad(), tensors.at("grad/input")), "grad/input");
  for (const experiments::Parameter& parameter : parameters) {
    errors.add(relative_error(parameter.value.grad(), expected(parameter)),
               "grad/" + parameter.name);
  }
  return errors;
}

std::string vit_vector_name(std::string name) {
  const std::pair<std::string, std::string> words[] = {
      {"norm1", "ln1"}, {"norm2", "ln2"}, {"patch_embed.proj", "patch_embed"}};
  for (const auto& [ours, theirs] : words) {
    if (const auto at = name.find(ours); at != std::string::npos) {
      return name.replace(at, ours.size(), theirs);
    }
  }
  return name.starts_with("norm.") ? "ln_final" + name.substr(4) : name;
}

std::unique_ptr<experiments::Model> golden_vit(const GoldenCase& golden, const TensorMap& tensors,
                                               bool fused) {
  const auto& o = golden.options();
  auto model = experiments::make_vit({.image = o.at("image_size"),
                                      .patch = o.at("patch_size"),
                                      .dim = o.at("dim"),
                                      .depth = o.at("depth"),
                                      .heads = o.at("heads"),
                                      .mlp_ratio = o.at("mlp_ratio"),
                                      .classes = o.at("classes"),
                                      .fused_attention = fused},
                                     {.dtype = golden.type()});
  for (const experiments::Parameter& parameter : model->parameters()) {
    parameter.value.detach().copy_(tensors.at("param/" + vit_vector_name(parameter.name)));
  }
  return model;
}

WorstError vit_step_errors(experiments::Model& model, Execution& run, const TensorMap& tensors) {
  return step_errors(model, run, tensors, [&](const experiments::Parameter& parameter) {
    return tensors.at("grad/" + vit_vector_name(parameter.name));
  });
}

}  // namespace sbp::tests
