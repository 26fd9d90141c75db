#include "experiments/data/weight_names.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// `#` stands for a number, `*` for the rest; both are carried over, in order.
struct NameRule {
  std::string stored;
  std::string own;
};

// torchvision.models.vision_transformer.
const std::vector<NameRule> kVitRules = {
    {"class_token", "cls_token"},
    {"conv_proj.*", "patch_embed.proj.*"},
    {"encoder.pos_embedding", "pos_embed"},
    {"encoder.layers.encoder_layer_#.ln_1.*", "blocks.#.norm1.*"},
    {"encoder.layers.encoder_layer_#.self_attention.in_proj_weight", "blocks.#.attn.qkv.weight"},
    {"encoder.layers.encoder_layer_#.self_attention.in_proj_bias", "blocks.#.attn.qkv.bias"},
    {"encoder.layers.encoder_layer_#.self_attention.out_proj.*", "blocks.#.attn.proj.*"},
    {"encoder.layers.encoder_layer_#.ln_2.*", "blocks.#.norm2.*"},
    {"encoder.layers.encoder_layer_#.mlp.0.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layers.encoder_layer_#.mlp.3.*", "blocks.#.mlp.fc2.*"},
    {"encoder.layers.encoder_layer_#.mlp.linear_1.*", "blocks.#.mlp.fc1.*"},
    {"encoder.layers.encoder_layer_#.mlp.linear_2.*", "blocks.#.mlp.fc2.*"},
    {"encoder.ln.*", "norm.*"},
    {"heads.head.*", "head.*"},
};

// torchvision.models.convnext: stem, stages and downsamplings share one numbered list.
std::vector<NameRule> convnext_rules() {
  std::vector<NameRule> rules = {
      {"features.0.0.*", "stem.0.*"},
      {"features.0.1.*", "stem.1.*"},
      {"classifier.0.*", "head.norm.*"},
      {"classifier.2.*", "head.fc.*"},
  };
  constexpr int kStages = 4;
  for (int stage = 0; stage < kStages; ++stage) {
    const std::string stored = concat("features.", 2 * stage + 1, ".#.");
    const std::string own = concat("stages.", stage, ".blocks.#.");
    rules.push_back({stored + "block.0.*", own + "conv_dw.*"});
    rules.push_back({stored + "block.2.*", own + "norm.*"});
    rules.push_back({stored + "block.3.*", own + "mlp.fc1.*"});
    rules.push_back({stored + "block.5.*", own + "mlp.fc2.*"});
    rules.push_back({stored + "layer_scale", own + "gamma"});
    if (stage == 0) continue;
    const std::string before = concat("features.", 2 * stage, ".");
    const std::string downsample = concat("stages.", stage, ".downsample.");
    rules.push_back({before + "0.*", downsample + "0.*"});
    rules.push_back({before + "1.*", downsample + "1.*"});
  }
  return rules;
}

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

// What `#` and `*` of the pattern stand for in `name`; nothing when it does not match.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view name) {
  std::vector<std::string> parts;
  std::size_t place = 0;
  for (const char letter : pattern) {
    if (letter == '*') {
      parts.emplace_back(name.substr(place));
      return parts.back().empty() ? std::nullopt : std::optional(parts);
    }
    if (letter == '#') {
      const std::size_t start = place;
      while (place < name.size() && is_digit(name[place])) ++place;
      if (place == start) return std::nullopt;
      parts.emplace_back(name.substr(start, place - start));
    } else {
      if (place == name.size() || name[place] != letter) return std::nullopt;
      ++place;
    }
  }
  return place == name.size() ? std::optional(parts) : std::nullopt;
}

std::string fill(std::string_view pattern, const std::vector<std::string>& parts) {
  std::string text;
  std::size_t next = 0;
  for (const char letter : pattern) {
    if (letter == '#' || letter == '*') {
      text += parts.at(next++);
    } else {
      text += letter;
    }
  }
  return text;
}

Shape without_ones(const Shape& shape) {
  Shape rest;
  std::ranges::copy_if(shape, std::back_inserter(rest),
                       [](std::int64_t size) { return size != 1; });
  return rest;
}

// A grid of so many cells besides one class token.
bool is_square_with_token(std::int64_t tokens) {
  const std::int64_t cells = tokens - 1;
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(cells))));
  return cells > 0 && side * side == cells;
}

bool are_positions(const std::string& name, const Shape& own, const Shape& stored) {
  return name == "pos_embed" && own.size() == 3 && stored.size() == 3 && own[0] == 1 &&
         stored[0] == 1 && own[2] == stored[2] && is_square_with_token(own[1]) &&
         is_square_with_token(stored[1]);
}

bool is_downsampling(const std::string& name, const Shape& own, const Shape& stored) {
  return match("stages.#.downsample.1.weight", name) && own.size() == 2 && stored.size() == 4 &&
         stored[2] == 2 && stored[3] == 2 && own[0] == stored[0] && own[1] == 4 * stored[1];
}

std::optional<Placement> fit(const std::string& name, const Shape& own, const Shape& stored) {
  if (own == stored) return Placement::copy;
  if (is_downsampling(name, own, stored)) return Placement::convolution;
  if (without_ones(own) == without_ones(stored)) return Placement::reshape;
  if (are_positions(name, own, stored)) return Placement::resize_positions;
  return std::nullopt;
}

bool starts_with_any(const std::string& name, const std::vector<std::string_view>& beginnings) {
  return std::ranges::any_of(beginnings, [&](std::string_view b) { return name.starts_with(b); });
}

class Planner {
 public:
  explicit Planner(const ModelShapes& model) {
    for (const auto* list : {&model.parameters, &model.buffers}) {
      for (const auto& [name, shape] : *list) own_.emplace(name, shape);
    }
    if (!model.parameters.empty()) {
      const std::string& last = model.parameters.back().first;
      head_ = last.substr(0, last.rfind('.') + 1);
    }
  }

  void add(const std::string& stored, const Shape& shape) {
    const std::optional<std::string> name = own_name(stored);
    if (!name) {
      if (!is_bookkeeping(stored)) plan_.unused.push_back(concat("'", stored, "'"));
      return;
    }
    if (done_.contains(*name)) {
      plan_.unused.push_back(concat("'", stored, "' ('", *name, "' is placed already)"));
      return;
    }
    const Shape& own = own_.at(*name);
    if (const auto how = fit(*name, own, shape)) {
      place({*name, stored, *how}, own, shape);
    } else if (is_other_head(*name, own, shape)) {
      done_.insert(*name);
      plan_.changes.push_back(concat("reset '", *name, "': it is ", shape_text(shape),
                                     " in the file and ", shape_text(own), " in the model"));
    } else {
      plan_.unused.push_back(
          concat("'", stored, "' (", shape_text(shape), ", in the model ", shape_text(own), ")"));
    }
  }

  PlacementPlan finish(const ModelShapes& model) {
    for (const auto* list : {&model.parameters, &model.buffers}) {
      for (const auto& [name, shape] : *list) {
        if (!done_.contains(name)) plan_.missing.push_back(concat("'", name, "'"));
      }
    }
    return std::move(plan_);
  }

 private:
  // Of the model's tensors the one that `stored` means.
  std::optional<std::string> own_name(const std::string& stored) const {
    std::string name = stored;
    for (const std::string_view prefix : {std::string_view(kBufferPrefix), kParallelPrefix}) {
      if (name.starts_with(prefix)) name.erase(0, prefix.size());
    }
    if (own_.contains(name)) return name;
    const std::optional<std::string> translated = timm_name_of(name);
    if (translated && own_.contains(*translated)) return translated;
    return std::nullopt;
  }

  static bool is_bookkeeping(const std::string& stored) {
    return starts_with_any(stored, {kOptimizerPrefix, kAveragePrefix}) ||
           stored.ends_with("num_batches_tracked");
  }

  bool is_other_head(const std::string& name, const Shape& own, const Shape& stored) const {
    return !head_.empty() && name.starts_with(head_) && own.size() == stored.size() &&
           !own.empty() && std::equal(own.begin() + 1, own.end(), stored.begin() + 1);
  }

  void place(PlacedTensor placed, const Shape& own, const Shape& stored) {
    if (placed.how == Placement::resize_positions) {
      plan_.changes.push_back(concat("resized '", placed.name, "' from ", shape_text(stored),
                                     " to ", shape_text(own), " (bicubic)"));
    }
    done_.insert(placed.name);
    plan_.placed.push_back(std::move(placed));
  }

  // How PyTorch's data-parallel wrapper begins every name.
  static constexpr std::string_view kParallelPrefix = "module.";

  std::map<std::string, Shape> own_;
  std::string head_;  // with its dot
  std::set<std::string> done_;
  PlacementPlan plan_;
};

}  // namespace

std::optional<std::string> timm_name_of(const std::string& stored) {
  static const std::vector<NameRule> convnext = convnext_rules();
  for (const auto* rules : {&kVitRules, &convnext}) {
    for (const NameRule& rule : *rules) {
      if (const auto parts = match(rule.stored, stored)) return fill(rule.own, *parts);
    }
  }
  return std::nullopt;
}

PlacementPlan plan_placement(const ModelShapes& model, const std::map<std::string, Shape>& stored) {
  Planner planner(model);
  for (const auto& [name, shape] : stored) planner.add(name, shape);
  return planner.finish(model);
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += concat(text.size() > 1 ? ", " : "", size);
  return text + "]";
}

}  // namespace sbp::experiments
