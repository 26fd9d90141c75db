// Specs: the grammar, with the registered schemas that need no LibTorch and one that has a key of
// each kind; and the values inside specs.
#include "sbp/base/spec.h"

#include <algorithm>

#include "experiments/data/augmentation.h"
#include "experiments/data/dataset.h"
#include "profiler/predict/allocator_options.h"
#include "sbp/base/device_id.h"
#include "sbp/layer_choice.h"
#include "sbp/sbp_strategy.h"
#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using namespace sbp;

namespace {

std::vector<SpecSchema> all_schemas() {
  std::vector<SpecSchema> schemas = experiments::data_schemas();
  schemas.push_back(full_strategy().schema);
  schemas.push_back(sbp_strategy().schema);
  schemas.push_back({"kinds",
                     "a key of each kind",
                     {{.key = "whole",
                       .kind = ValueKind::integer,
                       .default_value = "1",
                       .help = "",
                       .minimum = -5},
                      {.key = "any", .kind = ValueKind::integer, .default_value = "0", .help = ""},
                      {.key = "real",
                       .kind = ValueKind::real,
                       .default_value = "0.5",
                       .help = "",
                       .minimum = 0,
                       .maximum = 1,
                       .open_minimum = true,
                       .open_maximum = true},
                      {.key = "word",
                       .kind = ValueKind::word,
                       .default_value = "on",
                       .help = "",
                       .words = {"on", "off"}},
                      {.key = "text", .default_value = "", .help = ""},
                      {.key = "filled", .default_value = "[a;b]", .help = ""}}});
  return schemas;
}

// Twelve blocks of two sites in three stages, and a head.
const SiteTable& small_model() {
  static const SiteTable sites = [] {
    SiteTable made;
    for (int block = 0; block < 12; ++block) {
      for (const char* part : {".attn", ".mlp"}) {
        made.add({.name = "blocks." + std::to_string(block) + part,
                  .kind = SiteKind::positionwise,
                  .block = block,
                  .stage = std::min(block / 3, 2)});
      }
    }
    made.add("head", SiteKind::linear);
    return made;
  }();
  return sites;
}

void check_specs(std::string_view text) {
  static const std::vector<SpecSchema> schemas = all_schemas();
  const std::vector<Spec> specs = parse_specs(text, "spec", schemas);
  const std::string resolved = to_string(specs);
  fuzz::require(parse_specs(resolved, "spec", schemas) == specs, "the resolved spec reads alike");
  for (const Spec& spec : specs) {
    fuzz::require(parse_spec(to_string(spec), "spec", schemas) == spec, "each reads alike");
  }
}

}  // namespace

SBP_FUZZ_TARGET(spec) {
  const std::string_view text = fuzz::as_text(input);
  fuzz::refused_or([&] { check_specs(text); });
  fuzz::refused_or([&] { fuzz::require(!parse_list(text).empty(), "a list has a value"); });
  fuzz::refused_or([&] {
    const IntegerRange range = parse_range(text);
    fuzz::require(range.first <= range.last, "a range goes up");
  });
  fuzz::refused_or([&] {
    const LayerChoice layers(small_model(), text, "layers");
    bool any = false;
    for (SiteId id = 0; id < small_model().size(); ++id) any = any || layers.has(id);
    fuzz::require(any, "a choice is never empty");
  });
  fuzz::refused_or([&] {
    const std::vector<Spec> specs = experiments::parse_augmentation(text);
    experiments::make_augmentation(specs);
  });
  fuzz::refused_or([&] {
    const predict::AllocatorOptions options = predict::parse_allocator_options(std::string(text));
    const std::string resolved = predict::to_string(options);
    fuzz::require(predict::to_string(predict::parse_allocator_options(resolved)) == resolved,
                  "allocator options read alike");
  });
  fuzz::refused_or([&] {
    const DeviceId device = parse_device(text);
    fuzz::require(parse_device(to_string(device)) == device, "a device reads alike");
  });
}
