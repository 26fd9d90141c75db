// Golden cases: what cases.json says, and the tensors of a case.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sbp::tests {

using TensorMap = std::map<std::string, at::Tensor>;

// All tensors of a safetensors file, copied.
TensorMap read_tensors(const std::filesystem::path& file);

struct GoldenCase {
  std::filesystem::path folder;
  nlohmann::json description;

  std::string file() const { return description.at("file"); }
  std::string kind() const { return description.at("kind"); }
  const nlohmann::json& options() const { return description.at("options"); }
  double tolerance() const { return description.at("tolerance"); }
  bool is_fp64() const { return description.at("precision") == "fp64"; }
  // Expected tensors, with inputs and parameters from `inputs_from` where its own file lacks them.
  TensorMap tensors() const;
};

std::vector<GoldenCase> golden_cases();

// Largest |difference| over the largest |expected|; all-zero expectations must be met exactly
// (infinity otherwise).
double relative_error(const at::Tensor& got, const at::Tensor& expected);

}  // namespace sbp::tests
