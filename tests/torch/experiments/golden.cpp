#include "tests/torch/experiments/golden.h"

#include <ATen/ops/empty.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "experiments/data/safetensors.h"
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

}  // namespace sbp::tests
