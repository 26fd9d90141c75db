#include "sbp/sbp_strategy.h"

#include <algorithm>
#include <map>

#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "sbp/layer_choice.h"

namespace sbp {
namespace {

// Of the branch of a residual block; shortcuts carry the gradient of all rows.
bool is_branch_norm(const Site& site) {
  return site.kind == SiteKind::batch_norm && site.within >= 0;
}

bool may_drop(const Site& site) {
  return site.kind == SiteKind::attention || site.kind == SiteKind::positionwise ||
         is_branch_norm(site);
}

// A site that drops rows, and how many of them.
struct Dropping {
  SiteId site = -1;
  double keep = 1.0;
  RowSelection selection = {};
};

class SbpClaims {
 public:
  SbpClaims(const Spec& spec, PlanBuilder& plan)
      : spec_(spec),
        plan_(plan),
        sites_(plan.sites()),
        attention_(spec.text("attention")),
        share_(spec.text("share")),
        released_(spec.text("compat") == "released") {}

  void run() {
    find_sites();
    set_ratios();
    check_options();
    if (dropping_.empty()) return;  // keep=1 everywhere: the full backward
    for (Dropping& one : dropping_) one.selection = selection_of(one);
    for (const Dropping& one : dropping_) claim(one);
    if (const Dropping* first = first_departing()) prefer_departure(*first);
    if (attention_ == "qkv" && drops_attention()) plan_.change_forward();
    if (released_) {
      plan_.mask_in_evaluation();
      plan_.warn("compat=released: evaluation is masked too, as in the released code");
    }
  }

 private:
  void find_sites() {
    const LayerChoice layers(sites_, spec_.text("layers"), "sbp layers");
    bool has_site = false;
    for (SiteId id = 0; id < sites_.size(); ++id) {
      const Site& site = sites_[id];
      if (site.block < 0 || site.geometry.cells() == 0 || !may_drop(site)) continue;
      has_site = true;
      if (layers.has(id) && is_asked_for(site)) dropping_.push_back({.site = id});
    }
    if (!has_site) {
      throw UsageError(
          concat("strategy 'sbp' finds no site to drop rows at: it needs attention, "
                 "positionwise or batch norm sites on a grid, and this model has: ",
                 kinds_of(sites_)));
    }
    if (dropping_.empty()) {
      throw UsageError(
          concat("strategy '", to_string(spec_),
                 "' drops nothing in this model; use 'full', or other keys: it acts on "
                 "attention, MLPs, downsamplings and batch norms of the chosen layers"));
    }
  }

  bool is_asked_for(const Site& site) const {
    if (is_downsampling(site)) return spec_.text("downsample") == "kept";
    if (site.kind == SiteKind::batch_norm) return spec_.text("norm") == "kept";
    if (site.kind == SiteKind::positionwise) return spec_.text("mlp") != "off";
    return attention_ != "none";
  }

  // The ratio of each block that drops, in forward order; sites that keep all are left alone.
  void set_ratios() {
    std::map<int, double> ratios;
    for (const Dropping& one : dropping_) ratios[sites_[one.site].block] = 1.0;
    const std::vector<double> values = parse_keep_ratios(spec_.text("keep"), ratios.size());
    auto value = values.begin();
    for (auto& [block, ratio] : ratios) ratio = *value++;
    for (Dropping& one : dropping_) one.keep = ratios.at(sites_[one.site].block);
    std::erase_if(dropping_, [](const Dropping& one) { return one.keep >= 1.0; });
  }

  bool per_layer() const { return share_ == "layer" || share_ == "none"; }
  bool per_sample() const { return share_ == "sample" || share_ == "none"; }
  bool unbiased() const { return spec_.text("unbiased") == "yes"; }
  MaskKind kind() const { return parse_mask_kind(spec_.text("mask")); }
  bool drops_attention() const {
    return std::ranges::any_of(dropping_, [&](const Dropping& one) {
      return sites_[one.site].kind == SiteKind::attention;
    });
  }

  void check_options() const {
    if (spec_.text("inputs") == "all" && !(attention_ == "qkv" && released_)) {
      throw UsageError("sbp inputs='all' is for attention=qkv with compat=released; leave it out");
    }
    const auto is_attention = [](const Site& site) { return site.kind == SiteKind::attention; };
    if (attention_ != "query" && attention_ != "none" &&
        std::ranges::none_of(sites_.sites(), is_attention)) {
      throw UsageError(concat("sbp attention='", attention_, "': this model has no attention, but ",
                              kinds_of(sites_), "; leave attention out"));
    }
    if (unbiased() && !per_layer()) {
      throw UsageError(concat(
          "sbp unbiased=yes with share='", share_,
          "': layers that share a mask multiply their weights and the gradient grows with depth "
          "(2.9 times at keep 0.5, 239 times at 0.125); use share=layer or share=none"));
    }
    if (unbiased() && (attention_ == "qkv" || attention_ == "qkv_exact")) {
      throw UsageError(concat("sbp unbiased=yes with attention='", attention_,
                              "', which cuts paths that no weight replaces; use attention=query, "
                              "head or none"));
    }
    if (unbiased() && spec_.integer("start") >= 0) {
      throw UsageError(concat("sbp unbiased=yes with start='", spec_.text("start"),
                              "': a mask that is always the same has no mean to be unbiased in; "
                              "leave start out"));
    }
    if (attention_ == "head") check_heads();
    for (const Dropping& one : dropping_) check_site(one);
  }

  void check_heads() const {
    if (per_sample()) {
      throw UsageError(concat("sbp attention='head' with share='", share_,
                              "': each attention draws one mask of heads for the whole batch; use "
                              "share=all or share=layer"));
    }
    if (spec_.text("proj") == "kept") {
      throw UsageError(
          "sbp attention='head' with proj='kept': kept heads keep all rows; use proj=all");
    }
  }

  void check_site(const Dropping& one) const {
    const Site& site = sites_[one.site];
    if (site.kind == SiteKind::batch_norm && (unbiased() || per_sample())) {
      throw UsageError(concat("sbp ", unbiased() ? "unbiased=yes" : concat("share=", share_),
                              " at batch norm '", site.name, "', whose statistics are the whole ",
                              "batch's; use norm=all, or leave it out"));
    }
    const std::int64_t start = spec_.integer("start");
    if (start >= 0 && (kind() != MaskKind::grid || start >= grid_stride(one.keep))) {
      throw UsageError(kind() != MaskKind::grid
                           ? concat("sbp start='", start, "' with mask='", spec_.text("mask"),
                                    "'; a grid mask alone has starting points")
                           : concat("sbp start='", start, "' is outside 0-",
                                    grid_stride(one.keep) - 1, ", the grid's starting points at ",
                                    "keep=", one.keep));
    }
  }

  RowSelection selection_of(const Dropping& one) {
    const Site& site = sites_[one.site];
    RowSelection selection;
    if (site.kind == SiteKind::attention) {
      selection.path = parse_attention_path(attention_);
      selection.whole_inputs = spec_.text("inputs") == "all";
    }
    if (selection.of_heads()) {
      selection.group = plan_.add_group(head_group(one));
      return selection;
    }
    const SiteId base = per_layer() ? one.site : coarsest();
    selection.group = group_of(one, base);
    selection.factor = site.geometry.height / sites_[base].geometry.height;
    if (!(refined(sites_[base].geometry, selection.factor) == site.geometry)) {
      throw UsageError(does_not_fit(site, sites_[base]));
    }
    return selection;
  }

  SiteId coarsest() const {
    const auto cells = [&](const Dropping& one) { return sites_[one.site].geometry.cells(); };
    return std::ranges::min_element(dropping_, {}, cells)->site;
  }

  // A new group for each layer, or one for all sites of a ratio.
  std::int32_t group_of(const Dropping& one, SiteId base) {
    const auto shared = groups_.find(one.keep);
    if (!per_layer() && shared != groups_.end()) return shared->second;
    const RowGeometry& grid = sites_[base].geometry;
    const KeptRange range = kept_range(kind(), one.keep, grid);
    if (per_sample() && range.least != range.most) {
      throw UsageError(concat("sbp share='", share_, "' with mask=grid: it keeps ", range.least,
                              " to ", range.most, " of ", grid.cells(), " cells at keep=", one.keep,
                              ", and masks of samples need one count; use mask=exact"));
    }
    MaskGroup group{.name = per_layer() ? sites_[one.site].name : "all",
                    .kind = kind(),
                    .keep_ratio = one.keep,
                    .geometry = grid,
                    .start = spec_.integer("start"),
                    .per_sample = per_sample()};
    if (unbiased()) group.weight = 1.0 / inclusion_probability(kind(), one.keep, grid.cells());
    if (!(group.weight < 1e9)) {
      throw UsageError(concat("sbp unbiased=yes: the ", spec_.text("mask"),
                              " mask keeps no cell of ", grid.cells(), " at keep=", one.keep,
                              "; use a larger ratio"));
    }
    return groups_[one.keep] = plan_.add_group(std::move(group));
  }

  // A head is kept with the probability of a row (In-depth SBP 2022, option head).
  MaskGroup head_group(const Dropping& one) const {
    const Site& site = sites_[one.site];
    const RowGeometry& grid = site.geometry;
    const double cells =
        static_cast<double>(grid.cells()) * inclusion_probability(kind(), one.keep, grid.cells());
    const double keep =
        (static_cast<double>(grid.leading) + cells) / static_cast<double>(grid.rows());
    return {.name = site.name + " heads",
            .kind = MaskKind::bernoulli,
            .keep_ratio = keep,
            .geometry = {.height = 1, .width = site.heads},
            .weight = unbiased() ? 1.0 / keep : 1.0};
  }

  // The first of the last attentions that all see kept rows of one mask only, where the head reads
  // none of the others: from its block on dropped rows reach nothing. nullptr: there is none.
  const Dropping* first_departing() const {
    if (attention_ != "qkv" || released_ || per_layer() || !sites_.head_reads_leading()) {
      return nullptr;
    }
    const Dropping* first = nullptr;
    for (SiteId id = sites_.size() - 1; id >= 0; --id) {
      if (sites_[id].kind != SiteKind::attention) continue;
      const auto found = std::ranges::find(dropping_, id, &Dropping::site);
      if (found == dropping_.end()) break;
      if (first != nullptr && found->selection.group != first->selection.group) break;
      first = &*found;
    }
    return first;
  }

  void claim(const Dropping& one) {
    const Site& site = sites_[one.site];
    if (site.kind == SiteKind::positionwise && !is_downsampling(site)) {
      const std::string& mlp = spec_.text("mlp");
      if (mlp == "auto") plan_.prefer_function(one.site);
      if (mlp == "function") plan_.materialise(one.site, Materialise::function);
      if (mlp == "recompute") plan_.materialise(one.site, Materialise::recompute);
    }
    plan_.select(one.site, one.selection);
    if (site.kind != SiteKind::attention || spec_.text("proj") != "kept") return;
    const SiteId projection = projection_of(sites_, one.site);
    if (projection >= 0) plan_.select(projection, one.selection);
  }

  void prefer_departure(const Dropping& first) {
    const int block = sites_[first.site].block;
    const auto residual = std::ranges::find_if(sites_.sites(), [&](const Site& site) {
      return site.kind == SiteKind::residual && site.block == block;
    });
    if (residual == sites_.sites().end()) return;
    plan_.prefer_departure(static_cast<SiteId>(residual - sites_.sites().begin()), first.selection);
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
  const SiteTable& sites_;
  std::string attention_, share_;
  bool released_;
  std::vector<Dropping> dropping_;         // in forward order
  std::map<double, std::int32_t> groups_;  // shared masks by keep ratio
};

double keep_ratio_of(const std::string& text, std::string_view whole) {
  double ratio = 0.0;
  if (parse_number(text, ratio) != std::errc() || !(ratio > 0.0 && ratio <= 1.0)) {
    throw UsageError(concat("sbp keep '", whole, "': '", text,
                            "' is no ratio in (0, 1]; use a number, a list such as [0.25;0.5] of ",
                            "one a block, or a ramp such as 0.25..0.75"));
  }
  return ratio;
}

}  // namespace

std::vector<double> parse_keep_ratios(std::string_view text, std::size_t blocks) {
  const std::size_t dots = text.find("..");
  if (dots != std::string_view::npos) {
    const double first = keep_ratio_of(std::string(text.substr(0, dots)), text);
    const double last = keep_ratio_of(std::string(text.substr(dots + 2)), text);
    std::vector<double> ratios;
    for (std::size_t i = 0; i < blocks; ++i) {
      const double place =
          blocks > 1 ? static_cast<double>(i) / static_cast<double>(blocks - 1) : 0.0;
      ratios.push_back(first + (last - first) * place);
    }
    return ratios;
  }
  std::vector<double> ratios;
  for (const std::string& part : parse_list(text)) ratios.push_back(keep_ratio_of(part, text));
  if (ratios.size() == 1) ratios.assign(blocks, ratios.front());
  if (ratios.size() != blocks) {
    throw UsageError(concat("sbp keep '", text, "' lists ", ratios.size(), " ratios and ", blocks,
                            " blocks drop; give one of each"));
  }
  return ratios;
}

Strategy full_strategy() {
  return {.schema = {.name = "full",
                     .summary = "full backward: nothing dropped, the baseline",
                     .keys = {}},
          .claim = [](const Spec&, PlanBuilder&) {}};
}

namespace {

std::vector<KeySchema> sbp_keys() {
  return {
      {.key = "keep",
       .kind = ValueKind::text,
       .default_value = "0.5",
       .help = "keep ratio, in (0, 1]: share of grid rows whose gradient is kept; a list "
               "[0.25;0.5] of one a dropping block, or a ramp 0.25..0.75 over them"},
      word_key("mask", {"grid", "exact", "random", "stratified"},
               "rows kept each step: the released grid, which snaps the ratio to a stride; a grid "
               "of the exact count; at random; at random one in each run of rows"),
      {.key = "start",
       .kind = ValueKind::integer,
       .default_value = "-1",
       .help = "starting point of a grid mask in every step; -1: drawn each step",
       .minimum = -1,
       .maximum = 1e9},
      word_key("share", {"all", "layer", "sample", "none"},
               "who shares a mask in a step: all layers and samples; samples (each layer has its "
               "own); layers (each sample has its own); nobody"),
      word_key("attention", {"query", "qkv", "qkv_exact", "head", "none"},
               "query: kept queries carry gradient; qkv: kept rows see kept rows only, as "
               "released (the value changes); qkv_exact: no gradient to keys and values of dropped "
               "rows; head: kept heads carry gradient; none: attention is left alone"),
      word_key("proj", {"auto", "kept", "all"},
               "rows the output projection keeps; auto: kept, with compat=released or "
               "attention=head all"),
      word_key("mlp", {"auto", "function", "store", "recompute", "off"},
               "kept rows of the MLP: as one node that computes the non-linearity again; stored; "
               "computed again from their input (CVPR 2022); off: the MLP is left alone; auto: "
               "function where no other strategy codes or recomputes a part of it, with "
               "compat=released store"),
      word_key("downsample", {"kept", "all"},
               "rows the linear between two stages keeps, if the next block drops: kept, or all"),
      word_key("norm", {"kept", "all"},
               "pixels that batch norms of residual branches keep: kept, or all"),
      word_key("unbiased", {"no", "yes"},
               "yes: gradient of kept rows is divided by their probability; needs share=layer or "
               "none"),
      word_key(
          "compat", {"none", "released"},
          "released: as the papers' code, masks in evaluation and dropped rows of qkv included"),
      {.key = "layers",
       .kind = ValueKind::text,
       .default_value = "released",
       .help = "where rows drop: released (the papers' two thirds of the blocks), all, 4-11, "
               "[0;2;4], 0.5 (the last half), or names such as *.mlp"},
      word_key("inputs", {"kept", "all"},
               "rows that norm and projection before attention=qkv keep: kept, or with "
               "compat=released all, as in the released code"),
  };
}

}  // namespace

Strategy sbp_strategy() {
  return {.schema = {.name = "sbp",
                     .summary = "stochastic backpropagation: gradient of kept rows only",
                     .keys = sbp_keys()},
          .settle =
              [](Spec& spec) {
                const bool released = spec.text("compat") == "released";
                const bool heads = spec.text("attention") == "head";
                fill_auto(spec, "proj", released || heads ? "all" : "kept");
                if (released) fill_auto(spec, "mlp", "store");
              },
          .claim = [](const Spec& spec, PlanBuilder& plan) { SbpClaims(spec, plan).run(); }};
}

}  // namespace sbp
