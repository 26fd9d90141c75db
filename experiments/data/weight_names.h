// Which tensor of a file of weights belongs to which of a model: names and shapes only;
// LibTorch-free.
//
// Models of this suite name their tensors as timm does. Files may use timm's names, torchvision's,
// or be checkpoints of this suite.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sbp::experiments {

using Shape = std::vector<std::int64_t>;

// How the parts of a checkpoint's tensor file begin.
inline constexpr const char* kBufferPrefix = "buffer/";
inline constexpr const char* kOptimizerPrefix = "optimizer/";
inline constexpr const char* kAveragePrefix = "average/";

// timm's name of what torchvision calls `stored`; nothing where torchvision has no such name, or
// the same.
std::optional<std::string> timm_name_of(const std::string& stored);

enum class Placement {
  copy,
  reshape,           // the same but for sizes of 1
  convolution,       // [out, in, 2, 2] to [out, 4 in]: space to depth, then a linear
  resize_positions,  // [1, 1 + h*w, width] to another h*w
};

struct PlacedTensor {
  std::string name;    // the model's
  std::string stored;  // the file's
  Placement how = Placement::copy;

  bool operator==(const PlacedTensor&) const = default;
};

struct PlacementPlan {
  std::vector<PlacedTensor> placed;
  // Sentences about what is not as in the file: a head that is reset, positions that are resized.
  std::vector<std::string> changes;
  std::vector<std::string> unused;   // the file's names, with the reason where shapes differ
  std::vector<std::string> missing;  // the model's names; a head that is reset is not among them
};

// Tensors of a model, in its order.
struct ModelShapes {
  std::vector<std::pair<std::string, Shape>> parameters;  // the last belongs to the head
  std::vector<std::pair<std::string, Shape>> buffers;
};

// Where each stored tensor goes. Of a checkpoint the optimizer's state and averages stay out
// silently, and so do counters of batches (`num_batches_tracked`) that the model does not have.
PlacementPlan plan_placement(const ModelShapes& model, const std::map<std::string, Shape>& stored);

// "[2, 3]".
std::string shape_text(const Shape& shape);

}  // namespace sbp::experiments
