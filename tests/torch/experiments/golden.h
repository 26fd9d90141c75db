// Golden cases: what cases.json says, and the tensors of a case.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "experiments/models/model.h"
#include "sbp/execution.h"
#include "sbp/mask.h"

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
  at::ScalarType type() const { return is_fp64() ? at::kDouble : at::kFloat; }
  // Expected tensors, with inputs and parameters from `inputs_from` where its own file lacks them.
  TensorMap tensors() const;
};

std::vector<GoldenCase> golden_cases();

// Largest |difference| over the largest |expected|; all-zero expectations must be met exactly
// (infinity otherwise).
double relative_error(const at::Tensor& got, const at::Tensor& expected);

// The whole numbers of a tensor; none where the case has no such tensor.
KeptCells cells_of(const TensorMap& tensors, const std::string& name);

// Always the mask that a case was made with, and the heads that it keeps, one attention after the
// other.
class ScriptedMasks : public MaskSource {
 public:
  explicit ScriptedMasks(KeptCells cells, std::vector<KeptCells> heads = {})
      : cells_(std::move(cells)), heads_(std::move(heads)) {}
  KeptCells draw(const MaskRequest& request) override {
    if (request.kind == MaskKind::bernoulli) return heads_.at(next_head_++ % heads_.size());
    geometry = request.geometry;
    return cells_;
  }
  RowGeometry geometry;  // that it was last asked for

 private:
  KeptCells cells_;
  std::vector<KeptCells> heads_;
  std::size_t next_head_ = 0;
};

// The largest of relative errors, and of what.
struct WorstError {
  double worst = 0.0;
  std::string where;
  void add(double error, const std::string& name) {
    if (!(error <= worst)) {
      worst = error;
      where = name;
    }
  }
};

// What the vectors say of a parameter's gradient, in the form that the model has it in.
using ExpectedGradient = std::function<at::Tensor(const experiments::Parameter&)>;

// Forward of the case's input, mean cross-entropy, backward: the largest errors of output, loss and
// every gradient. The step has begun.
WorstError step_errors(experiments::Model& model, Execution& run, const TensorMap& tensors,
                       const ExpectedGradient& expected);

// The vectors' name of a ViT's parameter.
std::string vit_vector_name(std::string name);
// A ViT of a case's options, with its parameters.
std::unique_ptr<experiments::Model> golden_vit(const GoldenCase& golden, const TensorMap& tensors,
                                               bool fused);
// step_errors of it.
WorstError vit_step_errors(experiments::Model& model, Execution& run, const TensorMap& tensors);

}  // namespace sbp::tests
