#include "experiments/training/checkpoint.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cstring>
#include <functional>
#include <set>
#include <utility>

#include "experiments/data/weight_names.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

struct TypeName {
  at::ScalarType type;
  const char* word;
};
constexpr std::array kTypes = {TypeName{at::kFloat, "F32"},     TypeName{at::kDouble, "F64"},
                               TypeName{at::kHalf, "F16"},      TypeName{at::kLong, "I64"},
                               TypeName{at::kBFloat16, "BF16"}, TypeName{at::kInt, "I32"},
                               TypeName{at::kShort, "I16"},     TypeName{at::kChar, "I8"},
                               TypeName{at::kByte, "U8"},       TypeName{at::kBool, "BOOL"}};

const char* word_of(at::ScalarType type, const std::string& name) {
  for (const TypeName& known : kTypes) {
    if (known.type == type) return known.word;
  }
  throw Error(concat("tensor '", name, "' has the type ", c10::toString(type),
                     ", which checkpoints do not hold"));
}

// The same tensor, if it is on the CPU and has no gaps.
at::Tensor to_write(const at::Tensor& tensor) {
  return tensor.detach().cpu().contiguous();
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

using Visit = std::function<void(const std::string& name, const at::Tensor& tensor)>;

void for_each_weight(const Model& model, const NamedTensors& averages, const Visit& visit) {
  for (const Parameter& parameter : model.parameters()) visit(parameter.name, parameter.value);
  for (const Buffer& buffer : model.buffers()) visit(kBufferPrefix + buffer.name, buffer.value);
  for (const auto& [name, average] : averages) visit(kAveragePrefix + name, average);
}

std::string state_name(const std::string& state, const Parameter& owner) {
  return concat(kOptimizerPrefix, state, "/", owner.name);
}

void for_each_tensor(const Model& model, const Optimizer& optimizer, const NamedTensors& averages,
                     const Visit& visit) {
  for_each_weight(model, averages, visit);
  optimizer.for_each_state([&](const std::string& name, const at::Tensor& state,
                               const Parameter& owner) { visit(state_name(name, owner), state); });
}

void check_finite(const Model& model) {
  for (const Parameter& parameter : model.parameters()) {
    if (!at::isfinite(parameter.value.detach()).all().item<bool>()) {
      throw Error(concat("training diverged: '", parameter.name,
                         "' holds numbers that are not finite; use a lower learning rate"));
    }
  }
}

void read_into(const SafetensorsFile& file, const std::string& path, const std::string& name,
               const at::Tensor& target) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) {
    throw Error(concat("cannot take weights from '", path, "': it has no tensor '", name,
                       "'; it is of another model"));
  }
  const StoredTensor& stored = found->second;
  if (Shape(target.sizes().begin(), target.sizes().end()) != stored.shape ||
      stored.dtype != word_of(target.scalar_type(), name)) {
    throw Error(concat("cannot take weights from '", path, "': tensor '", name, "' is ",
                       stored.dtype, " ", shape_text(stored.shape), " there and ",
                       word_of(target.scalar_type(), name), " ",
                       shape_text({target.sizes().begin(), target.sizes().end()}),
                       " in the model; it is of another model"));
  }
  target.detach().copy_(to_tensor(stored, name));
}

}  // namespace

FileFacts write_tensors(const std::string& path, const Model& model, const Optimizer& optimizer,
                        const NamedTensors& averages) {
  const c10::NoGradGuard no_grad;
  check_finite(model);
  std::vector<TensorDescription> descriptions;
  for_each_tensor(model, optimizer, averages,
                  [&](const std::string& name, const at::Tensor& tensor) {
                    descriptions.push_back({name,
                                            word_of(tensor.scalar_type(), name),
                                            {tensor.sizes().begin(), tensor.sizes().end()}});
                  });
  SafetensorsWriter writer(path, std::move(descriptions), {{"format", "pt"}}, "checkpoint");
  for_each_tensor(model, optimizer, averages, [&](const std::string&, const at::Tensor& tensor) {
    writer.append(bytes_of(to_write(tensor)));
  });
  return writer.finish();
}

void read_weights(const SafetensorsFile& file, const std::string& path, const Model& model,
                  const NamedTensors& averages) {
  const c10::NoGradGuard no_grad;
  for_each_weight(model, averages, [&](const std::string& name, const at::Tensor& tensor) {
    read_into(file, path, name, tensor);
  });
}

void read_optimizer(const SafetensorsFile& file, std::int64_t steps, Optimizer& optimizer) {
  const c10::NoGradGuard no_grad;
  optimizer.load_state(steps, [&](const Parameter& owner, const std::string& name) {
    const std::string stored = state_name(name, owner);
    const auto found = file.tensors().find(stored);
    return found == file.tensors().end() ? at::Tensor() : to_tensor(found->second, stored);
  });
}

void check_nothing_else(const SafetensorsFile& file, const std::string& path, const Model& model,
                        const Optimizer& optimizer, const NamedTensors& averages) {
  std::set<std::string> expected;
  for_each_tensor(model, optimizer, averages,
                  [&](const std::string& name, const at::Tensor&) { expected.insert(name); });
  for (const auto& [name, tensor] : file.tensors()) {
    if (!expected.contains(name)) {
      throw Error(concat("cannot resume from '", path, "': it holds '", name,
                         "', which this run does not have"));
    }
  }
}

std::string weights_checksum(const Model& model) {
  std::uint32_t sum = 0;
  for_each_weight(model, {}, [&](const std::string& name, const at::Tensor& tensor) {
    const std::string text =
        concat(name, shape_text({tensor.sizes().begin(), tensor.sizes().end()}));
    sum = crc32_of(std::as_bytes(std::span(text)), sum);
    sum = crc32_of(bytes_of(to_write(tensor)), sum);
  });
  return checksum_text(sum);
}

at::Tensor to_tensor(const StoredTensor& stored, const std::string& name) {
  for (const TypeName& known : kTypes) {
    if (stored.dtype != known.word) continue;
    at::Tensor tensor = at::empty(stored.shape, at::dtype(known.type));
    if (!stored.data.empty()) {
      std::memcpy(tensor.mutable_data_ptr(), stored.data.data(), stored.data.size());
    }
    return tensor;
  }
  throw Error(
      concat("tensor '", name, "' has the type '", stored.dtype, "', which cannot be read here"));
}

}  // namespace sbp::experiments
