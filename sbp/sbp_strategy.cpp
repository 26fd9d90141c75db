#include "sbp/sbp_strategy.h"

#include <algorithm>
#include <set>

#include "sbp/base/error.h"
#include "sbp/layer_choice.h"

namespace sbp {
namespace {

std::string kinds_of(const SiteTable& sites) {
  std::set<std::string> kinds;
  for (const Site& site : sites.sites()) kinds.emplace(to_string(site.kind));
  return join(std::vector<std::string>(kinds.begin(), kinds.end()));
}

// The projection that follows an attention: the first linear below it whose name ends in ".proj".
SiteId projection_of(const SiteTable& sites, const Site& attention) {
  return sites.find(attention.name + ".proj");
}

// The linear between two stages, as opposed to the body of a block.
bool is_downsampling(const Site& site) {
  return site.kind == SiteKind::positionwise && site.name.ends_with(".downsample");
}

// Of the branch of a residual block; shortcuts carry the gradient of all rows.
bool is_branch_norm(const Site& site) {
  return site.kind == SiteKind::batch_norm && site.name.find(".downsample.") == std::string::npos;
}

bool may_drop(const Site& site) {
  return site.kind == SiteKind::attention || site.kind == SiteKind::positionwise ||
         is_branch_norm(site);
}

class SbpClaims {
 public:
  SbpClaims(const Spec& spec, PlanBuilder& plan) : spec_(spec), plan_(plan) {}

  void run() {
    const SiteTable& sites = plan_.sites();
    const LayerChoice layers(sites, spec_.text("layers"), "sbp layers");
    bool has_site = false;
    for (SiteId id = 0; id < sites.size(); ++id) {
      const Site& site = sites[id];
      if (site.block < 0 || site.geometry.cells() == 0 || !may_drop(site)) continue;
      has_site = true;
      if (layers.has(id)) choose_site(id, site);
    }
    if (!has_site) {
      throw UsageError(
          concat("strategy 'sbp' finds no site to drop rows at: it needs attention, "
                 "positionwise or batch norm sites on a grid, and this model has: ",
                 kinds_of(sites)));
    }
    if (dropping_.empty()) {
      throw UsageError(concat("strategy '", to_string(spec_),
                              "' drops nothing in this model; use 'full', or other keys"));
    }
    if (spec_.real("keep") < 1.0) select_all();
  }

 private:
  void choose_site(SiteId id, const Site& site) {
    if (is_downsampling(site)) {
      if (spec_.text("downsample") == "kept") dropping_.push_back(id);
      return;
    }
    if (site.kind == SiteKind::batch_norm) {
      if (spec_.text("norm") == "kept") dropping_.push_back(id);
      return;
    }
    if (site.kind == SiteKind::positionwise) {
      if (spec_.text("mlp") == "store") dropping_.push_back(id);
      return;
    }
    if (spec_.text("attention") != "query") return;
    dropping_.push_back(id);
    const SiteId projection = projection_of(plan_.sites(), site);
    if (spec_.text("proj") == "kept" && projection >= 0) dropping_.push_back(projection);
  }

  // One mask a step for all layers, on the grid of the coarsest site.
  void select_all() {
    const SiteTable& sites = plan_.sites();
    const SiteId coarsest = *std::ranges::min_element(
        dropping_, {}, [&](SiteId id) { return sites[id].geometry.cells(); });
    const RowGeometry& base = sites[coarsest].geometry;
    const std::int32_t group = plan_.add_group({.name = "all",
                                                .kind = parse_mask_kind(spec_.text("mask")),
                                                .keep_ratio = spec_.real("keep"),
                                                .geometry = base});
    for (const SiteId id : dropping_) {
      const std::int64_t factor = sites[id].geometry.height / base.height;
      if (!(refined(base, factor) == sites[id].geometry)) {
        throw UsageError(does_not_fit(sites[id], sites[coarsest]));
      }
      plan_.select(id, {.group = group, .factor = factor});
    }
  }

  static std::string does_not_fit(const Site& site, const Site& coarsest) {
    const RowGeometry& fine = site.geometry;
    const RowGeometry& base = coarsest.geometry;
    return concat("strategy 'sbp': the ", fine.height, "x", fine.width, " grid of site '",
                  site.name, "' is no multiple of the ", base.height, "x", base.width, " grid of '",
                  coarsest.name, "', where the mask is drawn; use ",
                  base.cell_pixels == 0
                      ? concat("layers of one resolution")
                      : concat("an image whose side is a multiple of ", base.cell_pixels));
  }

  const Spec& spec_;
  PlanBuilder& plan_;
  std::vector<SiteId> dropping_;  // in forward order
};

}  // namespace

Strategy full_strategy() {
  return {.schema = {.name = "full",
                     .summary = "full backward: nothing dropped, the baseline",
                     .keys = {}},
          .claim = [](const Spec&, PlanBuilder&) {}};
}

Strategy sbp_strategy() {
  std::vector<KeySchema> keys = {
      {.key = "keep",
       .kind = ValueKind::real,
       .default_value = "0.5",
       .help = "keep ratio: share of grid rows whose gradient is kept, in (0, 1]",
       .minimum = 0.0,
       .maximum = 1.0,
       .open_minimum = true},
      word_key("mask", {"grid", "random"}, "how kept rows are chosen each step"),
      word_key("attention", {"query", "none"},
               "query: only kept query rows carry gradient; none: attention is left alone"),
      word_key("proj", {"kept", "all"},
               "rows the output projection keeps: kept, or all as released"),
      word_key("mlp", {"store", "off"},
               "store: the MLP keeps kept rows only; off: the MLP is left alone"),
      word_key("downsample", {"kept", "all"},
               "rows the linear between two stages keeps, if the next block drops: kept, or all"),
      word_key("norm", {"kept", "all"},
               "pixels that batch norms of residual branches keep: kept, or all"),
      {.key = "layers",
       .kind = ValueKind::text,
       .default_value = "released",
       .help = "where rows drop: released (the papers' two thirds of the blocks), all, 4-11, "
               "[0;2;4], 0.5 (the last half), or names such as *.mlp"},
  };
  return {
      .schema = {.name = "sbp",
                 .summary = "stochastic backpropagation: gradient of kept rows only, exact forward",
                 .keys = std::move(keys)},
      .claim = [](const Spec& spec, PlanBuilder& plan) { SbpClaims(spec, plan).run(); }};
}

}  // namespace sbp
