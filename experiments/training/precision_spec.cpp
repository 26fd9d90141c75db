#include "experiments/training/precision_spec.h"

#include "experiments/runs/catalogue.h"

namespace sbp::experiments {
namespace {

std::vector<KeySchema> list_key() {
  return {word_key("list", {"cuda", "cpu", "cuda1.9"},
                   "whose autocast list: cuda has layer norm and softmax in fp32, cpu does not; "
                   "cuda1.9, that of PyTorch 1.9 and before, has GELU in fp32 too")};
}

}  // namespace

const std::vector<SpecSchema>& precision_schemas() {
  static const std::vector<SpecSchema> schemas = {
      {"fp32", "everything in fp32", {}},
      {"bf16", "matmuls and convolutions in bf16, parameters in fp32", list_key()},
      {"fp16", "the same in fp16, with dynamic loss scaling", list_key()},
  };
  return schemas;
}

Precision precision_of(const Spec& spec) {
  if (spec.name == "fp32") return {};
  return {.low = spec.name == "bf16" ? at::kBFloat16 : at::kHalf,
          .full_norms = spec.text("list") != "cpu",
          .full_gelu = spec.text("list") == "cuda1.9"};
}

}  // namespace sbp::experiments
