#include "sbp/sbp_strategy.h"

#include <cmath>
#include <set>

#include "sbp/base/error.h"

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

class SbpClaims {
 public:
  SbpClaims(const Spec& spec, PlanBuilder& plan)
      : spec_(spec),
        plan_(plan),
        chosen_(chosen_blocks(spec.text("layers"), plan.sites().block_count())) {}

  void run() {
    if (spec_.text("mlp") == "off" && spec_.text("attention") == "none") {
      throw UsageError("strategy 'sbp:attention=none,mlp=off' drops nothing; use 'full'");
    }
    const SiteTable& sites = plan_.sites();
    for (SiteId id = 0; id < sites.size(); ++id) {
      const Site& site = sites[id];
      if (site.block < 0 || site.geometry.cells() == 0) continue;
      if (site.kind != SiteKind::attention && site.kind != SiteKind::positionwise) continue;
      has_site_ = true;
      if (chosen_.at(static_cast<std::size_t>(site.block))) claim(id, site);
    }
    if (!has_site_) {
      throw UsageError(
          concat("strategy 'sbp' finds no site to drop rows at: it needs attention or "
                 "positionwise sites on a grid, and this model has: ",
                 kinds_of(sites)));
    }
  }

 private:
  void claim(SiteId id, const Site& site) {
    if (site.kind == SiteKind::positionwise) {
      if (spec_.text("mlp") == "store") select(id, site);
      return;
    }
    if (spec_.text("attention") != "query") return;
    select(id, site);
    const SiteId projection = projection_of(plan_.sites(), site);
    if (spec_.text("proj") == "kept" && projection >= 0) select(projection, site);
  }

  // One mask a step for all layers of one geometry, made when the first site asks for it.
  void select(SiteId id, const Site& site) {
    if (spec_.real("keep") >= 1.0) return;
    if (group_ < 0) {
      group_geometry_ = site.geometry;
      group_ = plan_.add_group({.name = "all",
                                .kind = parse_mask_kind(spec_.text("mask")),
                                .keep_ratio = spec_.real("keep"),
                                .geometry = site.geometry});
    }
    if (!(site.geometry == group_geometry_)) {
      throw UsageError(concat("strategy 'sbp': site '", site.name, "' has a ", site.geometry.height,
                              "x", site.geometry.width, " grid and cannot share the ",
                              group_geometry_.height, "x", group_geometry_.width, " mask"));
    }
    plan_.select(id, {.group = group_});
  }

  const Spec& spec_;
  PlanBuilder& plan_;
  std::vector<bool> chosen_;
  bool has_site_ = false;
  std::int32_t group_ = -1;
  RowGeometry group_geometry_;
};

void choose(std::vector<bool>& chosen, std::string_view part, std::string_view whole) {
  if (part.find_first_not_of("0123456789-") != std::string_view::npos) {
    throw UsageError(concat("sbp layers '", whole,
                            "' is none of released, all, a range such as "
                            "4-11 or a list such as [0;2;4]"));
  }
  const IntegerRange range = parse_range(part);
  const auto count = static_cast<std::int64_t>(chosen.size());
  if (range.first < 0 || range.last >= count || range.first > range.last) {
    throw UsageError(concat("sbp layers '", whole, "' names a block outside 0-", count - 1));
  }
  for (std::int64_t i = range.first; i <= range.last; ++i) {
    chosen[static_cast<std::size_t>(i)] = true;
  }
}

}  // namespace

std::vector<bool> chosen_blocks(std::string_view layers, int block_count) {
  std::vector<bool> chosen(static_cast<std::size_t>(block_count), false);
  if (block_count == 0) return chosen;
  if (layers == "all") {
    chosen.assign(chosen.size(), true);
  } else if (layers == "released") {
    const int dropping = static_cast<int>(std::lround(2.0 * block_count / 3.0));
    for (int i = block_count - dropping; i < block_count; ++i) {
      chosen[static_cast<std::size_t>(i)] = true;
    }
  } else {
    for (const std::string& part : parse_list(layers)) choose(chosen, part, layers);
  }
  return chosen;
}

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
      {.key = "mask",
       .kind = ValueKind::word,
       .default_value = "grid",
       .help = "how kept rows are chosen each step",
       .words = {"grid", "random"}},
      {.key = "attention",
       .kind = ValueKind::word,
       .default_value = "query",
       .help = "query: only kept query rows carry gradient; none: attention is left alone",
       .words = {"query", "none"}},
      {.key = "proj",
       .kind = ValueKind::word,
       .default_value = "kept",
       .help = "rows the output projection keeps: kept, or all as released",
       .words = {"kept", "all"}},
      {.key = "mlp",
       .kind = ValueKind::word,
       .default_value = "store",
       .help = "store: the MLP keeps kept rows only; off: the MLP is left alone",
       .words = {"store", "off"}},
      {.key = "layers",
       .kind = ValueKind::text,
       .default_value = "released",
       .help = "blocks that drop: released (the last two thirds), all, 4-11, [0;2;4]"},
  };
  return {
      .schema = {.name = "sbp",
                 .summary = "stochastic backpropagation: gradient of kept rows only, exact forward",
                 .keys = std::move(keys)},
      .claim = [](const Spec& spec, PlanBuilder& plan) { SbpClaims(spec, plan).run(); }};
}

}  // namespace sbp
