#include "sbp/recompute_strategy.h"

#include "sbp/base/error.h"
#include "sbp/layer_choice.h"

namespace sbp {
namespace {

bool is_mlp(const Site& site) {
  return site.kind == SiteKind::positionwise && !is_downsampling(site);
}

void claim(const Spec& spec, PlanBuilder& plan) {
  const SiteTable& sites = plan.sites();
  const std::string& part = spec.text("part");
  const LayerChoice layers(sites, spec.text("layers"), "recompute layers");
  bool found = false;
  for (SiteId id = 0; id < sites.size(); ++id) {
    const bool fits = part == "branch" ? sites[id].kind == SiteKind::residual : is_mlp(sites[id]);
    if (!fits || sites[id].block < 0 || !layers.has(id)) continue;
    found = true;
    plan.materialise(id, part == "activation" ? Materialise::function : Materialise::recompute);
  }
  if (found) return;
  throw UsageError(concat("strategy 'recompute' finds no ", part == "branch" ? "residual" : "mlp",
                          " to run again in layers '", spec.text("layers"),
                          "'; this model has: ", kinds_of(sites)));
}

}  // namespace

Strategy recompute_strategy() {
  return {.schema = {.name = "recompute",
                     .summary = "exact gradient: keep a part's input and run it again in backward",
                     .keys = {word_key("part", {"branch", "mlp", "activation"},
                                       "what runs again: residual branches (checkpointing), MLPs, "
                                       "or the non-linearity inside MLPs"),
                              {.key = "layers",
                               .kind = ValueKind::text,
                               .default_value = "all",
                               .help = "where: all, released, 4-11, [0;2;4], 0.5 (the last half), "
                                       "or names such as blocks.3.*"}}},
          .claim = claim};
}

}  // namespace sbp
