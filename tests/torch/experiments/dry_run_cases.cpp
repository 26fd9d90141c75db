#include "tests/torch/experiments/dry_run_cases.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "experiments/runs/catalogue.h"
#include "experiments/runs/profile_run.h"
#include "sbp/base/error.h"

namespace sbp::tests {
namespace {

using experiments::ProfileOptions;
using experiments::ZeroGrad;

const std::vector<std::string> kPrecisions = {"fp32", "bf16", "fp16", "bf16:list=cpu"};
const std::vector<std::string> kMainStrategies = {"full", "sbp", "dropit", "recompute"};
const std::vector<std::string> kMainModels = {"vit_tiny_patch16_224", "convnext_tiny", "resnet18",
                                              "mlp"};

// A small value for what makes a model large; empty: left as it is.
std::string small_value(const SpecSchema& schema, const std::string& key) {
  static const std::map<std::string, std::string> values = {
      {"channels", "3"}, {"classes", "10"}, {"patch", "8"},          {"dim", "48"},
      {"depth", "4"},    {"heads", "3"},    {"depths", "[2;2;3;2]"}, {"dims", "[16;24;32;40]"},
      {"width", "16"},   {"hidden", "32"}};
  if (key == "image") {
    const bool patches = std::ranges::count(schema.keys, "patch", &KeySchema::key) > 0;
    return patches ? "32" : "48";
  }
  const auto found = values.find(key);
  return found == values.end() ? "" : found->second;
}

std::string small_model(const SpecSchema& schema) {
  std::string keys;
  for (const KeySchema& key : schema.keys) {
    const std::string value = small_value(schema, key.key);
    if (!value.empty()) keys += concat(keys.empty() ? ":" : ",", key.key, "=", value);
  }
  return schema.name + keys;
}

// Presets of one family are alike when they are small: the first stands for all.
std::vector<SpecSchema> distinct_models() {
  std::vector<SpecSchema> models;
  std::set<std::string> seen;
  for (const SpecSchema& schema : experiments::model_schemas()) {
    std::string form;
    bool of_any_depth = false;
    for (const KeySchema& key : schema.keys) {
      of_any_depth = of_any_depth || key.key == "depth" || key.key == "depths";
      const std::string value = small_value(schema, key.key);
      form += concat(key.key, "=", value.empty() ? key.default_value : value, ",");
    }
    if (!of_any_depth || seen.insert(form).second) models.push_back(schema);
  }
  return models;
}

// By a dry run. The large ones cannot be made small: they run in fewer forms.
std::int64_t parameter_count(const std::string& model) {
  ProfileOptions options;
  options.model = model;
  options.device = "meta";
  options.warmup = 0;
  options.batch = 1;
  options.threads = 1;  // as every test of the program has it
  return experiments::run_profile(options).model.parameter_count;
}

constexpr std::int64_t kMostParameters = 8'000'000;

bool is_large(const std::string& model) {
  static std::map<std::string, bool> known;
  const auto found = known.find(model);
  if (found != known.end()) return found->second;
  return known[model] = parameter_count(model) > kMostParameters;
}

// A spec with every other word that one of its keys may have.
std::vector<std::string> with_words(const std::string& spec, const SpecSchema& schema) {
  std::vector<std::string> variants;
  for (const KeySchema& key : schema.keys) {
    for (const std::string& word : key.words) {
      if (word == key.default_value) continue;
      variants.push_back(
          concat(spec, spec.find(':') == std::string::npos ? ":" : ",", key.key, "=", word));
    }
  }
  return variants;
}

std::vector<std::string> model_variants(const SpecSchema& schema) {
  const std::string small = small_model(schema);
  std::vector<std::string> variants = with_words(small, schema);
  for (const char* key : {"drop_path", "dropout"}) {
    if (std::ranges::count(schema.keys, key, &KeySchema::key) == 0) continue;
    variants.push_back(concat(small, ",", key, "=0.3"));
  }
  return variants;
}

std::vector<std::string> strategy_variants() {
  std::vector<std::string> variants;
  for (const SpecSchema& schema : experiments::strategy_schemas()) {
    variants.push_back(schema.name);
    for (std::string& variant : with_words(schema.name, schema)) {
      variants.push_back(std::move(variant));
    }
  }
  for (const char* variant : {"sbp:keep=0.25..0.75",
                              "sbp:keep=0.3,mask=exact,layers=all",
                              "sbp:keep=1",
                              "sbp:unbiased=yes,share=layer",
                              "sbp:unbiased=yes,share=none,mask=random",
                              "sbp:attention=qkv,mlp=store",
                              "sbp:attention=qkv,compat=released",
                              "dropit:gamma=0.5",
                              "dropit:gamma=0",
                              "dropit:gamma=0.5,scope=row,index=int32",
                              "dropit:scope=sample,index=block",
                              "dropit:select=random,unbiased=yes",
                              "dropit:select=random,index=seed,scope=sample",
                              "dropit:select=random,index=mask",
                              "dropit:index=int64,exclude=*.fc1",
                              "sbp+dropit",
                              "sbp+recompute",
                              "sbp+recompute:part=mlp",
                              "dropit+recompute",
                              "dropit+recompute:part=mlp",
                              "sbp:attention=qkv+dropit:select=random"}) {
    variants.emplace_back(variant);
  }
  return variants;
}

struct Setting {
  std::string name;
  std::function<void(ProfileOptions&)> apply;
};

std::vector<std::string> optimizer_variants() {
  std::vector<std::string> variants;
  for (const SpecSchema& schema : experiments::optimizer_schemas()) {
    for (const char* loop : {"each", "foreach"}) {
      for (const char* keys : {"", ",weight_decay=0.1,decay=all"}) {
        variants.push_back(concat(schema.name, ":loop=", loop, keys));
      }
    }
  }
  for (const char* loop : {"each", "foreach"}) {
    for (const char* keys :
         {"sgd:momentum=0.9", "sgd:momentum=0.9,nesterov=true,weight_decay=0.1",
          "rmsprop:momentum=0.9", "rmsprop:centered=true,momentum=0.9,weight_decay=0.1"}) {
      variants.push_back(concat(keys, ",loop=", loop));
    }
  }
  return variants;
}

// What changes a step besides model, strategy and precision.
std::vector<Setting> settings() {
  std::vector<Setting> all = {
      {"accumulate 3", [](ProfileOptions& o) { o.accumulate = 3; }},
      {"clip-norm 1", [](ProfileOptions& o) { o.clip_norm = 1; }},
      {"ema 0.99", [](ProfileOptions& o) { o.ema = 0.99; }},
      {"zero-grad before_backward",
       [](ProfileOptions& o) { o.zero_grad = ZeroGrad::before_backward; }},
      {"zero-grad end", [](ProfileOptions& o) { o.zero_grad = ZeroGrad::end; }},
      {"augment mixup", [](ProfileOptions& o) { o.augment = "mixup"; }},
      {"augment cutmix", [](ProfileOptions& o) { o.augment = "cutmix"; }},
      {"batch 1", [](ProfileOptions& o) { o.batch = 1; }},
      {"batch 5", [](ProfileOptions& o) { o.batch = 5; }},
      {"seed 7", [](ProfileOptions& o) { o.seed = 7; }},
      {"all of them",
       [](ProfileOptions& o) {
         o.accumulate = 2;
         o.clip_norm = 1;
         o.ema = 0.99;
         o.zero_grad = ZeroGrad::end;
         o.augment = "mixup";
         o.precision = "bf16";
         o.optimizer = "adam:weight_decay=0.1,loop=foreach";
       }},
  };
  for (const std::string& optimizer : optimizer_variants()) {
    all.push_back({optimizer, [optimizer](ProfileOptions& o) { o.optimizer = optimizer; }});
  }
  return all;
}

DryRunCase make_case(const std::string& model, const std::string& strategy,
                     const std::string& precision) {
  DryRunCase made{.options = {}, .model = model, .strategy = strategy, .setting = precision};
  made.options.model = model;
  made.options.strategy = strategy;
  made.options.precision = precision;
  made.options.batch = 2;
  made.options.threads = 1;
  return made;
}

DryRunCase with_setting(DryRunCase made, const Setting& setting) {
  setting.apply(made.options);
  made.setting = setting.name;
  return made;
}

// Goes round and round.
template <typename T>
const T& turn(const std::vector<T>& values, std::size_t index) {
  return values[index % values.size()];
}

std::vector<std::string> main_models() {
  std::vector<std::string> names;
  for (const SpecSchema& schema : experiments::model_schemas()) {
    if (std::ranges::count(kMainModels, schema.name) > 0) names.push_back(small_model(schema));
  }
  return names;
}

}  // namespace

std::vector<DryRunCase> all_cases(const std::vector<std::string>& models) {
  std::vector<SpecSchema> schemas = distinct_models();
  if (!models.empty()) {
    schemas.clear();
    for (const SpecSchema& schema : experiments::model_schemas()) {
      if (std::ranges::count(models, schema.name) > 0) schemas.push_back(schema);
    }
  }
  std::vector<DryRunCase> cases;
  for (const SpecSchema& schema : schemas) {
    const std::string small = small_model(schema);
    if (is_large(small)) {
      for (const std::string& strategy : kMainStrategies) {
        for (const char* precision : {"fp32", "bf16"}) {
          cases.push_back(make_case(small, strategy, precision));
          cases.back().options.optimizer = "sgd";
        }
      }
      continue;
    }
    const bool is_main = std::ranges::count(kMainModels, schema.name) > 0;
    for (const std::string& precision : kPrecisions) {
      // The CPU computes convolutions in fp16 by a slow reference.
      const bool all = is_main || precision == "fp32" || precision == "bf16";
      for (const std::string& strategy : all ? strategy_variants() : kMainStrategies) {
        cases.push_back(make_case(small, strategy, precision));
      }
      for (const std::string& variant : model_variants(schema)) {
        for (const std::string& strategy : kMainStrategies) {
          cases.push_back(make_case(variant, strategy, precision));
        }
      }
    }
    if (!is_main) continue;
    for (const std::string& strategy : kMainStrategies) {
      for (const Setting& setting : settings()) {
        cases.push_back(with_setting(make_case(small, strategy, "fp32"), setting));
      }
    }
  }
  return cases;
}

std::vector<DryRunCase> some_cases() {
  const std::vector<std::string> mains = main_models();
  std::vector<DryRunCase> cases;
  for (const SpecSchema& schema : distinct_models()) {
    const std::string model = small_model(schema);
    if (is_large(model)) continue;
    for (const char* precision : {"fp32", "bf16"}) {
      cases.push_back(make_case(model, "full", precision));
    }
  }
  std::size_t count = 0;
  for (const std::string& strategy : strategy_variants()) {
    // One of attention, which most of them have something to do in, and one of convolutions.
    cases.push_back(make_case(mains.front(), strategy, turn(kPrecisions, count)));
    cases.push_back(make_case(mains[1 + count % 2], strategy, turn(kPrecisions, count / 2)));
    ++count;
  }
  for (const SpecSchema& schema : distinct_models()) {
    if (is_large(small_model(schema))) continue;
    for (const std::string& variant : model_variants(schema)) {
      cases.push_back(
          make_case(variant, turn(kMainStrategies, count), turn(kPrecisions, count / 4)));
      ++count;
    }
  }
  for (const Setting& setting : settings()) {
    cases.push_back(with_setting(
        make_case(turn(mains, count), turn(kMainStrategies, count / 4), "fp32"), setting));
    ++count;
  }
  return cases;
}

}  // namespace sbp::tests
