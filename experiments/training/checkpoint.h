// The tensors of a training run, to a safetensors file and back to the last bit.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "experiments/data/safetensors.h"
#include "experiments/data/safetensors_writer.h"
#include "experiments/models/model.h"
#include "experiments/training/optimizer.h"

namespace sbp::experiments {

// Averaged weights by the name of their parameter or buffer; empty where a run keeps none.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Streams parameters (their names), buffers (`buffer/NAME`), the optimizer's state
// (`optimizer/STATE/NAME`) and averages (`average/NAME`), all contiguous on the CPU. Throws Error
// before it writes when a parameter is not finite, naming it; and as SafetensorsWriter does.
FileFacts write_tensors(const std::string& path, const Model& model, const Optimizer& optimizer,
                        const NamedTensors& averages);

// Parameters and buffers of `model`, and averages where there are some to fill. Throws Error when
// one is missing in the file, or has another shape or type. `path`: for messages.
void read_weights(const SafetensorsFile& file, const std::string& path, const Model& model,
                  const NamedTensors& averages);

// The optimizer's state after `steps` updates. `optimizer` has made none. Throws Error.
void read_optimizer(const SafetensorsFile& file, std::int64_t steps, Optimizer& optimizer);

// Throws Error naming the first tensor of `file` that is no part of such a run.
void check_nothing_else(const SafetensorsFile& file, const std::string& path, const Model& model,
                        const Optimizer& optimizer, const NamedTensors& averages);

// Over names, shapes and bytes of all parameters and buffers: equal for equal models.
std::string weights_checksum(const Model& model);

// A copy in the type it is stored in. Throws Error for a type that LibTorch has not.
at::Tensor to_tensor(const StoredTensor& stored, const std::string& name);

}  // namespace sbp::experiments
