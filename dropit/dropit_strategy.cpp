#include "dropit/dropit_strategy.h"

#include <algorithm>
#include <map>
#include <set>

#include "dropit/code_size.h"
#include "dropit/keep_rule.h"
#include "sbp/base/error.h"
#include "sbp/layer_choice.h"

namespace sbp::dropit {
namespace {

bool takes_input(const Site& site) {
  return site.kind == SiteKind::linear || site.kind == SiteKind::conv2d;
}

SavedRole input_role(const Site& site) {
  return site.kind == SiteKind::linear ? SavedRole::linear_input : SavedRole::convolution_input;
}

// The codec that the keys ask for. Throws UsageError where they contradict one another.
KeepRule rule_from(const Spec& spec) {
  const std::string text = to_string(spec);
  const auto refuse = [&](const std::string& why) {
    throw UsageError(concat("strategy '", text, "': ", why));
  };
  const std::string &select = spec.text("select"), &scope = spec.text("scope"),
                    &index = spec.text("index");
  const bool released = spec.text("compat") == "released";
  if (scope != "tensor" && (select == "nsigma" || select == "chunk")) {
    refuse(concat("select=", select, " is over the whole tensor; leave scope out"));
  }
  if (index == "seed" && select != "random") {
    refuse(concat("index=seed draws the places again, which select=", select,
                  " has not drawn; use index=auto, or select=random"));
  }
  if (spec.text("unbiased") == "yes" && select != "random") {
    refuse(
        concat("unbiased=yes needs chances, and select=", select, " has none; use select=random"));
  }
  if (released && (select != "mink" || scope != "tensor" || index == "mask" || index == "block" ||
                   index == "int64")) {
    refuse(
        "compat=released is select=mink over the whole tensor with index=int32; leave select, "
        "scope and index out");
  }
  Spec codec{select,
             {{"gamma", spec.text("gamma")},
              {"scope", scope},
              {"index", "mask"},
              {"unbiased", spec.text("unbiased")},
              {"count", released ? "released" : "rounded"}}};
  KeepRule rule = rule_of(codec);
  if (index != "auto") {
    rule.index = parse_index_form(index);
  } else {
    rule.index = released ? IndexForm::int32 : cheapest_index(rule);
  }
  return rule;
}

class DropitClaims {
 public:
  DropitClaims(const Spec& spec, PlanBuilder& plan)
      : spec_(spec), plan_(plan), sites_(plan.sites()), rule_(rule_from(spec)) {}

  void run() {
    choose();
    if (chosen_.empty()) {
      throw UsageError(concat("strategy '", to_string(spec_),
                              "' finds no linear or convolution among its layers",
                              spec_.text("exclude").empty() ? "" : " that exclude leaves",
                              "; use layers=all, "
                              "or names such as *.fc1"));
    }
    if (rule_.gamma == 0.0) return;
    if (spec_.text("compat") == "none") leave_what_is_held();
    for (const SiteId id : chosen_) plan_.code(id, input_role(sites_[id]), spec_of(rule_));
    for (const SiteId id : freed_) plan_.code(id, SavedRole::nonlinearity_output, {"sign", {}});
    tell_what_is_held();
    if (rule_.selection == Selection::nsigma) {
      plan_.warn(
          "select=nsigma keeps as much as the data says: on device meta, bytes are those of a "
          "normal distribution");
    }
  }

 private:
  void choose() {
    const LayerChoice layers(sites_, spec_.text("layers"), "dropit layers");
    const std::string& exclude = spec_.text("exclude");
    for (SiteId id = 0; id < sites_.size(); ++id) {
      if (takes_input(sites_[id]) && layers.has(id)) chosen_.insert(id);
    }
    if (exclude.empty()) return;
    const LayerChoice excluded(sites_, exclude, "dropit exclude");
    std::erase_if(chosen_, [&](SiteId id) { return excluded.has(id); });
  }

  // Takes layers out whose input stays in full anyway, and finds the ReLUs that let go.
  void leave_what_is_held() {
    std::map<SiteId, std::vector<SiteId>>
        takers_of;  // whoever takes a result that is saved as well
    for (SiteId id = 0; id < sites_.size(); ++id) {
      if (sites_[id].input_from != -1) takers_of[sites_[id].input_from].push_back(id);
    }
    const auto is_chosen = [&](SiteId id) { return chosen_.contains(id); };
    for (const auto& [producer, takers] : takers_of) {
      if (std::ranges::none_of(takers, is_chosen)) continue;
      const auto other = std::ranges::find_if_not(takers, is_chosen);
      const bool may_let_go =
          producer != kTheBatch && sites_[producer].kind == SiteKind::nonlinearity;
      if (may_let_go && other == takers.end()) {
        freed_.push_back(producer);
        continue;
      }
      const SiteId holder = other == takers.end() ? producer : *other;
      for (const SiteId id : takers) {
        if (chosen_.erase(id) > 0) held_.emplace_back(id, holder);
      }
    }
  }

  void tell_what_is_held() {
    std::vector<std::string> names;
    for (const auto& [id, holder] : held_) {
      const std::string who = holder == kTheBatch ? "the batch of images" : sites_[holder].name;
      plan_.note(id, concat("saved 0: still held by ", who));
      names.push_back(concat(sites_[id].name, " (by ", who, ")"));
    }
    if (names.empty()) return;
    constexpr std::size_t kNamed = 3;
    std::string rest;
    if (names.size() > kNamed) {
      rest = concat(" and ", names.size() - kNamed, " more");
      names.resize(kNamed);
    }
    plan_.warn(concat("strategy 'dropit' leaves inputs alone that are held in full all the same: ",
                      join(names), rest));
  }

  const Spec& spec_;
  PlanBuilder& plan_;
  const SiteTable& sites_;
  KeepRule rule_;
  std::set<SiteId> chosen_;
  std::vector<SiteId> freed_;                    // ReLUs that keep their signs only
  std::vector<std::pair<SiteId, SiteId>> held_;  // a layer left alone, and who holds its input
};

std::vector<KeySchema> keys() {
  return {
      {.key = "gamma",
       .kind = ValueKind::real,
       .default_value = "0.9",
       .help = "part of each input that is dropped, in [0, 1); 0 is full",
       .minimum = 0.0,
       .maximum = 1.0,
       .open_maximum = true},
      word_key("select", {"mink", "random", "nsigma", "chunk"},
               "what is kept: mink the largest |x|, random any, nsigma what is far from the mean, "
               "chunk the largest x of each 16384 (the first version's)"),
      word_key("scope", {"tensor", "sample", "row"},
               "elements that compete: of the whole tensor, a sample, or a row (of an image: a "
               "channel's map)"),
      word_key("index", {"auto", "mask", "block", "seed", "int32", "int64"},
               "how places are kept: auto takes the smallest; mask a bit an element, block a byte "
               "a kept one, seed nothing (random), int32 4 and int64 8 bytes a kept one"),
      word_key("unbiased", {"no", "yes"}, "random: kept values times 1/p, right on average"),
      {.key = "layers",
       .kind = ValueKind::text,
       .default_value = "all",
       .help = "whose inputs: all blocks, released, 4-11, [0;2;4], 0.5 (the last half), or names "
               "such as *.fc1"},
      {.key = "exclude",
       .kind = ValueKind::text,
       .default_value = "",
       .help = "layers left out, written as those of layers"},
      word_key("compat", {"none", "released"},
               "released: counts cut and int32 indices as in the released code, and inputs that "
               "are held elsewhere stored once more"),
  };
}

}  // namespace

Strategy dropit_strategy() {
  return {.schema = {.name = "dropit",
                     .summary = "layers keep some elements of their input for the weight gradient",
                     .keys = keys()},
          .claim = [](const Spec& spec, PlanBuilder& plan) { DropitClaims(spec, plan).run(); }};
}

std::vector<std::string> size_warnings(const Plan& plan, int value_bytes) {
  std::vector<std::string> warnings;
  for (const PlanRow& row : plan.rows) {
    for (const auto& [role, codec] : row.codes) {
      if (!names_rule(codec)) continue;
      const std::string text =
          size_warning(concat("code '", to_string(codec), "'"), rule_of(codec), value_bytes);
      if (!text.empty() && std::ranges::find(warnings, text) == warnings.end()) {
        warnings.push_back(text);
      }
    }
  }
  return warnings;
}

}  // namespace sbp::dropit
